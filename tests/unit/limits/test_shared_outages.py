"""Limits that processes share, while their server is away, frozen, lossy or new."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import LimitsUnavailable
from proxy.limits.shared import Shared
from proxy.limits.verdict import Refusal, Rule
from tests.support.redis_server import RedisServer
from tests.unit.limits.making import PERIODS, policy_of
from tests.unit.limits.processes import PATIENT_S, a_process, until, until_settled


async def test_a_frozen_server_holds_up_a_few_requests_for_its_time_and_then_none(
    redis_server: RedisServer,
) -> None:
    async with a_process(redis_server.url) as process:
        policy = policy_of(process.local, key={"requests_per_minute": 50})
        await process.granted(policy)
        redis_server.freeze()
        process.shared._server.timeout_s = 0.05  # only now: a busy machine's answer may take longer
        waited = 0
        while not process.shared.in_outage:
            await process.granted(policy)
            waited += 1
        assert 1 <= waited <= 5
        step = process.admit(policy)
        with pytest.raises(StopIteration):
            step.send(None)  # it has waited for nothing
        process.shared._server.timeout_s = PATIENT_S
        redis_server.thaw()
        await until(lambda: not process.shared.in_outage)
        assert (await process.granted(policy)).readings is not None


async def test_a_frozen_server_adds_its_time_to_fewer_than_one_request_in_a_hundred(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes = 0
    probe = Shared._probe

    async def counted(shared: Shared) -> None:
        nonlocal probes
        probes += 1
        await probe(shared)

    monkeypatch.setattr(Shared, "_probe", counted)
    async with a_process(redis_server.url, 0.05) as process:
        policy = policy_of(process.local, key={"requests_per_minute": 10**6})
        await process.granted(policy)
        redis_server.freeze()
        took_s = []
        for _ in range(1000):
            began_s = time.perf_counter()
            await process.granted(policy)
            took_s.append(time.perf_counter() - began_s)
        assert process.shared.in_outage
        assert sorted(took_s)[990] <= 0.06
        # One probe is out, which is answered now or given up within a second; the next one is a second later.
        redis_server.thaw()
        probes = 0
        await until(lambda: not process.shared.in_outage)
        assert probes <= 2


async def test_in_an_outage_each_process_goes_on_from_what_it_knew(
    redis_server: RedisServer,
) -> None:
    async with a_process(redis_server.url) as one, a_process(redis_server.url) as other:
        terms: dict[str, Any] = {"max_in_flight": 3, "day_micros": 100}
        policy, others = policy_of(one.local, key=terms), policy_of(other.local, key=terms)
        other.shared.settle(await other.granted(others, 1, 1, 10), 1, 1, 60)
        await until_settled(other)
        running = await one.granted(policy, 1, 1, 10)
        redis_server.kill()
        while not one.shared.in_outage:
            await one.admit(policy, 1, 1, 1000)
        refusal = await one.admit(policy, 1, 1, 41)
        assert isinstance(refusal, Refusal)
        assert (refusal.rule, refusal.readings) == (Rule.BUDGET_HELD, None)
        second = await one.granted(policy, 1, 1, 15)
        await one.granted(policy, 1, 1, 15)
        assert isinstance(full := await one.admit(policy), Refusal)
        assert full.rule is Rule.IN_FLIGHT
        one.shared.settle(running, 1, 1, 20)
        one.shared.settle(second, 1, 1, 15)
        reading = one.local.read(policy, PERIODS, 0)[0]
        assert (reading.in_flight, reading.held_micros, reading.day_micros) == (1, 15, 95)


CLOSED = [
    ("a limit", {"max_in_flight": 3, "limits_fail": "closed"}, 0, False),
    ("a budget", {"day_micros": 9, "budgets_fail": "closed"}, 1, True),
    ("a budget, of nothing that costs", {"day_micros": 9, "budgets_fail": "closed"}, 0, None),
    ("none of them", {"day_micros": 9, "max_in_flight": 3}, 1, None),
]


@pytest.mark.parametrize(
    ("terms", "hold", "budget"), [row[1:] for row in CLOSED], ids=[row[0] for row in CLOSED]
)
async def test_what_fails_closed_is_refused_in_an_outage(
    terms: dict[str, Any], hold: int, *, budget: bool | None, redis_server: RedisServer
) -> None:
    redis_server.kill()
    async with a_process(redis_server.url) as process:
        policy = policy_of(process.local, key=terms)
        if budget is None:
            await process.granted(policy, 1, 1, hold)
            return
        with pytest.raises(LimitsUnavailable) as caught:
            await process.admit(policy, 1, 1, hold)
        assert ("x-should-retry" in caught.value.headers()) is budget


async def test_an_outage_is_two_lines_in_the_log_however_many_ask(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_process(redis_server.url) as process:
        policy = policy_of(process.local, key={"max_in_flight": 10**6})
        redis_server.kill()
        with caplog.at_level(logging.INFO, "proxy"):
            for _ in range(10_000):
                grant = await process.granted(policy)
                process.shared.settle(grant, 1, 1, 1)
            redis_server.start()
            await until(lambda: not process.shared.in_outage)
        assert [line.levelname for line in caplog.records] == ["ERROR", "WARNING"]


async def test_settlements_wait_for_the_end_of_an_outage_a_few_and_not_for_long(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.limits.gathering._KEPT", 5)
    async with a_process(redis_server.url, 0.1) as process:
        policy = policy_of(process.local, key={"day_micros": 1000})
        grants = [await process.granted(policy, 1, 1, 1) for _ in range(8)]
        assert all(grant.readings is not None for grant in grants)
        redis_server.freeze()
        while not process.shared.in_outage:
            await process.admit(policy, 1, 1, 0)
        for cost, grant in enumerate(grants):
            process.shared.settle(grant, 1, 1, 10**cost)
        redis_server.thaw()
        await until(lambda: not process.shared.in_outage)
        await until_settled(process)
        assert process.unknown[-1] == []
        with redis_server.client() as plain:
            # Those that were kept give back their slots, and count.
            leases = plain.zrange("{ar:test}:l:key laptop", 0, -1)
            assert sum(each.endswith(b":1") for each in leases) == 3
            assert plain.hget("{ar:test}:s:key laptop", PERIODS.day_name) == b"11111000"
        assert process.local.read(policy, PERIODS, 0)[0].day_micros == 11_111_111


@pytest.mark.parametrize("is_forgotten", [False, True], ids=["told", "forgotten"])
async def test_what_was_let_in_in_an_outage_gives_back_only_what_it_took(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, *, is_forgotten: bool
) -> None:
    """After ten seconds of an outage it is not told any more: the server never takes what it has reserved."""
    async with a_process(redis_server.url, 0.5) as process:
        policy = policy_of(process.local, key={"output_tokens_per_minute": 200, "day_micros": 99})
        redis_server.kill()
        grant = await process.granted(policy, 1, 50, 9)
        if is_forgotten:
            with monkeypatch.context() as late:
                late.setattr("proxy.limits.gathering._KEPT_S", -1)
                process.shared._gathered.forget_old()
        redis_server.start()
        await until_settled(process)
        process.shared.settle(await process.granted(policy, 1, 90, 9), 1, 90, 0)
        await until_settled(process)
        before = await process.read(policy)
        process.shared.settle(grant, 1, 20, 5)
        await until_settled(process)
        after = await process.read(policy)
        gave_us = before.output_us - after.output_us
        a_token_us = 300_000
        took_us = 0 if is_forgotten else 30 * a_token_us
        assert took_us <= gave_us < took_us + 20 * a_token_us
        assert (after.in_flight, after.held_micros, after.day_micros) == (0, 0, 5)
        assert not process.shared._following._unheard


@pytest.mark.parametrize("at", ["put_into", "render", "read"])
async def test_a_defect_of_ours_is_told_as_ours_and_is_no_outage(
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    at: str,
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    async with a_process(redis_server.url) as process:
        policy = policy_of(process.local, key={"max_in_flight": 20})
        strict = policy_of(
            process.local, "strict", key={"max_in_flight": 20, "limits_fail": "closed"}
        )
        with monkeypatch.context() as broke:
            if at == "put_into":
                broke.setattr("proxy.limits.gathering.Operation.put_into", broken)
            elif at == "render":
                broke.setattr("proxy.limits.batch.Batch.render", broken)
            else:
                broke.setattr("proxy.limits.shared.verdict_of", broken)
            for _ in range(8):
                assert (await process.granted(policy)).readings is None
            with pytest.raises(LimitsUnavailable):
                await process.admit(strict)
            assert not process.shared.in_outage
        assert (await process.granted(policy)).readings is not None
    assert {line.getMessage() for line in caplog.records if line.levelname == "ERROR"} == {
        "a defect of the shared limits; what it concerns is counted here alone"
    }
    assert "ZeroDivisionError" in caplog.text


async def test_a_connection_that_was_closed_under_the_call_is_an_outage_and_no_defect(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def closed(*_: Any) -> None:  # as uvloop words it
        raise RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")

    async with a_process(redis_server.url) as process:
        policy = policy_of(process.local, key={"max_in_flight": 20})
        monkeypatch.setattr("proxy.limits.wire.Wire.ask", closed)
        while not process.shared.in_outage:
            assert (await process.granted(policy)).readings is None
        monkeypatch.undo()
        await until(lambda: not process.shared.in_outage)
    assert [line.levelname for line in caplog.records if line.levelname == "ERROR"] == ["ERROR"]
    assert "the handler is closed" in caplog.text
    assert "defect" not in caplog.text


async def test_a_defect_of_the_probe_ends_no_outage_and_is_asked_again(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("proxy.limits.shared._PROBE_S", 0.05)
    with monkeypatch.context() as broke:
        broke.setattr("proxy.limits.batch.Batch.render", lambda *_: 1 / 0)
        async with a_process(redis_server.url) as process:
            assert process.shared.in_outage
            broke.undo()
            await until(lambda: not process.shared.in_outage)
    assert "a defect of the shared limits" in caplog.text


async def test_a_server_that_became_a_replica_is_left_for_the_one_behind_its_address(
    tmp_path: Path,
) -> None:
    """It keeps its connections, and refuses every call for as long as it is one."""
    said = b"-READONLY You can't write against a read only replica.\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        says = said
        while await reader.read(1 << 20):
            writer.write(says)
        writer.close()

    path = tmp_path / "moved.sock"
    async with await asyncio.start_unix_server(serve, path), a_process(f"unix://{path}") as process:
        assert process.shared.in_outage
        said = b"*2\r\n:1\r\n*0\r\n"
        await until(lambda: not process.shared.in_outage)
