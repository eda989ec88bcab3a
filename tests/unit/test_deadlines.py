"""One clock interrupts whoever waits too long, and says when a stream has been quiet."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable

import pytest

from proxy import errors
from proxy.config import Timeouts
from proxy.deadlines import Deadlines
from proxy.exchange import Exchange, Phase
from proxy.received import Received

NEVER_S = 1000.0
PATIENT = Timeouts(
    first_byte_s=NEVER_S, idle_s=NEVER_S, ping_after_s=NEVER_S, request_body_idle_s=NEVER_S
)
SOON_S = 0.02


def an_exchange() -> Exchange:
    return Exchange(Received("POST", "/", None))


async def interruption(
    deadlines: Deadlines,
    phase: Phase,
    *,
    on_quiet: Callable[[], None] | None = None,
    begun: asyncio.Event | None = None,
) -> errors.ProxyError:
    """Wait for what never comes; return the reason of the interruption."""
    exchange = an_exchange()
    exchange.on_quiet = on_quiet
    deadlines.begin(exchange)
    try:
        with exchange.waiting(phase):
            if begun is not None:
                begun.set()
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
    except errors.ProxyError as reason:
        return reason
    finally:
        deadlines.end(exchange)
    raise AssertionError("the wait ended by itself")


async def test_who_queues_for_a_slot_is_told_that_none_became_free() -> None:
    reason = await interruption(Deadlines(PATIENT, queue_s=SOON_S), Phase.QUEUE)
    assert isinstance(reason, errors.LimitExceeded)
    assert reason.message == "no request in flight ended within 0.02 s"
    assert reason.cause == "limited_in_flight"


@pytest.mark.parametrize(
    ("setting", "phase", "reason", "message"),
    [
        (
            "request_body_idle_s",
            Phase.REQUEST_BODY,
            errors.RequestBodyTimeout,
            "no byte of the request body came for 0.02 s",
        ),
        (
            "first_byte_s",
            Phase.RESPONSE_HEAD,
            errors.UpstreamTimeout,
            "the upstream did not answer within 0.02 s",
        ),
        (
            "idle_s",
            Phase.RESPONSE_BODY,
            errors.UpstreamTimeout,
            "the upstream was silent for 0.02 s inside its answer",
        ),
        ("idle_s", Phase.CLIENT, errors.ClientStalled, "the client read nothing for 0.02 s"),
    ],
    ids=["request_body", "response_head", "response_body", "client"],
)
async def test_each_phase_has_its_limit(
    setting: str, phase: Phase, reason: type[errors.ProxyError], message: str
) -> None:
    deadlines = Deadlines(dataclasses.replace(PATIENT, **{setting: SOON_S}))
    began = time.monotonic()
    interrupted = await interruption(deadlines, phase)
    assert isinstance(interrupted, reason)
    assert interrupted.message == message
    assert time.monotonic() - began >= SOON_S


@pytest.mark.parametrize("phase", [Phase.RESPONSE_HEAD, Phase.RESPONSE_BODY])
async def test_a_quiet_upstream_is_told_of_and_again_after_as_long(phase: Phase) -> None:
    deadlines = Deadlines(dataclasses.replace(PATIENT, ping_after_s=SOON_S))
    exchange, times, enough = an_exchange(), list[float](), asyncio.Event()

    def note() -> None:
        times.append(exchange.pinged_s)
        if len(times) == 3:
            enough.set()

    exchange.on_quiet = note
    deadlines.begin(exchange)
    with exchange.waiting(phase):
        since = exchange.since_s
        async with asyncio.timeout(5):
            await enough.wait()
    deadlines.end(exchange)
    gaps = [b - a >= SOON_S for a, b in zip([since, *times[:2]], times[:3], strict=True)]
    assert gaps == [True] * 3


@pytest.mark.parametrize("phase", [Phase.CLIENT, Phase.REQUEST_BODY])
async def test_in_other_phases_nothing_is_quiet(phase: Phase) -> None:
    def never() -> None:
        raise AssertionError("it was told of")

    limits = dataclasses.replace(
        PATIENT,
        ping_after_s=SOON_S,
        idle_s=SOON_S * 3,
        first_byte_s=SOON_S * 3,
        request_body_idle_s=SOON_S * 3,
    )
    reason = await interruption(Deadlines(limits), phase, on_quiet=never)
    assert reason.error_type == "timeout_error"


async def test_who_waits_for_nothing_or_makes_progress_is_left_alone() -> None:
    deadlines = Deadlines(dataclasses.replace(PATIENT, idle_s=SOON_S))
    busy = an_exchange()
    deadlines.begin(busy)
    overdue = await interruption(deadlines, Phase.RESPONSE_BODY)
    assert isinstance(overdue, errors.UpstreamTimeout)
    deadlines.end(busy)


async def test_it_is_idle_once_all_have_ended() -> None:
    deadlines = Deadlines(PATIENT)
    await deadlines.idle()
    first, second = an_exchange(), an_exchange()
    deadlines.begin(first)
    deadlines.begin(second)
    idle = asyncio.create_task(deadlines.idle())
    deadlines.end(first)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(idle), SOON_S)
    assert not idle.done()
    deadlines.end(second)
    async with asyncio.timeout(5):
        await idle
    assert deadlines.in_flight == set()


async def test_on_shutdown_those_that_wait_are_interrupted() -> None:
    deadlines = Deadlines(PATIENT)
    busy = an_exchange()
    deadlines.begin(busy)
    begun = asyncio.Event()
    waiting = asyncio.create_task(interruption(deadlines, Phase.RESPONSE_BODY, begun=begun))
    await begun.wait()
    deadlines.interrupt_all()
    reason = await waiting
    assert isinstance(reason, errors.Draining)
    assert reason.cause == "draining"
    deadlines.end(busy)


async def test_its_clock_stops_when_nothing_is_in_flight() -> None:
    deadlines = Deadlines(dataclasses.replace(PATIENT, idle_s=SOON_S))
    await interruption(deadlines, Phase.RESPONSE_BODY)
    assert deadlines.in_flight == set()
    assert deadlines._timer is not None
    looked = asyncio.Event()
    asyncio.get_running_loop().call_at(deadlines._timer.when() + SOON_S, looked.set)
    await looked.wait()
    assert deadlines._timer is None


async def test_its_time_is_the_clock_it_is_given() -> None:
    now = [0.0]
    deadlines = Deadlines(dataclasses.replace(PATIENT, idle_s=600), clock=lambda: now[0])
    exchange = an_exchange()
    deadlines.begin(exchange)
    now[0] = exchange.received.started_s + 601
    deadlines._sweep()
    waits = asyncio.create_task(interruption(deadlines, Phase.CLIENT))
    await asyncio.sleep(0)
    assert not waits.done()
    now[0] += 601
    deadlines._sweep()
    assert isinstance(await waits, errors.ClientStalled)
    deadlines.end(exchange)
