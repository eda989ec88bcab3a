"""What an upstream says too late, or too much, is taken for the answer of no other request."""

import asyncio
import dataclasses

import pytest

from proxy import Key
from proxy.access.keys import digest
from tests.support.client import ask, request
from tests.support.gateways import config_for, running
from tests.support.raw import MESSAGE, UpstreamSide, answer, chunk, raw_upstream

FORGED = answer(b'{"forged": true}')


@pytest.mark.parametrize("size", [1, 9, 40, len(FORGED)], ids=str)
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_connection_that_had_a_byte_too_many_is_closed(framing: str, size: int) -> None:
    """The rest of a second answer would be taken for the one to the next request."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    if framing == "length":
        first = answer()
    else:
        first = head + b"transfer-encoding: chunked\r\n\r\n" + chunk(MESSAGE) + chunk(b"")

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(first + FORGED[:size])

    async with raw_upstream(script) as upstream, running(config_for(upstream.url)) as gateway:
        for _ in range(2):
            assert b"forged" not in (await ask(gateway, request())).body
            await upstream.all_closed.wait()
        assert upstream.connections == 2


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\na: b\0c", id="nul_in_half_a_head"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"a: b", id="too_many_fields"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", id="half_a_body"),
    ],
)
async def test_a_second_answer_that_is_broken_off_is_as_good_as_a_whole_one(more: bytes) -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(answer() + more)

    async with raw_upstream(script) as upstream, running(config_for(upstream.url)) as gateway:
        for _ in range(2):
            assert (await ask(gateway, request())).status == 200
            await upstream.all_closed.wait()
        assert upstream.connections == 2


@pytest.mark.parametrize("step", [1, 7], ids=str)
async def test_a_byte_too_many_is_seen_in_whatever_pieces_an_answer_comes(step: int) -> None:
    data = answer() + b"H"

    async def script(exchange: UpstreamSide) -> None:
        for start in range(0, len(data) - step - 1, step):
            await exchange.send(data[start : start + step])
            await asyncio.sleep(0)
        await exchange.send(data[start + step :])

    async with raw_upstream(script) as upstream, running(config_for(upstream.url)) as gateway:
        for _ in range(2):
            assert (await ask(gateway, request())).status == 200
            await upstream.all_closed.wait()
        assert upstream.connections == 2


async def test_what_an_upstream_says_too_late_reaches_no_other_clients_requests() -> None:
    """HTTP/1.1 has no word for which request an answer is to: each key has connections of its own."""
    others = [f"ar-other-key-{number}" for number in range(15)]
    asked = asyncio.Event()

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(answer())
        if len(upstream.requests) == 1:
            await asked.wait()
            await exchange.send(answer(b'{"of_another": true}'))

    async with raw_upstream(script) as upstream:
        keys = tuple(Key(f"other-{number}", digest(key)) for number, key in enumerate(others))
        config = config_for(upstream.url)
        async with running(dataclasses.replace(config, keys=config.keys + keys)) as gateway:
            assert (await ask(gateway, request())).status == 200
            for key in others:
                if key is others[-1]:
                    asked.set()
                reply = await ask(gateway, request(headers={"x-api-key": key}))
                assert (reply.status, b"of_another" in reply.body) == (200, False)
            # One each, and not one for all.
            assert upstream.connections == 1 + len(others)


async def test_the_requests_of_one_key_share_connections() -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(answer())

    async with raw_upstream(script) as upstream, running(config_for(upstream.url)) as gateway:
        for path in ("/v1/messages", "/v1/messages?beta=true", "/v1/messages/count_tokens"):
            assert (await ask(gateway, request(path=path.encode()))).status == 200
        assert upstream.connections == 1
