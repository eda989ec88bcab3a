"""One clock interrupts whoever waits too long, and says when a client is due a ping."""

import asyncio
import contextlib
import dataclasses

import pytest

from proxy import errors
from proxy.config import Timeouts
from proxy.deadlines import Watch
from proxy.exchange import Exchange, PingDueError, Wait

NEVER_S = 1000.0
PATIENT = Timeouts(
    first_byte_s=NEVER_S, idle_s=NEVER_S, ping_after_s=NEVER_S, request_body_idle_s=NEVER_S
)
SOON_S = 0.02


async def wait_watched(
    watch: Watch, what: Wait, *, may_ping: bool = False, begun: asyncio.Event | None = None
) -> Exception:
    """Wait for what never comes; give the reason of the interruption."""
    exchange = Exchange(method="POST", path="/", client=None)
    exchange.may_ping = may_ping
    watch.begin(exchange)
    exchange.waits_for(what)
    if begun is not None:
        begun.set()
    try:
        async with asyncio.timeout(5):
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        return exchange.interruption()
    finally:
        watch.end(exchange)
    raise AssertionError("the wait ended by itself")


@pytest.mark.parametrize(
    ("setting", "what", "reason", "message"),
    [
        (
            "request_body_idle_s",
            Wait.REQUEST_BODY,
            errors.RequestBodyTimeout,
            "no byte of the request body came for 0.02 s",
        ),
        (
            "first_byte_s",
            Wait.RESPONSE_HEAD,
            errors.UpstreamTimeout,
            "the upstream did not answer within 0.02 s",
        ),
        (
            "idle_s",
            Wait.RESPONSE_BODY,
            errors.UpstreamTimeout,
            "the upstream was silent for 0.02 s inside its answer",
        ),
        ("idle_s", Wait.CLIENT, errors.ClientStalled, "the client read nothing for 0.02 s"),
    ],
    ids=["request_body", "response_head", "response_body", "client"],
)
async def test_each_wait_has_its_limit(
    setting: str, what: Wait, reason: type[errors.ProxyError], message: str
) -> None:
    watch = Watch(dataclasses.replace(PATIENT, **{setting: SOON_S}))
    began = asyncio.get_running_loop().time()
    interruption = await wait_watched(watch, what)
    assert isinstance(interruption, reason)
    assert interruption.message == message
    assert asyncio.get_running_loop().time() - began >= SOON_S


async def test_a_silent_stream_is_due_a_ping_and_again_after_as_long() -> None:
    watch = Watch(dataclasses.replace(PATIENT, ping_after_s=SOON_S))
    exchange = Exchange(method="POST", path="/", client=None)
    exchange.may_ping = True
    watch.begin(exchange)
    exchange.waits_for(Wait.RESPONSE_BODY)
    since, times = exchange.since, list[float]()
    while len(times) < 3:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert isinstance(exchange.interruption(), PingDueError)
            times.append(exchange.pinged)
    watch.end(exchange)
    assert [b - a >= SOON_S for a, b in zip([since, *times], times, strict=False)] == [True] * 3


@pytest.mark.parametrize(
    ("what", "may_ping"),
    [(Wait.RESPONSE_BODY, False), (Wait.CLIENT, True), (Wait.RESPONSE_HEAD, True)],
    ids=["inside_an_event", "client_reads", "no_answer_yet"],
)
async def test_elsewhere_no_ping_is_due(what: Wait, *, may_ping: bool) -> None:
    limits = dataclasses.replace(
        PATIENT, ping_after_s=SOON_S, idle_s=SOON_S * 3, first_byte_s=SOON_S * 3
    )
    interruption = await wait_watched(Watch(limits), what, may_ping=may_ping)
    assert isinstance(interruption, errors.ProxyError)


async def test_who_waits_for_nothing_or_makes_progress_is_left_alone() -> None:
    watch = Watch(dataclasses.replace(PATIENT, idle_s=SOON_S))
    busy = Exchange(method="POST", path="/", client=None)
    watch.begin(busy)
    overdue = asyncio.create_task(wait_watched(watch, Wait.RESPONSE_BODY))
    assert isinstance(await overdue, errors.UpstreamTimeout)
    watch.end(busy)


async def test_it_is_idle_once_all_have_ended() -> None:
    watch = Watch(PATIENT)
    await watch.idle()
    first, second = (Exchange(method="-", path="-", client=None) for _ in range(2))
    watch.begin(first)
    watch.begin(second)
    idle = asyncio.create_task(watch.idle())
    watch.end(first)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(idle), SOON_S)
    assert not idle.done()
    watch.end(second)
    async with asyncio.timeout(5):
        await idle
    assert watch.in_flight == set()


async def test_on_shutdown_those_that_wait_are_interrupted() -> None:
    watch = Watch(PATIENT)
    busy = Exchange(method="-", path="-", client=None)
    watch.begin(busy)
    begun = asyncio.Event()
    waiting = asyncio.create_task(wait_watched(watch, Wait.RESPONSE_BODY, begun=begun))
    await begun.wait()
    watch.interrupt_all()
    interruption = await waiting
    assert isinstance(interruption, errors.Overloaded)
    assert interruption.cause == "draining"
    watch.end(busy)


async def test_its_clock_stops_when_nothing_is_in_flight() -> None:
    watch = Watch(dataclasses.replace(PATIENT, idle_s=SOON_S))
    await wait_watched(watch, Wait.RESPONSE_BODY)
    assert watch.in_flight == set()
    assert watch._timer is not None
    looked = asyncio.Event()
    asyncio.get_running_loop().call_at(watch._timer.when() + SOON_S, looked.set)
    await looked.wait()
    assert watch._timer is None
