"""What each request in flight waits for, as this process knows it; nothing is kept for it until somebody asks."""

import asyncio
import heapq
import operator
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec

from proxy.exchange import Exchange, Phase
from proxy.gateway import Gateway

MAX_ROWS = 1_000
# What is done in one go, half a millisecond's work: requests do not wait for whoever looks.
_LOOKED_AT_AT_ONCE, _TOLD_AT_ONCE = 1_000, 200

WORKING, RECEIVING, QUEUED = "working", "receiving", "queued"
AWAITING_HEAD, STREAMING, CLIENT = "awaiting_head", "streaming", "client"
PHASES = (WORKING, RECEIVING, QUEUED, AWAITING_HEAD, STREAMING, CLIENT)
PHASE_WORDS = {
    Phase.NOTHING: WORKING,
    Phase.REQUEST_BODY: RECEIVING,
    Phase.QUEUE: QUEUED,
    Phase.RESPONSE_HEAD: AWAITING_HEAD,
    Phase.OPENING: STREAMING,
    Phase.RESPONSE_BODY: STREAMING,
    Phase.CLIENT: CLIENT,
}

_DOING = {
    WORKING: "the gateway works on it",
    RECEIVING: "client sends its request, silent {}",
    QUEUED: "waits for its turn {}",
    AWAITING_HEAD: "upstream has not answered for {}",
    STREAMING: "upstream silent {}",
    CLIENT: "client not reading {}",
}

_BY_SINCE = operator.attrgetter("since_s")


class InFlight(msgspec.Struct, frozen=True, gc=False):
    """A request in flight.

    Attributes:
        id: ours.
        at_ms: when its head had come, in Unix milliseconds. `age_ms`: how long ago that is.
        phase: what it waits for: its client's body, its turn, the head of the upstream's answer, more of the answer,
            or that its client reads; `working`: for nothing.
        waiting_ms: how long it has waited for that, without a byte.
        key, model, session_id, agent_id, agent_type: as in the ledger; None: not known, or not yet.
        upstream: where it goes; None until that is known.
        first_byte_ms: from its head to the first byte of its response; None: there is none yet.
        bytes_in, bytes_out: of the bodies, so far.
        attempts: how many upstreams it has asked in vain.
    """

    id: str
    at_ms: int
    age_ms: int
    phase: str
    waiting_ms: int
    key: str | None
    model: str | None
    session_id: str | None
    agent_id: str | None
    agent_type: str | None
    upstream: str | None
    stream: bool
    first_byte_ms: int | None
    bytes_in: int
    bytes_out: int
    attempts: int


class Live(msgspec.Struct, frozen=True):
    """The requests in flight.

    Attributes:
        in_flight: how many there are. `phases`: how many by what they wait for.
        data: those that have waited longest, first; as many as were asked for at most.
    """

    in_flight: int
    phases: dict[str, int]
    data: list[InFlight]


async def live_here(
    gateway: Gateway, key: str | None = None, upstream: str | None = None, limit: int = MAX_ROWS
) -> Live:
    """Return the requests in flight, but for probes.

    Args:
        gateway: that has them.
        key: of it alone; None: of all.
        upstream: likewise.
        limit: how many are told of, at most; `MAX_ROWS` at most.
    """
    return await live_of(gateway.deadlines.in_flight, time.monotonic(), key, upstream, limit)


async def live_of(
    in_flight: Iterable[Exchange],
    now_s: float,
    key: str | None,
    upstream: str | None,
    limit: int = MAX_ROWS,
) -> Live:
    """Return what `live_here` does, of any requests, at a time of `time.monotonic`."""
    counts: Counter[int] = Counter()
    longest: list[Exchange] = []
    working: list[Exchange] = []
    limit = min(limit, MAX_ROWS)
    async for some in _steps(list(in_flight), _LOOKED_AT_AT_ONCE):
        found = [each for each in some if not each.is_probe]
        if key is not None:
            found = [each for each in found if each.key is not None and each.key.name == key]
        if upstream is not None:
            found = [each for each in found if each.upstream == upstream]
        # By their ids: to hash or compare phases takes longer.
        counts.update([id(each.phase) for each in found])
        longest += [each for each in found if each.phase is not Phase.NOTHING]
        longest = heapq.nsmallest(limit, longest, key=_BY_SINCE)
        working += [each for each in found if each.phase is Phase.NOTHING][: limit - len(working)]
    phases = dict.fromkeys(PHASES, 0)
    for phase, word in PHASE_WORDS.items():
        phases[word] += counts[id(phase)]
    longest += working[: limit - len(longest)]
    told: list[InFlight] = []
    async for some in _steps(longest, _TOLD_AT_ONCE):
        told += [_shown(each, now_s) for each in some]
    return Live(counts.total(), phases, told)


async def _steps(exchanges: list[Exchange], at_once: int) -> AsyncIterator[list[Exchange]]:
    """Give some after others, and let requests go on in between."""
    for start in range(0, len(exchanges), at_once):
        if start:
            await asyncio.sleep(0)
        yield exchanges[start : start + at_once]


def _shown(exchange: Exchange, now_s: float) -> InFlight:
    received, hints, pooled = exchange.received, exchange.hints, exchange.pooled
    began_s, first_byte_s, phase = received.started_s, exchange.first_byte_s, exchange.phase
    # Who waits for nothing does so since now.
    since_s = now_s if phase is Phase.NOTHING else exchange.since_s
    # In the order of its fields: by their names it takes longer.
    return InFlight(
        received.id,
        int(received.at_unix_s * 1000),
        _ms(now_s - began_s),
        PHASE_WORDS[phase],
        _ms(now_s - since_s),
        None if exchange.key is None else _plain(exchange.key.name),
        _plain(exchange.model),
        _plain(exchange.session_id),
        _plain(exchange.agent_id),
        None if hints is None else _plain(hints.agent_type),
        exchange.upstream or None,
        exchange.stream,
        None if first_byte_s is None else _ms(first_byte_s - began_s),
        exchange.bytes_in,
        exchange.bytes_out,
        0 if pooled is None else len(pooled.attempts),
    )


def _ms(seconds: float) -> int:
    return int(seconds * 1000 + 0.5) if seconds > 0 else 0


def _plain(text: str | None) -> str | None:
    """Return a client's text as UTF-8 can hold it."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()


def doing(told: dict[str, Any]) -> str:
    """Say what a request waits for, such as `upstream silent 14 s`.

    Args:
        told: an `InFlight`, as builtins.
    """
    waited_s, phase = told["waiting_ms"] // 1000, told["phase"]
    if phase == STREAMING and not waited_s:
        return "upstream answers"
    return _DOING[phase].format(f"{waited_s} s")
