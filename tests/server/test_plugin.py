"""The gateway as a part of somebody's application, and as one of its own."""

import contextlib
import gzip
import inspect
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

import proxy
from proxy.gateway import GATEWAY
from tests.support import client as raw
from tests.support.client import connected
from tests.support.gateways import BODY, HEADERS, MODEL, config_for
from tests.support.raw import RawUpstream, UpstreamSide, raw_upstream
from tests.support.refusals import refusal

RUNNERS: dict[str, dict[str, Any]] = {"plain options": {}, "ours": proxy.RUNNER_OPTIONS}


@web.middleware
async def hosts_own(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Mark what passes the host's middleware."""
    try:
        response = await handler(request)
    except web.HTTPNotFound:
        return web.Response(status=404, text="the host's own 404", headers={"x-host": "1"})
    if not response.prepared:
        response.headers["x-host"] = "1"
    return response


async def page(_request: web.Request) -> web.Response:
    return web.Response(text="a page")


class Host:
    """An application that listens, with a gateway under /llm."""

    def __init__(
        self, url: str, port: int, session: aiohttp.ClientSession, gateway: proxy.Gateway
    ) -> None:
        self.url = url
        self.port = port
        self.session = session
        self.gateway = gateway
        self.log: list[dict[str, Any]] = []


@contextlib.asynccontextmanager
async def hosted(upstream: RawUpstream, options: dict[str, Any]) -> AsyncIterator[Host]:
    """Run a host."""
    app = web.Application(middlewares=[hosts_own])
    app.router.add_get("/page", page)
    app.router.add_get("/llm/page", page)
    log: list[dict[str, Any]] = []
    config = config_for(upstream.url, listen=proxy.Listen(base_path="/llm"))
    gateway = proxy.setup(
        app, config, access_log=lambda line: log.append(msgspec.json.decode(line))
    )
    app.router.add_get("/later", page)
    runner = web.AppRunner(app, **options)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession() as session:
            host = Host(f"http://127.0.0.1:{port}", port, session, gateway)
            host.log = log
            yield host
    finally:
        await runner.cleanup()


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


async def test_with_our_options_a_client_that_leaves_ends_the_upstreams_call() -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.until_closed()

    async with (
        raw_upstream(script) as upstream,
        hosted(upstream, proxy.RUNNER_OPTIONS) as host,
        connected("127.0.0.1", host.port) as client,
    ):
        await client.send(raw.request(path=b"/llm/v1/messages"))
        await upstream.arrived.wait()
        client.leave()
        await upstream.all_closed.wait()
    assert [line["cause"] for line in host.log] == ["client_closed"]


async def test_create_app_serves_under_both_paths_in_any_runner(upstream: RawUpstream) -> None:
    app = proxy.create_app(config_for(upstream.url), access_log=None)
    assert isinstance(app[GATEWAY], proxy.Gateway)
    runner = web.AppRunner(app, **proxy.RUNNER_OPTIONS)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with connected("127.0.0.1", runner.addresses[0][1]) as client:
            for path in (b"/api/v1/messages", b"/v1/messages"):
                await client.send(raw.request(path=path))
                assert (await client.answer()).status == 200
    finally:
        await runner.cleanup()


async def fail(_request: web.Request) -> web.Response:
    raise LookupError("a defect")


async def refuse(_request: web.Request) -> web.Response:
    raise web.HTTPConflict(reason="not now")


@pytest.mark.parametrize(
    ("handler", "status", "error_type"),
    [(fail, 500, "api_error"), (refuse, 400, "invalid_request_error")],
)
async def test_what_a_further_handler_raises_has_the_apis_shape(
    upstream: RawUpstream,
    handler: Handler,
    status: int,
    error_type: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = proxy.create_app(config_for(upstream.url), access_log=None)
    app.router.add_get("/further", handler)
    runner = web.AppRunner(app, **proxy.RUNNER_OPTIONS)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/further"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=HEADERS) as response,
        ):
            error = await refusal(response, status, error_type)
    finally:
        await runner.cleanup()
    assert "a defect" not in error["message"]
    assert ("a defect" in caplog.text) == (status == 500)


async def test_without_another_sink_access_lines_go_to_a_logger(
    upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "anyrouter.access")
    runner = web.AppRunner(proxy.create_app(config_for(upstream.url)), **proxy.RUNNER_OPTIONS)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with connected("127.0.0.1", runner.addresses[0][1]) as client:
            await client.send(raw.request())
            await client.answer()
    finally:
        await runner.cleanup()
    (record,) = [each for each in caplog.records if each.name == "anyrouter.access"]
    assert msgspec.json.decode(record.getMessage())["status"] == 200


def test_every_public_name_is_documented_and_typed() -> None:
    for name in proxy.__all__:
        value = getattr(proxy, name)
        if inspect.isclass(value):
            assert inspect.getdoc(value), name
        elif inspect.isfunction(value):
            assert inspect.getdoc(value), name
            signature = inspect.signature(value)
            assert signature.return_annotation is not inspect.Signature.empty, name
            for parameter in signature.parameters.values():
                assert parameter.annotation is not inspect.Parameter.empty, (name, parameter)
        else:
            assert name == "RUNNER_OPTIONS"
