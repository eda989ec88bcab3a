"""One bar of faults that gateways are compared by: each ends well, or in a clean error, and never in half an answer.

The faults are those of Failover Bench (S01 to S11, S15, S16), rewritten for the Messages API: the first of two
upstreams has the fault, the second is well.
"""

import asyncio
from typing import Literal, NamedTuple

import pytest

from proxy import Timeouts
from tests.support.client import Response, ask
from tests.support.gateways import MODEL
from tests.support.pools import (
    CONTENT,
    PING,
    START,
    Pooled,
    error,
    good,
    one_after_the_other,
    pooled,
)
from tests.support.raw import EVENTS, SSE_HEAD, STREAM, Script, UpstreamSide, chunk
from tests.support.scripts import says, then_closes, then_waits

Verdict = Literal["pass", "safe"]
ECHOED = (b"claude-sonnet-4-6", MODEL.encode())
BROKEN_EVENT = b'event: content_block_delta\ndata: {"type":"content_bl\n\n'


async def resets(upstream: UpstreamSide) -> None:
    """Reset the connection of a request that has been read."""
    upstream.reset()


async def slow(upstream: UpstreamSide) -> None:
    """Send the head at once, and the first token later than an opening is held."""
    await upstream.send(SSE_HEAD + chunk(START))
    await asyncio.sleep(0.1)  # the pace of the upstream is the test
    await upstream.send(chunk(STREAM.removeprefix(START)) + chunk(b""))


class Fault(NamedTuple):
    """What the first upstream does, and what is to come of it.

    Attributes:
        script: of the first upstream.
        verdict: pass: a whole answer; safe: one clean error, in time.
        status: of the response. `moved`: whether the second one is asked.
        timeouts: of the gateway.
    """

    script: Script
    verdict: Verdict
    status: int
    moved: bool
    timeouts: Timeouts = Timeouts()


DELTA = EVENTS[3]
FAULTS = {
    "S01 429 with retry-after": Fault(
        one_after_the_other(error(b"429 Too Many", b"retry-after: 2"), good),
        "pass",
        200,
        moved=True,
    ),
    "S02 429 without, for ever": Fault(error(b"429 Too Many"), "pass", 200, moved=True),
    "S03 500 once": Fault(
        one_after_the_other(error(b"500 Internal"), good), "pass", 200, moved=True
    ),
    "S04 503 for ever": Fault(error(b"503 Unavailable"), "pass", 200, moved=True),
    # It has the request, may serve it and bill it: that is the client's to decide.
    "S05 a reset before the head": Fault(resets, "safe", 502, moved=False),
    "S06 no answer at all": Fault(
        then_waits(), "safe", 504, moved=False, timeouts=Timeouts(first_byte_s=0.2)
    ),
    "S07 a slow first token": Fault(slow, "pass", 200, moved=False),
    "S08 a cut amid the answer": Fault(
        then_closes(SSE_HEAD, chunk(START), chunk(CONTENT), chunk(DELTA)), "safe", 200, moved=False
    ),
    "S09 a stall amid the answer": Fault(
        then_waits(SSE_HEAD, chunk(START), chunk(CONTENT), chunk(DELTA)),
        "safe",
        200,
        moved=False,
        timeouts=Timeouts(idle_s=0.2),
    ),
    # Passed on as it came: what it means is for the client to say, and what comes behind it is whole.
    "S10 an event that is no JSON": Fault(
        says(SSE_HEAD, *map(chunk, (*EVENTS[:3], BROKEN_EVENT, *EVENTS[3:])), chunk(b"")),
        "pass",
        200,
        moved=False,
    ),
    "S11 no last event": Fault(
        says(SSE_HEAD, *map(chunk, EVENTS[:-1]), chunk(b"")), "safe", 200, moved=False
    ),
    "S16 who has answered is who is told": Fault(
        error(b"503 Unavailable"), "pass", 200, moved=True
    ),
}


def verdict_of(reply: Response) -> Verdict:
    """Judge what the client got; half an answer that looks whole, or a broken one, is none of the two."""
    if reply.status != 200:
        assert (reply.whole, reply.kind) in {(True, "api_error"), (True, "timeout_error")}
        return "safe"
    endings: dict[str, Verdict] = {"message": "pass", "error event": "safe"}
    return endings[reply.ending]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_no_fault_ends_in_half_an_answer_a_hang_or_a_storm(
    fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.deadlines.OPENING_S", 0.02)
    async with pooled(fault.script, good, timeouts=fault.timeouts) as pool:
        reply = await ask(pool.gateway, within_s=5)
        assert (verdict_of(reply), reply.status) == (fault.verdict, fault.status)
        assert pool.asked() == {"a": 1, "b": int(fault.moved)}
        if fault.verdict == "pass":
            seen = reply.body.replace(PING, b"").replace(BROKEN_EVENT, b"")
            assert seen == STREAM.replace(*ECHOED).replace(PING, b"")
        _told_of_who_answered(pool, fault)
        # And it is as well as before, once the fault is over.
        pool.upstreams["a"].script = good
        pool.gateway.gateway.standing.health.forget("a")
        assert verdict_of(await ask(pool.gateway)) == "pass"
        assert pool.last["upstream"] == "a"


def _told_of_who_answered(pool: Pooled, fault: Fault) -> None:
    """Check the one line of a request: what was used is of the answer passed on, and of nothing that was declined."""
    (line,) = pool.gateway.log
    assert line["upstream"] == ("b" if fault.moved else "a")
    assert [each["upstream"] for each in line.get("attempts", ())] == ["a", "b"] * fault.moved
    assert not any("usage" in each for each in line.get("attempts", ()))
    if fault.verdict == "pass":
        assert line["usage"]["output_tokens"] == 7
    else:
        assert line["cause"].startswith("upstream_")


async def test_an_upstream_that_flaps_is_left_alone_while_it_is_down_and_served_by_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S15: every request of the outage is answered, few are tried at home, and home is found again by itself."""
    monkeypatch.setattr("proxy.upstreams.health._FIRST_COOLING_S", 0.2)
    async with pooled(error(b"503 Unavailable"), good) as pool:
        for _ in range(3):
            assert verdict_of(await ask(pool.gateway)) == "pass"
        assert pool.asked() == {"a": 3, "b": 3}
        cools_until = pool.gateway.gateway.standing.health.ready_at("a", "claude-sonnet-4-6")
        assert cools_until > 0
        pool.upstreams["a"].script = good
        async with asyncio.timeout(5):
            while pool.last["upstream"] == "b":
                assert verdict_of(await ask(pool.gateway)) == "pass"
        assert pool.asked()["a"] == 4
        assert verdict_of(await ask(pool.gateway)) == "pass"
        assert pool.last["upstream"] == "a"
