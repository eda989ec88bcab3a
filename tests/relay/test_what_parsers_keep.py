"""An answer is what it is alone, whatever was odd about the one before it on the connection to the upstream."""

import gzip
import re

import pytest

from tests.support.client import Response, ask, request
from tests.support.gateways import BODY, STREAM_BODY
from tests.support.raw import MESSAGE, SSE_HEAD, STREAM, UpstreamSide, answer, chunk
from tests.support.scripts import gateway_before

_LENGTH = b"content-length: %d\r\n" % len(MESSAGE)
_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
_CHUNKED = _OK + b"transfer-encoding: chunked\r\n\r\n"


def _with_trailers(*trailers: bytes) -> bytes:
    return _CHUNKED + chunk(MESSAGE) + b"\r\n".join((b"0", *trailers, b"", b""))


def _with_lines(*lines: bytes) -> bytes:
    return _OK + b"\r\n".join(lines) + b"\r\n" + _LENGTH + b"\r\n" + MESSAGE


PLAIN = answer(MESSAGE, b"200 OK", b"x-of: the plain one")
ODD = {
    "retry-after as a trailer": _with_trailers(b"retry-after: 9"),
    "a coding as a trailer": _with_trailers(b"content-encoding: gzip"),
    "a coding as the last trailer but one": _with_trailers(b"content-encoding: gzip", b"x-a: b"),
    "a length as a trailer": _with_trailers(b"content-length: 5"),
    "chunks as a trailer": _with_trailers(b"transfer-encoding: chunked"),
    "an end as a trailer": _with_trailers(b"connection: close"),
    "an upgrade as a trailer": _with_trailers(b"upgrade: websocket", b"connection: upgrade"),
    "a type as a trailer": _with_trailers(b"content-type: text/event-stream"),
    "a trailer without a value": _with_trailers(b"x-empty:"),
    "a folded trailer": _with_trailers(b"x-folded: a", b" b"),
    "a trailer of a long name": _with_trailers(b"x-%b: 1" % (b"n" * 5000)),
    "chunk extensions": _CHUNKED + b'%x;a="b";c\r\n%b\r\n0;d=e\r\n\r\n' % (len(MESSAGE), MESSAGE),
    "chunks without a body": _CHUNKED + chunk(b""),
    "spaces behind a chunk's size": _CHUNKED
    + b"%x  \r\n%b\r\n0  \r\n\r\n" % (len(MESSAGE), MESSAGE),
    "chunks in lines ended by LF": (_CHUNKED + b"%x\n" % len(MESSAGE) + MESSAGE + b"\r\n0\r\n\r\n"),
    "no body": answer(b""),
    "lines ended by LF": answer().replace(b"\r\n", b"\n"),
    "a folded header": _with_lines(b"x-folded: a", b" b"),
    "a last header without a value": _OK + _LENGTH + b"x-empty:\r\n\r\n" + MESSAGE,
    "a header twice": _with_lines(b"server: a", b"server: b", b"etag: a", b"etag: b"),
    "an upgrade that is offered": _with_lines(b"upgrade: h2c", b"connection: upgrade"),
    "a coding": answer(gzip.compress(MESSAGE), b"200 OK", b"content-encoding: gzip"),
    "a coding of a stranger": _with_lines(b"content-encoding: x-unknown"),
    "no reason": answer(MESSAGE, b"200 "),
    "a long reason": answer(MESSAGE, b"200 " + b"r" * 5000),
    "HTTP/1.0 that stays open": _with_lines(b"connection: keep-alive").replace(b"1.1", b"1.0", 1),
    "an interim head with a length": b"HTTP/1.1 103 Early\r\ncontent-length: 7\r\n\r\n" + answer(),
    "an interim head with chunks": (
        b"HTTP/1.1 103 Early\r\ntransfer-encoding: chunked\r\nx-a: b\r\n\r\n" + answer()
    ),
    "a length that is not sent (304)": answer(b"", b"304 Not Modified", b"x-a: b").replace(
        b"length: 0", b"length: 7"
    ),
    "a length that is not sent (204)": answer(b"", b"204 No Content").replace(
        b"length: 0", b"length: 7"
    ),
    "an error": answer(b'{"type":"error"}', b"400 Bad Request", b"retry-after: 9"),
    "an error with trailers": _with_trailers(b"retry-after: 9").replace(b"200 OK", b"400 Bad"),
    "a stream with trailers": (
        SSE_HEAD + chunk(STREAM) + b"0\r\nrequest-id: req_first\r\ncontent-encoding: gzip\r\n\r\n"
    ),
    "a body that many reads bring": answer(b'{"content":[],"a":"%b"}' % (b"x" * 300_000)),
}


def _seen(response: Response) -> tuple[object, ...]:
    """Return all of a response that is not of its request alone."""
    own = {"date", "request-id"}
    fields = [pair for pair in response.headers.items() if pair[0].lower() not in own]
    return response.status, fields, re.sub(rb"req_01\w+", b"", response.body), response.whole


@pytest.mark.parametrize("odd", ODD)
async def test_an_answer_behind_an_odd_one_is_what_it_is_alone(odd: str) -> None:
    data = ODD[odd]
    # The first in the middle of a name, the last in that of the trailers, where there are any.
    pieces = (data[:25], data[25:-9], data[-9:-2], data[-2:])
    order = iter(((PLAIN,), (data,), (PLAIN,), (data,), pieces, (PLAIN,)))

    async def script(upstream: UpstreamSide) -> None:
        for piece in next(order):
            await upstream.send(piece)

    body = STREAM_BODY if "stream" in odd else BODY
    async with gateway_before(script, echo_model=False) as (upstream, gateway):
        alone, *behind = [_seen(await ask(gateway, request(body=body))) for _ in range(6)]
        assert [behind[1], behind[4]] == [alone, alone]
        assert behind[0] == behind[2] == behind[3]
        assert upstream.connections <= 4  # else nothing stood behind anything
