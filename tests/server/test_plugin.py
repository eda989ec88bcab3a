"""The gateway as a part of somebody's application, and as one of its own."""

import asyncio
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
from tests.support.gateways import BODY, HEADERS, MODEL, STREAM_BODY, config_for
from tests.support.raw import (
    EVENTS,
    SSE_HEAD,
    STREAM,
    RawUpstream,
    UpstreamSide,
    answer,
    chunk,
    raw_upstream,
)
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
async def hosted(
    upstream: RawUpstream, options: dict[str, Any], **more: Any
) -> AsyncIterator[Host]:
    """Run a host; `more` goes to `setup`."""
    app = web.Application(middlewares=[hosts_own])
    app.router.add_get("/page", page)
    app.router.add_get("/llm/page", page)
    log: list[dict[str, Any]] = []
    config = config_for(upstream.url, listen=proxy.Listen(base_path="/llm"))
    gateway = proxy.setup(
        app, config, access_log=lambda line: log.append(msgspec.json.decode(line)), **more
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


USERS = {"anna": proxy.Key("anna"), "bob": proxy.Key("bob", models=("anthropic/claude-opus-*",))}


async def by_session(request: web.Request) -> proxy.Key | None:
    """Find the user of a session."""
    if (session := request.cookies.get("session")) == "over":
        raise web.HTTPUnauthorized
    return USERS.get(session or "")


@pytest.mark.parametrize(
    ("headers", "status", "name"),
    [
        ({"cookie": "session=anna"}, 200, "anna"),
        ({"cookie": "session=bob"}, 403, "bob"),
        ({"cookie": "session=nobody"}, 401, None),
        ({"cookie": "session=nobody", "x-api-key": HEADERS["x-api-key"]}, 200, "tester"),
        ({"cookie": "session=over", "x-api-key": HEADERS["x-api-key"]}, 401, None),
    ],
    ids=["a user", "a user of other models", "nobody", "a key", "refused by the host"],
)
async def test_the_hosts_own_users_may_use_it(
    upstream: RawUpstream, headers: dict[str, str], status: int, name: str | None
) -> None:
    async with hosted(upstream, {}, authenticate=by_session) as host:
        sent = {**HEADERS, "x-api-key": "", **headers}
        async with host.session.post(
            host.url + "/llm/v1/messages", data=BODY, headers=sent
        ) as response:
            assert response.status == status
            told = await response.json()
    assert ("error" in told) is (status != 200)
    (line,) = host.log
    assert (line["status"], line.get("key")) == (status, name)
    for each in upstream.requests:
        assert b"session" not in each.head


async def test_each_response_of_the_gateway_is_marked_for_middlewares_and_signals() -> None:
    passed: list[bool] = []
    prepared: list[bool] = []

    @web.middleware
    async def look(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        passed.append(proxy.FROM_GATEWAY in response)
        response.enable_compression()
        return response

    async def sign(_request: web.Request, response: web.StreamResponse) -> None:
        prepared.append(proxy.FROM_GATEWAY in response)

    async def script(exchange: UpstreamSide) -> None:
        is_stream = b'"stream"' in exchange.body
        await exchange.send(SSE_HEAD + chunk(STREAM) + chunk(b"") if is_stream else answer())

    async with raw_upstream(script) as upstream:
        app = web.Application(middlewares=[look])
        app.router.add_get("/page", page)
        app.on_response_prepare.append(sign)
        proxy.setup(app, config_for(upstream.url), access_log=None)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            async with aiohttp.ClientSession() as session:
                async with session.get(f"{url}/page") as response:
                    assert response.headers["content-encoding"] == "deflate"
                for path, body in (
                    ("v1/messages", BODY),
                    ("v1/messages", STREAM_BODY),
                    ("v1/nothing", BODY),
                ):
                    async with session.post(
                        f"{url}/api/{path}", data=body, headers=HEADERS
                    ) as response:
                        text = await response.read()
                        if body is STREAM_BODY:
                            assert "content-encoding" not in response.headers
                            assert text.count(b"message_stop") == 2
                async with session.get(f"{url}/api/healthz") as response:
                    assert response.status == 200
        finally:
            await runner.cleanup()
    assert passed == [False, True, True, True, True]
    assert prepared == passed


async def test_a_gateway_that_nobody_has_a_key_for_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = config_for("http://127.0.0.1:9", keys=())
    proxy.setup(web.Application(), config, authenticate=by_session)
    assert not caplog.records
    proxy.setup(web.Application(), config)
    assert [each.getMessage() for each in caplog.records] == [
        "no keys are configured: every request is refused with a 401"
    ]


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
            assert name in {"RUNNER_OPTIONS", "FROM_GATEWAY"}
