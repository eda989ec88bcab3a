"""Which requests wrote anew what had been in the cache, why, and what that cost. Pure.

A chain is what one agent asks, request after request, each of whose prompts begins with the one before. Facts: the
lifetime of what is cached counts from the start of a request that writes or reads it; what is written for an hour
stands in front of what is written for five minutes; what a request wrote can be read once its answer has begun. A
request that was billed as several calls has sums over them, which tell nothing of a prefix: it is not compared, and
neither is the next one.

| reason, the first that holds | when |
|---|---|
| `api:...` | the API's own diagnosis |
| `compaction` | the client has just shortened its context |
| `moved` | another upstream than before |
| `model` | the client asked for another model |
| `idle` | longer ago than what was written lives |
| `cut` | the request before ended broken |
| `provider` | within a minute, and nothing that is known differs |
| `prefix` | something before the last turn changed |
"""

import enum
from collections.abc import Callable, Iterable, Sequence

import msgspec

from proxy.ledger.row import Row
from proxy.money.prices import PriceTable
from proxy.money.steps import Priced, billed_of, priced

# Less is lost by chance: blocks at the end of a prompt.
_MIN_MISSED = 2_048
_MIN_SHARE = 10  # a tenth
_PROVIDER_WITHIN_MS = 60_000
_LOOKED_BACK = 200  # requests of a chain: how long one is, clients choose
TTL_5M_MS = 300_000
TTL_1H_MS = 3_600_000
_DIAGNOSES = ("model_changed", "system_changed", "tools_changed", "messages_changed")
REASONS = (
    *(f"api:{name}" for name in (*_DIAGNOSES, "other")),
    *("compaction", "moved", "model", "idle", "cut", "provider", "prefix"),
)


class Kind(enum.StrEnum):
    """What is summed beside the breaks, with its tokens and its cost.

    Attributes:
        PAID: every request: its prompt, and what it cost.
        COLD: the first request of a chain: what it wrote, and what that cost more than a read.
        NOT_COMPARED: a request of which nothing can be said.
        WRITES_5M: what was written for 5 minutes, but what 1 hour would have kept; and what 1 hour would cost more.
        WRITES_1H: what was written for 1 hour, and what 5 minutes would cost less.
        IDLE_UNDER_1H: of the breaks by `idle`, those that 1 hour would have prevented, and what they cost.
        KEPT: what was read only because it had been written for 1 hour, and what its loss would cost.
    """

    PAID = "paid"
    COLD = "cold"
    NOT_COMPARED = "not_compared"
    WRITES_5M = "writes_5m"
    WRITES_1H = "writes_1h"
    IDLE_UNDER_1H = "idle_under_1h"
    KEPT = "kept"


class Finding(msgspec.Struct, frozen=True):
    """What is found of a request.

    Attributes:
        row: the request.
        kind: one of `REASONS`, which makes it a break, or a `Kind`.
        tokens: that were missed, or are meant.
        cost_micros: in micro-dollars.
        gap_ms: from the start of the request before.
    """

    row: Row
    kind: str
    tokens: int
    cost_micros: int
    gap_ms: int = 0

    @property
    def is_break(self) -> bool:
        """Whether it is a cache break."""
        return self.kind in REASONS


def chain_of(row: Row) -> tuple[str, str, str]:
    """Return which requests a request is compared with: those of its session, agent and class.

    Without a class it is those for the same model, so that titles by a small model are no change of it.
    """
    part = row.request_class or f"model:{row.model}"
    return row.session_id or "", row.agent_id or "", part


def class_of(row: Row) -> str:
    """Return the class of a request; of clients that do not tell it, `main` or `subagent`."""
    return row.request_class or ("subagent" if row.agent_id else "main")


def findings(
    rows: Iterable[Row], table: PriceTable, is_new: Callable[[Row], bool]
) -> list[Finding]:
    """Return what is found of new requests.

    Args:
        rows: of whole sessions or the last part of them, in the order they came.
        table: what tokens cost.
        is_new: whether a row is to be judged; others are there to be compared with.
    """
    chains: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row.session_id and row.endpoint == "messages" and row.usage_source != "none":
            chains.setdefault(chain_of(row), []).append(row)
    found: list[Finding] = []
    for chain in chains.values():
        for at, row in enumerate(chain):
            if is_new(row):
                found += _judged(row, chain[max(0, at - _LOOKED_BACK) : at], table)
    return found


def _judged(row: Row, before: Sequence[Row], table: PriceTable) -> list[Finding]:
    prices = priced(row, table)
    found = [Finding(row, Kind.PAID, prices.billed.prompt, row.cost_micros)]
    if not _is_comparable(row):
        return [*found, Finding(row, Kind.NOT_COMPARED, prices.billed.prompt, 0)]
    if not before:
        found.append(_cold(row, prices))
        return [*found, *_what_if(row, prices, None)]
    previous = next((each for each in reversed(before) if _has_answered(each, row)), None)
    if previous is None or not _is_comparable(previous):
        found.append(Finding(row, Kind.NOT_COMPARED, prices.billed.prompt, 0))
        return [*found, *_what_if(row, prices, None)]
    ended = [each for each in before if each.at_ms >= previous.at_ms]
    gap_ms = row.at_ms - max(each.at_ms for each in ended)
    expected = _cached(previous)
    missed = expected - prices.billed.read
    ttl_ms = _lifetime_ms(before)
    if not _is_break(missed, expected, row, previous):
        if ttl_ms == TTL_1H_MS and TTL_5M_MS < gap_ms <= TTL_1H_MS:
            found.append(_kept(row, min(prices.billed.read, expected), prices, gap_ms))
        return [*found, *_what_if(row, prices, None)]
    is_cut = any(_is_broken(each) for each in ended)
    reason = _reason(row, previous, gap_ms, ttl_ms, is_cut=is_cut)
    lost = Finding(row, reason, missed, _loss(missed, prices), gap_ms)
    found.append(lost)
    if reason == "idle" and ttl_ms == TTL_5M_MS and gap_ms <= TTL_1H_MS:
        found.append(msgspec.structs.replace(lost, kind=Kind.IDLE_UNDER_1H))
        return [*found, *_what_if(row, prices, lost)]
    return [*found, *_what_if(row, prices, None)]


def _is_comparable(row: Row) -> bool:
    return row.usage_source in ("reported", "partial") and (row.billed_entries or 1) == 1


def _has_answered(previous: Row, row: Row) -> bool:
    """Return whether what a request wrote could be read when another one came."""
    if previous.usage_source == "estimated":
        return False  # nobody knows what it wrote
    waited_ms = previous.first_byte_ms if previous.first_byte_ms is not None else previous.total_ms
    return previous.at_ms + (waited_ms or 0) <= row.at_ms


def _is_broken(row: Row) -> bool:
    return row.cause is not None or row.usage_source != "reported"


def _cached(row: Row) -> int:
    billed = billed_of(row)
    return billed.read + billed.write_5m + billed.write_1h


def _is_break(missed: int, expected: int, row: Row, previous: Row) -> bool:
    return (
        missed >= _MIN_MISSED
        and missed * _MIN_SHARE >= expected
        and billed_of(row).prompt * 2 >= billed_of(previous).prompt
    )


def _lifetime_ms(before: Sequence[Row]) -> int:
    """Return how long what was cached lives: as the last request says that wrote anything. A read is no evidence."""
    for row in reversed(before):
        if row.cache_write_5m_tokens or row.cache_write_1h_tokens:
            return TTL_1H_MS if row.cache_write_1h_tokens else TTL_5M_MS
    return TTL_5M_MS


def _reason(row: Row, previous: Row, gap_ms: int, ttl_ms: int, *, is_cut: bool) -> str:
    diagnosis = row.cache_miss_reason
    if diagnosis:
        return f"api:{diagnosis if diagnosis in _DIAGNOSES else 'other'}"
    holds = (
        ("compaction", row.request_class == "compaction" or row.compacted),
        ("moved", row.upstream != previous.upstream),
        ("model", row.model != previous.model),
        ("idle", gap_ms > ttl_ms),
        ("cut", is_cut),
        ("provider", gap_ms < _PROVIDER_WITHIN_MS and _is_alike(row, previous)),
    )
    return next((reason for reason, is_it in holds if is_it), "prefix")


def _is_alike(row: Row, previous: Row) -> bool:
    """Return whether nothing that is known of two requests differs, and the later one can begin with the earlier."""
    known = (row.client, row.speed, row.upstream_model)
    is_same = known == (previous.client, previous.speed, previous.upstream_model)
    return is_same and billed_of(row).prompt >= _cached(previous)


def _loss(missed: int, prices: Priced) -> int:
    """Return what tokens cost more than a read would have: as written, as far as any were; then as input."""
    billed, rates = prices.billed, prices.rates
    nanos = 0
    for count, rate in (
        (billed.write_1h, rates.write_1h),
        (billed.write_5m, rates.write_5m),
        (billed.input, rates.input),
    ):
        part = min(missed, count)
        nanos += part * (rate - rates.read)
        missed -= part
    return prices.micros(max(0, nanos))


def _cold(row: Row, prices: Priced) -> Finding:
    written = prices.billed.write_5m + prices.billed.write_1h
    return Finding(row, Kind.COLD, written, _loss(written, prices))


def _kept(row: Row, read: int, prices: Priced, gap_ms: int) -> Finding:
    nanos = read * (prices.rates.write_5m - prices.rates.read)
    return Finding(row, Kind.KEPT, read, prices.micros(nanos), gap_ms)


def _what_if(row: Row, prices: Priced, prevented: Finding | None) -> list[Finding]:
    """Return what was written, and what the other lifetime would have changed of its price."""
    billed, more = prices.billed, prices.rates.write_1h - prices.rates.write_5m
    kept = 0 if prevented is None else min(prevented.tokens, billed.write_5m)
    writes = (
        (Kind.WRITES_5M, billed.write_5m - kept),
        (Kind.WRITES_1H, billed.write_1h),
    )
    return [
        Finding(row, kind, count, prices.micros(count * more)) for kind, count in writes if count
    ]
