"""A trailer of one request is no header of the next, whoever serves: behind a request in chunks a connection closes."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

import proxy
from proxy import Admin, AdminKey, Listen
from proxy.access.keys import digest
from proxy.admin.app import create_app as create_admin_app
from tests.support.client import connected, parse, request
from tests.support.gateways import BODY, KEY, STREAM_BODY, Running, config_for
from tests.support.raw import SSE_HEAD, STREAM, RawUpstream, answer, chunk, raw_upstream
from tests.support.scripts import gateway_before, says

CHUNKED = b"transfer-encoding: chunked"
KEYLESS = request().replace(b"x-api-key: " + KEY.encode() + b"\r\n", b"")
STREAMED = (SSE_HEAD, chunk(STREAM), chunk(b""))
ADMIN_KEY = "ara-writer-0123456789-abcdefghijk"


def in_chunks(*trailers: bytes, body: bytes = BODY, path: bytes = b"/api/v1/messages") -> bytes:
    """Frame a request with trailers."""
    framed = chunk(body) + b"\r\n".join((b"0", *trailers, b"", b""))
    return request(CHUNKED, body=framed, length=False, path=path)


# The last trailer of a request, and what comes behind that.
TRAILERS = {
    "a key": (in_chunks(b"x-api-key: " + KEY.encode()), KEYLESS),
    "a key, of a request that has none itself": (
        in_chunks(b"x-api-key: " + KEY.encode()).replace(KEY.encode(), b"ar-none", 1),
        KEYLESS,
    ),
    "a coding": (in_chunks(b"content-encoding: gzip"), request()),
    "a coding, not the last": (in_chunks(b"content-encoding: gzip", b"x-a: b"), request()),
    "an expectation": (in_chunks(b"expect: 100-continue"), request()),
    "what is to be dropped": (in_chunks(b"connection: anthropic-version"), request()),
    "what is forwarded": (in_chunks(b"anthropic-beta: of-another"), request()),
    "no value": (in_chunks(b"x-empty:"), request()),
    "none": (in_chunks(), request()),
    "of a path that is not served": (in_chunks(b"x-api-key: a", path=b"/nothing"), request()),
}


@pytest.mark.parametrize("at_once", [False, True], ids=["behind the answer", "at once"])
@pytest.mark.parametrize(("first", "second"), TRAILERS.values(), ids=TRAILERS)
async def test_nothing_behind_a_request_in_chunks_is_answered_or_relayed(
    gateway: Running, upstream: RawUpstream, first: bytes, second: bytes, *, at_once: bool
) -> None:
    async with connected(gateway.host, gateway.port) as client:
        await client.send(first + second if at_once else first)
        answered = await client.answer()
        if not at_once:
            with contextlib.suppress(ConnectionError):
                await client.send(second)
        assert await client.until_closed() == b""
    assert answered.headers["connection"] == "close"
    assert len(gateway.log) == 1
    assert len(upstream.requests) == (answered.status == 200)


async def test_a_stream_for_a_request_in_chunks_is_whole_and_then_closed() -> None:
    asked = in_chunks(b"x-api-key: " + KEY.encode(), body=STREAM_BODY)
    async with (
        gateway_before(says(*STREAMED)) as (upstream, gateway),
        connected(gateway.host, gateway.port) as client,
    ):
        await client.send(asked + KEYLESS)
        response = parse(await client.until_closed())
        assert response is not None
        assert response.ending == "message"
        assert len(upstream.requests) == 1


async def test_behind_a_request_with_its_length_the_connection_stays(gateway: Running) -> None:
    async with connected(gateway.host, gateway.port) as client:
        for _ in range(2):
            await client.send(request())
            assert (await client.answer()).status == 200


def _mounted(upstream_url: str) -> web.Application:
    app = web.Application()
    proxy.setup(app, config_for(upstream_url, listen=Listen(base_path="/api")))
    return app


def _admin(upstream_url: str) -> web.Application:
    admin = Admin(keys=(AdminKey("ops", digest(ADMIN_KEY), "write"),))
    return create_admin_app(config_for(upstream_url, admin=admin))


def _alone(upstream_url: str) -> web.Application:
    return proxy.create_app(config_for(upstream_url))


APPLICATIONS = {
    "a gateway's": (_alone, b"/api/v1/messages", KEY, 200),
    "a gateway in another": (_mounted, b"/api/v1/messages", KEY, 200),
    "the admin API": (_admin, b"/admin/v1/nothing", ADMIN_KEY, 404),
}


@contextlib.asynccontextmanager
async def _served(app: web.Application) -> AsyncIterator[tuple[str, int]]:
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][:2]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("application", APPLICATIONS)
@pytest.mark.parametrize(
    ("body", "served"),
    [(BODY, (answer(),)), (STREAM_BODY, STREAMED)],
    ids=["a message", "a stream"],
)
async def test_an_application_that_another_server_runs_closes_there_too(
    application: str, body: bytes, served: tuple[bytes, ...]
) -> None:
    make, path, key, status = APPLICATIONS[application]
    first = in_chunks(b"x-api-key: " + key.encode(), body=body, path=path)
    second = KEYLESS.replace(b"/api/v1/messages", path)
    async with (
        raw_upstream(says(*served)) as upstream,
        _served(make(upstream.url)) as address,
        connected(*address) as client,
    ):
        await client.send(first.replace(KEY.encode(), key.encode(), 1) + second)
        everything = await client.until_closed()
    assert everything.startswith(b"HTTP/1.1 %d " % status)
    assert everything.count(b"HTTP/1.1 ") == 1
