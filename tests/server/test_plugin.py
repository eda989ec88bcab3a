"""The gateway as a part of somebody's application, and as one of its own."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

import proxy
from tests.server.hosting import Host, hosted
from tests.support import client as raw
from tests.support.client import connected
from tests.support.gateways import BODY, HEADERS, MODEL, STREAM_BODY, config_for
from tests.support.raw import (
    EVENTS,
    SSE_HEAD,
    RawUpstream,
    UpstreamSide,
    chunk,
    raw_upstream,
)
from tests.support.refusals import refusal

RUNNERS: dict[str, dict[str, Any]] = {"plain options": {}, "ours": proxy.RUNNER_OPTIONS}


@pytest.fixture(params=list(RUNNERS))
async def host(upstream: RawUpstream, request: pytest.FixtureRequest) -> AsyncIterator[Host]:
    """Return a host, run with plain options and with ours."""
    async with hosted(upstream, RUNNERS[request.param]) as started:
        yield started


@pytest.mark.parametrize("path", ["/page", "/llm/page", "/later"])
async def test_the_hosts_routes_are_untouched(host: Host, path: str) -> None:
    async with host.session.get(host.url + path) as response:
        assert (response.status, await response.text()) == (200, "a page")
        assert response.headers["x-host"] == "1"
        assert "request-id" not in response.headers
    assert host.log == []


@pytest.mark.parametrize("path", ["/", "/v1/messages", "/healthz", "/llmx/v1/messages"])
async def test_the_hosts_404_is_its_own(host: Host, path: str) -> None:
    async with host.session.get(host.url + path) as response:
        assert (response.status, await response.text()) == (404, "the host's own 404")


async def test_the_hosts_405_is_its_own(host: Host) -> None:
    async with host.session.post(host.url + "/page") as response:
        assert response.status == 405
        assert "x-should-retry" not in response.headers


async def test_the_api_works_under_its_path(host: Host, upstream: RawUpstream) -> None:
    url = host.url + "/llm/v1/messages"
    async with host.session.post(url, data=BODY, headers=HEADERS) as response:
        assert response.status == 200
        assert (await response.json())["model"] == MODEL
    async with host.session.post(url, data=BODY) as response:
        await refusal(response, 401, "authentication_error")
    async with host.session.get(host.url + "/llm/v1/models", headers=HEADERS) as response:
        assert response.status == 200
    async with host.session.get(host.url + "/llm/nothing") as response:
        await refusal(response, 404, "not_found_error")
    async with host.session.get(host.url + "/llm/healthz") as response:
        assert response.status == 200
    assert [each.head[:4] for each in upstream.requests] == [b"POST", b"GET "]
    assert [line["status"] for line in host.log] == [200, 401, 200, 404]  # no probe


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_body_is_understood_whoever_decodes_it(
    host: Host, upstream: RawUpstream, encoding: str
) -> None:
    body = gzip.compress(BODY) if encoding == "gzip" else zlib.compress(BODY)
    data = raw.request(
        b"content-encoding: " + encoding.encode(), path=b"/llm/v1/messages", body=body
    )
    async with connected("127.0.0.1", host.port) as client:
        await client.send(data)
        answer = await client.answer()
    assert answer.status == 200, answer.body
    assert b"say hi" in upstream.requests[0].body


async def test_a_body_that_compression_made_longer_is_as_long_as_it_was(
    host: Host, upstream: RawUpstream
) -> None:
    """It comes behind its head, and is then shorter, once a host has decoded it, than was declared."""
    body = gzip.compress(BODY, compresslevel=0)
    lines = (b"content-encoding: gzip", b"content-length: %d" % len(body), b"expect: 100-continue")
    async with connected("127.0.0.1", host.port) as client:
        await client.send(raw.request(*lines, path=b"/llm/v1/messages", body=b"", length=False))
        await client.until(b"100 Continue\r\n\r\n")
        await client.send(body)
        answer = await client.answer()
    assert answer.status == 200, answer.body
    assert upstream.requests[0].body.endswith(BODY[-20:])


async def test_a_broken_compressed_body_is_400_whoever_decodes_it(host: Host) -> None:
    body = gzip.compress(BODY)[:-12]
    data = raw.request(b"content-encoding: gzip", path=b"/llm/v1/messages", body=body)
    async with connected("127.0.0.1", host.port) as client:
        await client.send(data)
        assert (await client.answer()).status == 400


async def test_draining_is_the_hosts_to_set(host: Host) -> None:
    host.gateway.draining = True
    async with host.session.get(host.url + "/llm/v1/models", headers=HEADERS) as response:
        await refusal(response, 529, "overloaded_error")
    async with host.session.get(host.url + "/page") as response:
        assert response.status == 200


@pytest.mark.parametrize("options", RUNNERS.values(), ids=RUNNERS)
@pytest.mark.parametrize("begins", [b"", SSE_HEAD + chunk(EVENTS[0])], ids=["silent", "a stream"])
async def test_a_client_that_leaves_ends_the_upstreams_call_whatever_the_hosts_options(
    options: dict[str, Any], begins: bytes
) -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(begins)
        await exchange.until_closed()

    async with (
        raw_upstream(script) as upstream,
        hosted(upstream, options) as host,
        connected("127.0.0.1", host.port) as client,
        asyncio.timeout(10),
    ):
        await client.send(raw.request(path=b"/llm/v1/messages", body=STREAM_BODY))
        await upstream.arrived.wait()
        if begins:
            await client.until(b"message_start")
        client.leave()
        await upstream.all_closed.wait()
        await host.gateway.deadlines.idle()
    assert [line["cause"] for line in host.log] == ["client_closed"]


async def test_the_hosts_own_handlers_are_not_cancelled_and_its_uploads_are_decoded(
    upstream: RawUpstream,
) -> None:
    done = asyncio.Event()
    seen: list[bytes] = []

    async def upload(request: web.Request) -> web.Response:
        seen.append(await request.read())
        arrived.set()
        await left.wait()
        await asyncio.sleep(0)
        done.set()
        return web.Response()

    arrived, left = asyncio.Event(), asyncio.Event()
    app = web.Application()
    app.router.add_post("/upload", upload)
    proxy.setup(app, config_for(upstream.url), access_log=None)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        body = gzip.compress(b"a page of the host's")
        async with connected("127.0.0.1", runner.addresses[0][1]) as client:
            await client.send(raw.request(b"content-encoding: gzip", path=b"/upload", body=body))
            await asyncio.wait_for(arrived.wait(), 10)
            client.leave()
        left.set()
        await asyncio.wait_for(done.wait(), 10)
    finally:
        await runner.cleanup()
    assert seen == [b"a page of the host's"]


async def test_the_hosts_access_log_is_its_own(
    upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "aiohttp.access")
    async with hosted(upstream, {}) as host:
        async with host.session.get(host.url + "/page") as response:
            assert response.status == 200
        async with host.session.post(
            host.url + "/llm/v1/messages", data=BODY, headers=HEADERS
        ) as response:
            assert response.status == 200
    lines = [each.getMessage() for each in caplog.records if each.name == "aiohttp.access"]
    assert ["/page" in lines[0], "/llm/v1/messages" in lines[1]] == [True, True]


async def test_a_shutdown_of_the_application_drains_the_gateway(upstream: RawUpstream) -> None:
    async with hosted(upstream, {}) as host:
        assert not host.gateway.draining
    assert host.gateway.draining
