"""What a host application brings along: its users, its middlewares and handlers, its access log."""

import dataclasses
import inspect
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

import proxy
from proxy.gateway import GATEWAY
from tests.server.hosting import hosted, page
from tests.support import client as raw
from tests.support.client import connected
from tests.support.gateways import BODY, HEADERS, STREAM_BODY, config_for
from tests.support.raw import (
    SSE_HEAD,
    STREAM,
    RawUpstream,
    UpstreamSide,
    answer,
    chunk,
    raw_upstream,
)
from tests.support.refusals import refusal

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


async def test_what_a_key_has_left_is_among_the_headers_that_signals_see(
    upstream: RawUpstream,
) -> None:
    seen: list[str | None] = []

    async def sign(_request: web.Request, response: web.StreamResponse) -> None:
        seen.append(response.headers.get("anthropic-ratelimit-requests-limit"))

    async def limited(_request: web.Request) -> proxy.Key:
        return proxy.Key("anna", limits=proxy.RateLimits(requests_per_minute=60))

    app = web.Application()
    app.on_response_prepare.append(sign)
    proxy.setup(app, config_for(upstream.url), access_log=None, authenticate=limited)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v1/messages"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=BODY, headers=HEADERS) as response,
        ):
            assert response.headers.getall("anthropic-ratelimit-requests-limit") == ["60"]
    finally:
        await runner.cleanup()
    assert seen == ["60"]


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


WRONG = {
    "the name of a file": (
        "anyrouter.yaml",
        None,
        "config: must be a proxy.Config, .* it is a str",
    ),
    "no configuration": (None, None, "config: must be a proxy.Config, .* it is a NoneType"),
    "a user": (
        config_for("http://127.0.0.1:9"),
        proxy.Key("anna"),
        "authenticate: must be a coroutine",
    ),
}


@pytest.mark.parametrize(("config", "authenticate", "said"), WRONG.values(), ids=WRONG)
def test_what_setup_cannot_take_is_told_at_once(config: Any, authenticate: Any, said: str) -> None:
    app = web.Application()
    with pytest.raises(TypeError, match=said):
        proxy.setup(app, config, authenticate=authenticate)
    assert not list(app.router.resources())


@pytest.mark.parametrize("is_ours", [True, False], ids=["a gateway", "a part of the host's"])
def test_a_base_path_that_another_part_of_the_application_has_is_refused(is_ours: bool) -> None:  # noqa: FBT001 - a parameter of the table
    app, config = web.Application(), config_for("http://127.0.0.1:9")
    if is_ours:
        proxy.setup(app, config)
    else:
        app.add_subapp("/api/", web.Application())
    with pytest.raises(
        proxy.ConfigError, match=r"^listen.base_path: .* below /api already .*; take"
    ):
        proxy.setup(app, config)
    other = dataclasses.replace(config, listen=proxy.Listen(base_path="/llm"))
    assert proxy.setup(app, other).snapshot.config is other


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
