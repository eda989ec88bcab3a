"""A connection to an upstream carries one answer after the other, each framed by its own head alone."""

import itertools

import pytest

from tests.support.client import ask, request
from tests.support.gateways import BODY
from tests.support.raw import MESSAGE, UpstreamSide, answer, chunk
from tests.support.scripts import gateway_before

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
_CHUNKED = _HEAD + b"transfer-encoding: chunked\r\n\r\n"
_HALVES = chunk(MESSAGE[:50]) + chunk(MESSAGE[50:])
LONG = b'{"content":[],"text":"%b"}' % (b"x" * 200_000)
ANSWERS = {
    "length": (answer(), MESSAGE),
    "chunks": (_CHUNKED + _HALVES + chunk(b""), MESSAGE),
    "trailers": (_CHUNKED + _HALVES + b"0\r\nx-trailer: 1\r\n\r\n", MESSAGE),
    "an interim head": (b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + answer(), MESSAGE),
    "a long body": (answer(LONG), LONG),
    "an error": (answer(b'{"type":"error"}', b"400 Bad Request"), b'{"type":"error"}'),
}


@pytest.mark.parametrize(("first", "second"), list(itertools.product(ANSWERS, repeat=2)), ids=str)
async def test_each_answer_of_a_connection_is_framed_by_its_own_head(
    first: str, second: str
) -> None:
    order = iter((first, second, first))

    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(ANSWERS[next(order)][0])

    async with gateway_before(script, echo_model=False) as (upstream, gateway):
        bodies = [(await ask(gateway, request(body=BODY))).body for _ in range(3)]
        assert bodies == [ANSWERS[name][1] for name in (first, second, first)]
        assert upstream.connections == 1
