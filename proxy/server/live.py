"""What each request in flight waits for, as this process knows it; nothing is kept for it until somebody asks."""

import heapq
import time
from collections.abc import Iterable
from typing import Any

import msgspec

from proxy.exchange import Exchange, Phase
from proxy.gateway import Gateway

MAX_ROWS = 1_000

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


class InFlight(msgspec.Struct, frozen=True):
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
        data: those that have waited longest, first; `MAX_ROWS` at most.
    """

    in_flight: int
    phases: dict[str, int]
    data: list[InFlight]


def live_here(gateway: Gateway, key: str | None = None, upstream: str | None = None) -> Live:
    """Return the requests in flight, but for probes.

    Args:
        gateway: that has them.
        key: of it alone; None: of all.
        upstream: likewise.
    """
    return live_of(gateway.deadlines.in_flight, time.monotonic(), key, upstream)


def live_of(
    in_flight: Iterable[Exchange], now_s: float, key: str | None, upstream: str | None
) -> Live:
    """Return what `live_here` does, of any requests, at a time of `time.monotonic`."""
    found = [
        each
        for each in in_flight
        if not each.is_probe
        and (key is None or (each.key is not None and each.key.name == key))
        and (upstream is None or each.upstream == upstream)
    ]
    phases = dict.fromkeys(PHASES, 0)
    for each in found:
        phases[PHASE_WORDS[each.phase]] += 1
    longest = heapq.nsmallest(MAX_ROWS, found, key=lambda each: _since_s(each, now_s))
    return Live(len(found), phases, [_shown(each, now_s) for each in longest])


def _since_s(exchange: Exchange, now_s: float) -> float:
    """Return since when it waits: who waits for nothing does since now."""
    return now_s if exchange.phase is Phase.NOTHING else exchange.since_s


def _shown(exchange: Exchange, now_s: float) -> InFlight:
    received, hints, pooled = exchange.received, exchange.hints, exchange.pooled
    began_s, first_byte_s = received.started_s, exchange.first_byte_s
    return InFlight(
        id=received.id,
        at_ms=int(received.at_unix_s * 1000),
        age_ms=_ms(now_s - began_s),
        phase=PHASE_WORDS[exchange.phase],
        waiting_ms=_ms(now_s - _since_s(exchange, now_s)),
        key=None if exchange.key is None else _plain(exchange.key.name),
        model=_plain(exchange.model),
        session_id=_plain(exchange.session_id),
        agent_id=_plain(exchange.agent_id),
        agent_type=None if hints is None else _plain(hints.agent_type),
        upstream=exchange.upstream or None,
        stream=exchange.stream,
        first_byte_ms=None if first_byte_s is None else _ms(first_byte_s - began_s),
        bytes_in=exchange.bytes_in,
        bytes_out=exchange.bytes_out,
        attempts=0 if pooled is None else len(pooled.attempts),
    )


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


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
    waited = f"{told['waiting_ms'] // 1000} s"
    match told["phase"]:
        case "receiving":
            return f"client sends its request, silent {waited}"
        case "queued":
            return f"waits for its turn {waited}"
        case "awaiting_head":
            return f"upstream has not answered for {waited}"
        case "streaming":
            return f"upstream silent {waited}"
        case "client":
            return f"client not reading {waited}"
    return "the gateway works on it"
