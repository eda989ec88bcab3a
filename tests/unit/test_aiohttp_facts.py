"""What the gateway relies on in aiohttp beyond its documented API: named here, and shown to hold."""

import asyncio
import collections
import contextlib
import functools
import hashlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import http_parser, web
from aiohttp.client_proto import ResponseHandler
from aiohttp.web_middlewares import _fix_request_current_app
from aiohttp.web_protocol import _ErrInfo
from multidict import CIMultiDict
from yarl import URL

from proxy.aiohttp_fast import client as upstream_http
from proxy.aiohttp_fast.reading import take_piece
from proxy.server.connection import Connection

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@contextlib.asynccontextmanager
async def listening(factory: Callable[[], asyncio.Protocol]) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Answering(asyncio.Protocol):
    """Answers whatever comes with a head whose body is still to come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods, not the base class.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        del data
        self.transport.write(OK[:-2])


def test_the_parser_is_the_compiled_one() -> None:
    for compiled, pure in (
        (http_parser.HttpRequestParser, http_parser.HttpRequestParserPy),
        (http_parser.HttpResponseParser, http_parser.HttpResponseParserPy),
    ):
        assert compiled is not pure
        assert compiled.__module__ == "aiohttp._http_parser"


def test_the_version_is_the_one_these_facts_were_read_in() -> None:
    assert aiohttp.__version__.startswith("3.14.")


async def test_connector_factory_makes_the_protocol_of_a_new_connection() -> None:
    """`TCPConnector._factory`, private, in proxy/aiohttp_fast/client.py."""
    async with aiohttp.TCPConnector() as connector:
        factory = connector._factory
        assert isinstance(factory, functools.partial)
        assert factory.func is ResponseHandler
        assert factory.keywords == {"loop": asyncio.get_running_loop()}
    async with listening(Answering) as port:
        client = upstream_http.Client(5, 60)
        target = upstream_http.RequestTemplate(URL(f"http://127.0.0.1:{port}/"), "")
        answer = await client.post(target, b"", [b""], lambda: None)
        connection = answer.connection
        assert connection is not None
        assert (connection._requests, connection._heard) == (1, True)
        answer.close()
        await client.close()


def test_the_protocol_of_the_pool_is_made_as_aiohttps_own() -> None:
    parameters = inspect.signature(ResponseHandler.__init__).parameters
    assert list(parameters) == ["self", "loop"]


class Recording(web.RequestHandler):
    """Notes which of the hooks of proxy/server/connection.py are called, in order."""

    __slots__ = ("calls",)

    def __init__(self, calls: list[Any], server: web.Server) -> None:
        options: dict[str, Any] = {"access_log": None}
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self.calls = calls

    def log_access(self, request: Any, response: Any, time: float | None) -> None:
        del request, time
        self.calls.append(("log_access", response.status))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        self.calls.append(("handle_error", status, type(exc).__name__, bool(message)))
        assert request.remote == "127.0.0.1"
        return web.Response(status=418)


async def _calls(
    sent: bytes,
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] | None = None,
) -> tuple[list[Any], bytes]:
    """Send bytes to a server of recording connections; give the calls and the answer."""
    calls: list[Any] = []

    async def fine(request: web.BaseRequest) -> web.StreamResponse:
        del request
        calls.append("handler")
        return web.Response(text="ok")

    server = web.Server(handler or fine)
    make_request = server.request_factory

    def noted(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> Any:
        assert isinstance(protocol, Recording)
        calls.append(("request_factory", message.path))
        return make_request(message, payload, protocol, writer, task)

    server.request_factory = noted
    async with listening(lambda: Recording(calls, server)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    await server.shutdown(1)
    return calls, answer


async def test_request_factory_is_called_at_each_head_and_log_access_once_an_answer_is_written() -> (
    None
):
    """`_busy` in proxy/server/connection.py begins at the one and ends at the other."""
    get = b"GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n"
    calls, answer = await _calls(get % (b"/1", b"") + get % (b"/2", b"Connection: close\r\n"))
    once = ["handler", ("log_access", 200)]
    assert calls == [("request_factory", "/1"), *once, ("request_factory", "/2"), *once]
    assert answer.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    "sent",
    [b"\x16\x03\x01 no HTTP\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
    ids=["no_http", "two_hosts"],
)
async def test_handle_error_words_the_answer_to_what_is_not_http(sent: bytes) -> None:
    calls, answer = await _calls(sent)
    assert next(call for call in calls if call[0] == "handle_error")[:2] == ("handle_error", 400)
    assert "handler" not in calls
    assert answer.startswith(b"HTTP/1.0 418 ")


async def test_handle_error_is_asked_for_a_500_when_a_handler_raises() -> None:
    async def broken(request: web.BaseRequest) -> web.StreamResponse:
        del request
        raise RuntimeError

    calls, _ = await _calls(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", broken)
    assert ("handle_error", 500, "RuntimeError", False) in calls


def test_our_hooks_have_the_signatures_of_aiohttps() -> None:
    for name in ("log_access", "handle_error", "data_received", "connection_made", "eof_received"):
        ours, theirs = getattr(Connection, name), getattr(web.RequestHandler, name)
        assert list(inspect.signature(ours).parameters) == list(
            inspect.signature(theirs).parameters
        )


def test_a_protocol_knows_its_loop() -> None:
    """`RequestHandler._loop`, inherited from aiohttp's BaseProtocol, in proxy/server/."""
    assert "_loop" in {slot for base in web.RequestHandler.__mro__ for slot in _slots(base)}


def _slots(base: type) -> tuple[str, ...]:
    return tuple(getattr(base, "__slots__", ()))


def _digest(function: Callable[..., Any]) -> str:
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]


REPLACED: dict[str, tuple[Callable[..., Any], str]] = {
    "RequestHandler.start and what it calls": (web.RequestHandler.start, "2e565fd40c8e04fb"),
    "Shortcut.__call__": (web.Application._handle, "1294b2b208b126cb"),
    "Shortcut.__init__": (_fix_request_current_app, "4c86c08447971719"),
    "upstream_http.post": (aiohttp.ClientSession._request, "32986b8105faf5f8"),
    "UpstreamConnection.ask": (aiohttp.ClientRequest.send, "82b495aa06760c64"),
    "UpstreamResponse.__init__": (aiohttp.ClientResponse.start, "bcbf178da3660180"),
    "_OneWrite.prepare": (web.StreamResponse._prepare_headers, "92807d25d9c397cd"),
    "_OneWrite.prepare, in its order": (web.StreamResponse._start, "7e03ebd82e7f9f98"),
    "RequestTemplate.connection_key": (
        vars(aiohttp.ClientRequest)["connection_key"].fget,
        "0976f2a8d42abf05",
    ),
}


@pytest.mark.parametrize("ours", REPLACED)
def test_what_we_replace_is_what_was_read(ours: str) -> None:
    """A fast path does what aiohttp's own code does; when that changes, both are to be read again."""
    theirs, digest = REPLACED[ours]
    assert _digest(theirs) == digest


@pytest.mark.parametrize(
    "name",
    [
        *("_messages", "_waiter", "_parser", "_request_handler", "_request_factory", "_close"),
        *("_task_handler", "_buffer_paused", "_pause_reading_for_buffer", "_force_close", "_loop"),
        *("_resume_reading_if_drained", "_make_error_handler", "_handle_request", "_keepalive"),
        *("_reading_paused", "_lingering_time"),
    ],
)
def test_a_connection_has_what_start_uses(name: str) -> None:
    """Private to `web.RequestHandler`, in proxy/aiohttp_fast/request_handler.py."""
    assert hasattr(Connection, name)


async def test_to_keep_a_connection_alive_takes_off_the_timer_for_idle_ones() -> None:
    """`RequestHandler.keep_alive`, in proxy/aiohttp_fast/request_handler.py; `_keepalive_handle`, private, shows it."""
    calls: list[Any] = []
    server = web.Server(lambda _: web.Response())  # type: ignore[arg-type,return-value] # asked nothing
    connection = Recording(calls, server)
    connection._keepalive_handle = asyncio.get_running_loop().call_later(60, calls.append, "closed")
    connection.keep_alive(True)
    assert connection._keepalive_handle is None


def test_an_error_in_the_queue_has_a_status_and_a_message() -> None:
    """`aiohttp.web_protocol._ErrInfo`, private, in proxy/aiohttp_fast/request_handler.py."""
    error = _ErrInfo(431, ValueError(), "why")
    assert (error.status, error.message) == (431, "why")
    assert not hasattr(error, "version")
    assert not hasattr(error, "raw_headers")


def test_a_response_takes_headers_over() -> None:
    """`StreamResponse`'s `_real_headers`, private, in proxy/aiohttp_fast/response.py."""
    fields = CIMultiDict({"a": "b"})
    assert web.StreamResponse(_real_headers=fields).headers is fields


async def test_a_response_that_says_it_is_sent_is_not_sent_again() -> None:
    """`StreamResponse._eof_sent`, private, in proxy/relay/buffered.py."""
    response = web.StreamResponse()
    response._eof_sent = True
    assert response.prepared
    await response.write_eof()


def test_a_request_asks_its_applications_before_it_is_answered() -> None:
    """`Request._prepare_hook` and `Request._match_info`, private, in buffered.py and static_routes.py."""
    assert list(inspect.signature(web.Request._prepare_hook).parameters) == ["self", "response"]
    assert web.Request._match_info is None


PIECES: dict[str, tuple[bytes, ...]] = {
    "one": (b"a",),
    "two": (b"a", b"b"),
    "more than is taken at once": (b"a" * (1 << 19),),
    "one by one": (b"a", b"bc", b"d", b"e"),
}


@pytest.mark.parametrize("at_once", [True, False], ids=["read when all came", "read at each"])
@pytest.mark.parametrize("framed", [True, False], ids=["in chunks", "by its length"])
@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES.keys())
async def test_a_piece_is_taken_as_read_nowait_reads_it(
    pieces: tuple[bytes, ...],
    framed: bool,  # noqa: FBT001 - parameters of the test
    at_once: bool,  # noqa: FBT001
) -> None:
    """`StreamReader`'s private state, in proxy/aiohttp_fast/reading.py: the same is given, and left, each time."""
    field = b"transfer-encoding: chunked" if framed else b"content-length: 9999999"
    told: list[list[Any]] = []
    for read in (aiohttp.StreamReader.read_nowait, take_piece):
        protocol = ResponseHandler(asyncio.get_running_loop())
        protocol.set_response_params()
        protocol.data_received(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % field)
        reader = protocol._payload
        assert isinstance(reader, aiohttp.StreamReader)
        seen: list[Any] = []
        for number, piece in enumerate(pieces, 1):
            protocol.data_received(b"%x\r\n%b\r\n" % (len(piece), piece) if framed else piece)
            if number == len(pieces) or not at_once:
                seen.append((read(reader), _state(reader), protocol._reading_paused))
        reader.set_exception(aiohttp.ClientPayloadError())
        with pytest.raises(aiohttp.ClientPayloadError):
            read(reader)
        told.append(seen)
    assert told[0] == told[1]
    assert b"".join(given for given, *_ in told[1]) == b"".join(pieces)


def _state(reader: aiohttp.StreamReader) -> dict[str, Any]:
    values = {name: getattr(reader, name) for name in aiohttp.StreamReader.__slots__}
    del values["_protocol"], values["_timer"]  # each its own
    return {
        name: list(value) if isinstance(value, collections.deque) else value
        for name, value in values.items()
    }
