"""Every panel has something to show, every alert is evaluated: a gateway under traffic, a Prometheus that scrapes it.

    python tests/observe/panels.py FOLDER

FOLDER is an empty one, for what they write.
"""

import asyncio
import contextlib
import sys
import urllib.parse
from pathlib import Path

import aiohttp

from deploy.observe.panels import ROWS
from deploy.observe.rules import ALERTS
from proxy.access.keys import digest
from proxy.sandbox import Knobs, serve_sandbox
from tests.cli.test_cli_admin import API, _free_port
from tests.support.commands import ROOT, started
from tests.support.gateways import BODY, HEADERS, KEY, STREAM_BODY

_WITHIN_S = 60.0
# Those whose condition holds as soon as the pool's first member does not answer.
_HOLD = {"UpstreamCooling"}
_LISTENING = b"listening on http://127.0.0.1:"
_ADMIN_KEY = "ara-0123456789-abcdefghijklmnopq"
_METRICS_KEY = "ara-metrics-0123456789-abcdefghij"
_CONFIG = """\
listen: {{port: 0, workers: 1}}
upstreams:
  down: {{base_url: "http://127.0.0.1:9", auth: {{scheme: x-api-key, key: sk-x}}}}
  up: {{base_url: "{url}", auth: {{scheme: x-api-key, key: sk-x}}}}
pools: {{both: {{members: [{{upstream: down}}, {{upstream: up}}]}}}}
models: [{{id: "anthropic/*", upstream: both}}]
keys: [{{name: tester, sha256: {sha256}, limits: {{requests_per_minute: 600}}, budgets: {{day_usd: 50}}}}]
store: {{url: "sqlite:///store.db", state_dir: state}}
admin:
  port: {port}
  keys:
    - {{name: ops, key: {admin}, role: write}}
    - {{name: prometheus, key: {metrics}, role: metrics}}
"""
_PROMETHEUS = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: anyrouter
    authorization: {{credentials_file: metrics-key}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


async def _traffic(session: aiohttp.ClientSession, port: str) -> None:
    """Ask without an end: small and streamed, good and bad."""
    url = f"http://127.0.0.1:{port}/api/v1/messages"
    bodies = [(BODY, {}), (STREAM_BODY, {}), (STREAM_BODY, {"x-sandbox": "cut=900"}), (b"{", {})]
    for i in range(100_000):
        body, more = bodies[i % len(bodies)]
        headers = {**HEADERS, **more, "x-claude-code-session-id": str(i % 20)}
        with contextlib.suppress(aiohttp.ClientPayloadError):
            async with session.post(url, data=body, headers=headers) as response:
                await response.read()
        await asyncio.sleep(0.05)  # the load that is meant


async def _samples(session: aiohttp.ClientSession, prometheus: int, expression: str) -> int:
    query = urllib.parse.urlencode({"query": expression})
    url = f"http://127.0.0.1:{prometheus}/api/v1/query?{query}"
    async with session.get(url) as response:
        told = await response.json()
    if told["status"] != "success":
        raise AssertionError(f"{expression}: {told['error']}")
    return len(told["data"]["result"])


async def _empty(session: aiohttp.ClientSession, prometheus: int) -> list[str]:
    """Return the titles of the panels that stay empty, and the alerts that ought to hold and do not."""
    left = {
        panel.title: panel.expression.replace("$__rate_interval", "10s")
        for row in ROWS.values()
        for panel in row
    } | {each.name: each.expression for each in ALERTS if each.name in _HOLD}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_WITHIN_S):
            while left:
                for title, expression in list(left.items()):
                    if await _samples(session, prometheus, expression):
                        del left[title]
                await asyncio.sleep(1)  # Prometheus scrapes once a second
    return [f"{title}: {expression}" for title, expression in left.items()]


async def _wrong_rules(session: aiohttp.ClientSession, prometheus: int) -> list[str]:
    """Return the rules that Prometheus has not, or cannot evaluate."""
    async with session.get(f"http://127.0.0.1:{prometheus}/api/v1/rules") as response:
        told = await response.json()
    rules = [rule for group in told["data"]["groups"] for rule in group["rules"]]
    if len(rules) != len(ALERTS):
        return [f"{len(rules)} rules of {len(ALERTS)} are loaded"]
    return [
        f"{rule['name']}: {rule['health']}: {rule.get('lastError', 'not evaluated')}"
        for rule in rules
        if rule["health"] != "ok"
    ]


async def _up(session: aiohttp.ClientSession, prometheus: int) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with session.get(f"http://127.0.0.1:{prometheus}/-/ready") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.1)  # another process


async def main(folder: Path) -> None:
    """Start all of it, ask, and end it."""
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
    admin, prometheus = _free_port(), _free_port()
    (folder / "metrics-key").write_text(_METRICS_KEY, "utf-8")
    rules = ROOT / "deploy/observe/alerts.yml"
    (folder / "prometheus.yml").write_text(_PROMETHEUS.format(rules=rules, port=admin), "utf-8")
    (folder / "config.yaml").write_text(
        _CONFIG.format(
            url=f"http://127.0.0.1:{sandbox.addresses[0][1]}",
            sha256=digest(KEY),
            port=admin,
            admin=_ADMIN_KEY,
            metrics=_METRICS_KEY,
        ),
        "utf-8",
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(sandbox.cleanup)
        command = await stack.enter_async_context(
            started("serve", "--config", str(folder / "config.yaml"))
        )
        await command.says(API)
        port = (await command.says(_LISTENING)).strip('"},')
        session = await stack.enter_async_context(aiohttp.ClientSession())
        asking = asyncio.create_task(_traffic(session, port))
        stack.callback(asking.cancel)
        server = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{prometheus}",
            "--log.level=error",
        )
        try:
            await _up(session, prometheus)
            wrong = [f"no sample: {each}" for each in await _empty(session, prometheus)]
            wrong += await _wrong_rules(session, prometheus)
            async with session.get(f"http://127.0.0.1:{admin}/metrics") as response:
                (folder / "metrics.txt").write_text(await response.text(), "utf-8")
        finally:
            server.terminate()
            await server.wait()
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
