"""A defect of ours harms the request it is in, and no other; it is logged with its traceback; nothing looks whole."""

import asyncio
from typing import Any

import pytest

from proxy.app import assemble
from proxy.protocol import sse
from proxy.server.connection import Connection
from proxy.server.serve import listening
from tests.support.client import Response, ask, connected, request
from tests.support.gateways import STREAM_BODY, config_for
from tests.support.raw import EVENTS, SSE_HEAD, STREAM, UpstreamSide, answer, chunk, raw_upstream
from tests.support.scripts import gateway_before

DEFECT = "a defect of this test"


async def streams(exchange: UpstreamSide) -> None:
    for part in (SSE_HEAD, *map(chunk, EVENTS), chunk(b"")):
        await exchange.send(part)


async def test_a_stream_in_which_ours_fails_looks_broken_and_the_next_is_whole(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    feed = sse.StreamTap.feed
    seen = bytearray()

    def fail_once(tap: sse.StreamTap, data: bytes) -> bytes:
        begins = EVENTS[2] not in seen
        seen.extend(data)
        if begins and EVENTS[2] in seen:
            raise LookupError(DEFECT)
        return feed(tap, data)

    monkeypatch.setattr(sse.StreamTap, "feed", fail_once)
    async with gateway_before(streams) as (_, gateway):
        broken = await ask(gateway, request(body=STREAM_BODY))
        whole = await ask(gateway, request(body=STREAM_BODY))
    assert broken.status == 500 or not broken.whole  # as far as it had come
    assert whole.ending == "message"
    assert len(whole.body) >= len(STREAM) - 100
    assert DEFECT in caplog.text
    caplog.clear()
    assert [line.get("cause") for line in gateway.log] == ["internal", None]


async def test_a_line_that_cannot_be_written_costs_nobody_an_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(line: bytes) -> None:
        del line
        raise LookupError(DEFECT)

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(answer())

    async with raw_upstream(script) as upstream:
        config = config_for(upstream.url)
        async with (
            listening(assemble(config, refuse), config) as addresses,
            connected(*addresses[0]) as client,
        ):
            answers: list[Response] = []
            for _ in range(2):
                await client.send(request())
                answers.append(await client.answer())
    assert [each.status for each in answers] == [200, 200]
    assert caplog.text.count(DEFECT) == 2
    caplog.clear()


async def test_a_defect_behind_an_answer_ends_its_connection_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    note = Connection.log_access
    defects = iter([LookupError(DEFECT)])

    def fail_once(connection: Connection, *args: Any) -> None:
        for defect in defects:
            raise defect
        note(connection, *args)

    monkeypatch.setattr(Connection, "log_access", fail_once)

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(answer())

    async with gateway_before(script) as (_, gateway):
        async with connected(gateway.host, gateway.port) as client:
            await client.send(request())
            assert (await client.answer()).status == 200
            async with asyncio.timeout(5):
                assert await client.reader.read() == b""
        assert (await ask(gateway, request())).status == 200
    assert DEFECT in caplog.text
    caplog.clear()
