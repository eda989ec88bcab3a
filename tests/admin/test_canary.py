"""Nothing secret is where operators look: every page, `/metrics`, the admin API, spans, alerts and lines, searched."""

import asyncio
import re
import secrets
from pathlib import Path

import aiohttp
import pytest

from tests.admin.collecting import collecting
from tests.admin.test_alerts import SECRET, webhook
from tests.cli.test_cli_admin import _free_port, _ports
from tests.cli.test_cli_canary import (
    ALL,
    CLIENT_KEY,
    CONTENT,
    REQUESTS,
    UPSTREAM_KEY,
    asked,
    script,
)
from tests.support.client import talk
from tests.support.commands import environment, started, write_config
from tests.support.raw import raw_upstream

_OPERATOR = "ara-canary-operator-" + secrets.token_hex(12)
_SECRETS = (*ALL, _OPERATOR, SECRET)
_SESSION = b"x-claude-code-session-id: session-1"
_CONFIG = """\
store: {{url: "sqlite:///store.db", state_dir: state}}
admin: {{port: {port}, keys: [{{name: ops, key: {operator}, role: write}}]}}
alerts: {{session_usd_in_10_min: 0.000001, to: [{{url: "{hook}", format: json, secret: {secret}}}]}}
otel: {{}}
"""
_API = (
    *("keys", "keys/tester", "owners", "usage", "requests", "audit", "limits", "limits/key/tester"),
    *("ledger", "upstreams", "live", "errors", "sessions", "sessions/session-1", "cache"),
)
_MOST_PLACES = 400


async def _everything(url: str, key: str) -> dict[str, str]:
    """Return what somebody who signs in with a key finds, by following the links, in each form."""
    jar = aiohttp.CookieJar(unsafe=True)
    found: dict[str, str] = {}
    async with aiohttp.ClientSession(url, cookie_jar=jar) as session:
        async with session.post("/sign-in", data={"key": key, "next": ""}) as response:
            assert response.status == 200
        places = ["/", "/metrics", "/find?q=session-1", *(f"/admin/v1/{each}" for each in _API)]
        for place in places:
            async with session.get(place) as response:
                found[place] = (await response.read()).decode("utf-8", "replace")
                found[place] += str(response.headers)
                kind = response.content_type
            if kind != "text/html":
                continue
            path = place.partition("?")[0]
            forms = [f"{path.removesuffix('/') or '/overview'}{form}" for form in (".json", ".csv")]
            links = re.findall(r'(?:href|action|hx-get)="(/[^"#]*)', found[place])
            # Of links that differ in their query alone, the first.
            known = {each.partition("?")[0] for each in places}
            for each in (*links, *forms):
                if each.partition("?")[0] not in known:
                    known.add(each.partition("?")[0])
                    places.append(each.replace("&amp;", "&"))
            assert len(places) < _MOST_PLACES
    return found


@pytest.mark.slow
async def test_no_canary_is_on_a_page_in_a_metric_a_span_an_alert_or_a_line(tmp_path: Path) -> None:
    async with raw_upstream(script) as upstream, webhook() as hook, collecting() as collector:
        more = _CONFIG.format(port=_free_port(), operator=_OPERATOR, hook=hook.url, secret=SECRET)
        env = environment(
            CLIENT_KEY=CLIENT_KEY,
            UPSTREAM_KEY=UPSTREAM_KEY,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        )
        config = write_config(tmp_path, upstream.url, more)
        async with started("serve", "--config", config, env=env) as command:
            port, admin = await _ports(command)
            seen = b""
            for data in REQUESTS.values():
                seen += await talk("127.0.0.1", int(port), data)
            # Alerts and traces begin with what ends after their process's first look.
            while not (hook.taken and collector.spans):
                seen += await talk("127.0.0.1", int(port), asked("", _SESSION))
                await asyncio.sleep(0.5)  # other processes: no event tells
            found = {
                who: await _everything(f"http://127.0.0.1:{admin}", key)
                for who, key in (("operator", _OPERATOR), ("holder", CLIENT_KEY))
            }
            command.tell()
            assert await command.ended() == 0
    # It was looked where something is to be found.
    assert CONTENT.encode() in seen
    for who in found:
        assert "session-1" in found[who]["/sessions/session-1"]
    assert "tester" in found["operator"]["/metrics"]
    assert {"session-1"} <= {
        each.attributes.get("gen_ai.conversation.id") for each in collector.spans
    }
    everything = {f"{who} {place}": text for who in found for place, text in found[who].items()}
    everything |= {"alerts": str(hook.taken), "spans": str(collector.bodies), "lines": command.text}
    assert not [
        (place, canary)
        for place, text in everything.items()
        for canary in _SECRETS
        if canary in text
    ]
