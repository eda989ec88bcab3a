"""Behind each proxy of deploy/ the gateway is what it is without one."""

import asyncio
import contextlib
import dataclasses
import io
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy import Timeouts
from tests.deploy.proxies import DEPLOY, PROXIES, WITHIN_S, Proxy, proxy_before
from tests.support.gateways import BODY, HEADERS, STREAM_BODY, Running
from tests.support.raw import EVENTS, SSE_HEAD, RawUpstream, Script, UpstreamSide, answer, chunk
from tests.support.scripts import gateway_before, says

# caddyserver/caddy#5951
SOUND_CADDY = (2, 8)
URL = "/api/v1/messages?beta=true"


@dataclasses.dataclass(frozen=True)
class Stack:
    """An upstream, a gateway, a proxy, and a client of it."""

    upstream: RawUpstream
    gateway: Running
    proxy: Proxy
    session: aiohttp.ClientSession

    def post(
        self, body: bytes = BODY, headers: dict[str, str] | None = None
    ) -> "aiohttp.client._RequestContextManager":
        """Send a message through the proxy."""
        return self.session.post(
            self.proxy.url + URL,
            data=io.BytesIO(body),
            headers={**HEADERS, **(headers or {})},
            ssl=self.proxy.tls or True,
        )


def caddy_version() -> tuple[int, ...]:
    """Return the version of the Caddy of this machine."""
    said = subprocess.run(["caddy", "version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.findall(r"\d+", said)[:2]))


@pytest.fixture(params=list(PROXIES))
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of each proxy."""
    return str(request.param)


@contextlib.asynccontextmanager
async def stack(name: str, folder: Path, script: Script, **changes: Any) -> AsyncIterator[Stack]:
    """Run everything; yields once the proxy has found the gateway."""
    config = {"trusted_proxies": ("127.0.0.1",), **changes}
    async with (
        asyncio.timeout(60),
        gateway_before(script, **config) as (upstream, gateway),
        proxy_before(name, folder, gateway.port) as proxy,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        ) as session,
    ):
        found = Stack(upstream, gateway, proxy, session)
        async with asyncio.timeout(WITHIN_S):
            while True:
                async with session.get(proxy.url + "/healthz", ssl=proxy.tls or True) as response:
                    if response.status == 200:
                        break
                await asyncio.sleep(0.05)  # until its own look at the gateway was good
        yield found


async def test_each_event_of_a_stream_goes_out_as_it_comes(name: str, tmp_path: Path) -> None:
    seen = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(SSE_HEAD + chunk(EVENTS[0]))
        await seen.wait()
        await exchange.send(b"".join(map(chunk, (*EVENTS[1:], b""))))

    async with stack(name, tmp_path, script) as found, found.post(STREAM_BODY) as response:
        first = await response.content.readuntil(b"\n\n")
        seen.set()
        rest = await response.read()
    assert b"message_start" in first
    assert rest.endswith(b'data: {"type":"message_stop"}\n\n')


async def test_a_client_that_leaves_ends_the_upstreams_call(name: str, tmp_path: Path) -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(SSE_HEAD + chunk(EVENTS[0]))
        await exchange.until_closed()

    async with stack(name, tmp_path, script) as found:
        async with found.post(STREAM_BODY) as response:
            await response.content.readuntil(b"\n\n")
            response.close()
        await found.upstream.all_closed.wait()
        await found.gateway.gateway.deadlines.idle()
        assert [line["cause"] for line in found.gateway.log] == ["client_closed"]


async def test_a_silent_upstream_is_bridged_by_pings(name: str, tmp_path: Path) -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(SSE_HEAD + chunk(EVENTS[0]))
        await exchange.until_closed()

    timeouts = Timeouts(ping_after_s=0.2)
    async with (
        stack(name, tmp_path, script, timeouts=timeouts) as found,
        found.post(STREAM_BODY) as response,
    ):
        await response.content.readuntil(b"event: ping\n")


async def test_the_client_is_known_by_its_own_address_and_can_forge_none(
    name: str, tmp_path: Path
) -> None:
    forged = {"x-forwarded-for": "9.9.9.9", "forwarded": "for=9.9.9.9"}
    async with stack(name, tmp_path, says(answer())) as found:
        async with found.post(headers=forged) as response:
            assert response.status == 200
        assert [line["client"] for line in found.gateway.log] == ["127.0.0.2"]
        assert b"9.9.9.9" not in found.upstream.requests[0].head
        assert found.upstream.requests[0].head.startswith(b"POST /v1/messages?beta=true ")


async def test_a_large_body_passes_and_one_that_is_too_large_is_refused_by_the_gateway_or_before(
    name: str, tmp_path: Path
) -> None:
    large = BODY.replace(b"say hi", b"x" * (16 << 20))
    async with stack(name, tmp_path, says(answer())) as found:
        async with found.post(large) as response:
            assert response.status == 200
        with contextlib.suppress(aiohttp.ClientConnectionError):  # a refusal may cut the upload
            async with found.post(BODY.replace(b"say hi", b"x" * (34 << 20))) as response:
                assert response.status == 413
        assert len(found.upstream.requests[0].body) > 16 << 20
        assert len(found.upstream.requests) == 1


async def test_errors_are_those_of_the_gateway_and_the_upstream(name: str, tmp_path: Path) -> None:
    refusal = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    script = says(answer(refusal, b"529 Overloaded", b"retry-after: 7"))
    async with stack(name, tmp_path, script) as found:
        async with found.post() as response:
            assert (response.status, await response.read()) == (529, refusal)
            assert response.headers["retry-after"] == "7"
        async with found.post(headers={"x-api-key": "ar-wrong"}) as response:
            assert response.status == 401
            assert response.headers["x-should-retry"] == "false"
            assert (await response.json())["error"]["type"] == "authentication_error"
        assert len(found.upstream.requests) == 1


async def test_a_request_whose_upstream_breaks_off_is_sent_once(name: str, tmp_path: Path) -> None:
    async def script(exchange: UpstreamSide) -> None:
        exchange.reset()

    async with stack(name, tmp_path, script) as found:
        async with found.post() as response:
            assert response.status == 502
            assert (await response.json())["error"]["type"] == "api_error"
        assert len(found.gateway.log) == 1


async def test_one_that_breaks_inside_a_stream_does_not_look_complete(
    name: str, tmp_path: Path
) -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(SSE_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1][:20]))
        exchange.writer.close()

    async with stack(name, tmp_path, script) as found, found.post(STREAM_BODY) as response:
        try:
            await response.read()
            is_broken = False
        except aiohttp.ClientPayloadError:
            is_broken = True
    # Debian 12 has a Caddy that ends such a stream as if it were whole; its file says which one does not.
    assert is_broken is not (name == "caddy" and caddy_version() < SOUND_CADDY)
    said = "Caddy before {}.{} ends".format(*SOUND_CADDY)
    assert said in (DEPLOY / "Caddyfile").read_text("utf-8")


@pytest.mark.parametrize("section", ["defaults", "backend anyrouter"])
def test_haproxy_is_set_before_the_stacks_two_gateways_as_before_any(section: str) -> None:
    said = []
    for name in ("haproxy.cfg", "haproxy-scale.cfg"):
        text = (
            (DEPLOY / name).read_text("utf-8").partition(f"\n{section}\n")[2].partition("\n\n")[0]
        )
        lines = [line.partition("#")[0].strip() for line in text.splitlines()]
        said.append(
            [line for line in lines if line and not line.startswith(("server ", "default-server "))]
        )
    assert said[0] == said[1]
    assert len(said[0]) >= 6
