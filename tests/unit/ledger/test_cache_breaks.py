"""Cache breaks: which requests are any, for which reason, and what they cost to the micro-dollar."""

import time
from fractions import Fraction
from typing import Any

import pytest

from proxy.ledger.cache_breaks import REASONS, Finding, Kind, findings
from proxy.ledger.row import Row
from proxy.money import price_file

TABLE = price_file.load()
# Dollars per million tokens of claude-opus-5-5, as published.
INPUT, WRITE_5M, WRITE_1H, READ = (Fraction(word) for word in ("4", "5", "8", "0.2"))
AT_MS = 1_764_000_000_000
MIN_MS = 60_000
HOUR_MS = 60 * MIN_MS


def request(minute: float, **fields: Any) -> Row:
    """Return a request of one chain, so many minutes after its first."""
    at_ms = AT_MS + int(minute * MIN_MS)
    told: dict[str, Any] = {
        "id": f"req_{at_ms:028x}",
        "at_ms": at_ms,
        "key": "laptop",
        "endpoint": "messages",
        "model": "claude-opus-5.5",
        "served_model": "claude-opus-5-5",
        "upstream_model": "claude-opus-5-5",
        "upstream": "a",
        "usage_source": "reported",
        "session_id": "s",
        "request_class": "main",
        "client": "claude-cli/2.1.332",
        "first_byte_ms": 500,
        "total_ms": 5_000,
        "input_tokens": 100,
        "output_tokens": 50,
        "cache_write_5m_tokens": 0,
        "cache_write_1h_tokens": 0,
        "cache_read_tokens": 0,
    }
    return Row(**told | fields)


def written(minute: float, tokens: int = 100_000, **fields: Any) -> Row:
    """Return a request that wrote its prompt for five minutes."""
    return request(minute, cache_write_5m_tokens=tokens, **fields)


def hour(minute: float, tokens: int = 100_000, **fields: Any) -> Row:
    """Return a request that wrote its prompt for an hour."""
    return request(minute, cache_write_1h_tokens=tokens, **fields)


def hit(minute: float, read: int = 100_000, new: int = 1_000, **fields: Any) -> Row:
    """Return a request that read what was there, and wrote some."""
    return request(minute, **{"cache_read_tokens": read, "cache_write_5m_tokens": new} | fields)


def found(*rows: Row) -> list[Finding]:
    """Return what is found of the last request."""
    return findings(rows, TABLE, lambda row: row is rows[-1])


FIRST = written(0)


def test_a_chain_as_long_as_a_client_likes_is_looked_through_once() -> None:
    """Each with all before it would be 70 million looks, in which nobody else's breaks are found."""

    def took_s(count: int) -> float:
        chain = [hit(0.001 * n, first_byte_ms=HOUR_MS) for n in range(count)]
        began_s = time.thread_time()
        findings(chain, TABLE, lambda _: True)
        return time.thread_time() - began_s

    # Sixteen times as many take sixteen times as long, and 256 times if each is compared with all before it.
    few_s = min(took_s(1_000) for _ in range(2))
    assert took_s(16_000) / few_s < 64


BREAKS: dict[str, tuple[tuple[Row, ...], str]] = {
    "five minutes, and a bit": ((FIRST, written(5.01)), "idle"),
    "an hour's writes, an hour and a bit later": ((hour(0), hour(60.1)), "idle"),
    "a read does not show what was written": (
        (FIRST, request(1, cache_read_tokens=100_000), written(6.5)),
        "idle",
    ),
    "the last that wrote counts, not an earlier one": (
        (hour(0), hit(1, new=4_000), written(7)),
        "idle",
    ),
    "another upstream": ((FIRST, written(1, upstream="b")), "moved"),
    "another upstream counts before the time": ((FIRST, written(90, upstream="b")), "moved"),
    "another model in one class": (
        (FIRST, written(1, model="claude-sonnet-5.5")),
        "model",
    ),
    "compacted, says the header": ((FIRST, written(1, 90_000, compacted=1)), "compaction"),
    "compacted, says the class": (
        (
            written(0, request_class="compaction"),
            written(1, request_class="compaction"),
        ),
        "compaction",
    ),
    "compacted counts before the move": (
        (FIRST, written(1, compacted=1, upstream="b")),
        "compaction",
    ),
    "the API's own diagnosis counts before all": (
        (FIRST, written(90, compacted=1, cache_miss_reason="tools_changed")),
        "api:tools_changed",
    ),
    "a diagnosis of a later API": (
        (FIRST, written(1, cache_miss_reason="moon_phase")),
        "api:other",
    ),
    "the first stream broke": (
        (written(0, usage_source="partial", cause="upstream_cut"), written(1)),
        "cut",
    ),
    "the client left the first": ((written(0, cause="client_closed"), written(1)), "cut"),
    "one in between of which nothing is known": (
        (FIRST, request(1, usage_source="estimated", cause="client_closed"), written(2)),
        "cut",
    ),
    "at once, and nothing differs": ((FIRST, written(0.5)), "provider"),
    "a minute later": ((FIRST, written(1)), "prefix"),
    "at once, with a new client": ((FIRST, written(0.5, client="claude-cli/2.1.333")), "prefix"),
    "at once, in fast mode": ((FIRST, written(0.5, speed="fast")), "prefix"),
    "at once, with a prompt too short to begin alike": ((FIRST, written(0.5, 60_000)), "prefix"),
    "a part of it": (
        (FIRST, request(2, cache_read_tokens=40_000, cache_write_5m_tokens=61_000)),
        "prefix",
    ),
    "without a class, for one model": (
        (written(0, request_class=None), written(6, request_class=None)),
        "idle",
    ),
    "of an agent": ((written(0, agent_id="a1"), written(6, agent_id="a1")), "idle"),
    "paid as input, with nothing written": ((FIRST, request(2, input_tokens=101_000)), "prefix"),
}


@pytest.mark.parametrize(("rows", "reason"), BREAKS.values(), ids=BREAKS)
def test_a_break_has_its_first_reason_and_its_exact_price(
    rows: tuple[Row, ...], reason: str
) -> None:
    (broken,) = [each for each in found(*rows) if each.is_break]
    row = rows[-1]
    before = next(each for each in reversed(rows[:-1]) if each.usage_source != "estimated")
    expected = sum(
        getattr(before, f"cache_{name}_tokens") for name in ("read", "write_5m", "write_1h")
    )
    missed = expected - (row.cache_read_tokens or 0)
    assert (broken.kind, broken.tokens, broken.row) == (reason, missed, row)
    in_hour = min(missed, row.cache_write_1h_tokens or 0)
    in_minutes = min(missed - in_hour, row.cache_write_5m_tokens or 0)
    as_input = min(missed - in_hour - in_minutes, row.input_tokens or 0)
    micros = (
        in_hour * (WRITE_1H - READ) + in_minutes * (WRITE_5M - READ) + as_input * (INPUT - READ)
    ) * (2 if row.speed == "fast" else 1)
    assert broken.cost_micros == micros > 0
    assert broken.gap_ms == row.at_ms - rows[-2].at_ms


NONE: dict[str, tuple[Row, ...]] = {
    "the first of a chain": (FIRST,),
    "all of it read": (FIRST, hit(4.9)),
    "an hour's writes, within the hour": (hour(0), hit(59)),
    "few tokens": (written(0, 2_000), written(9, 2_000)),
    "a small share": (FIRST, hit(1, 98_000 - 1_000, 3_000)),
    "under a tenth": (written(0, 1_000_000), hit(1, 901_000, 1_000)),
    "a prompt of less than half": (FIRST, written(9, 40_000)),
    "another agent's": (FIRST, written(9, agent_id="a1")),
    "another class": (FIRST, written(9, request_class="auxiliary")),
    "another model without a class": (
        written(0, request_class=None),
        written(9, request_class=None, model="claude-haiku-4.5"),
    ),
    "another session": (FIRST, written(9, session_id="t")),
    "billed as several calls": (FIRST, written(9, billed_entries=2)),
    "after one that was billed as several calls": (written(0, billed_entries=2), written(9)),
    "its usage is an estimate": (FIRST, written(9, usage_source="estimated")),
    "never sent": (FIRST, request(9, usage_source="none")),
    "without a session": (written(0, session_id=None), written(9, session_id=None)),
    "while the first still waits for its answer": (written(0, first_byte_ms=40_000), written(0.5)),
    "a count of tokens": (FIRST, written(9, endpoint="count_tokens")),
}


@pytest.mark.parametrize("rows", NONE.values(), ids=NONE)
def test_what_is_no_break_is_none(rows: tuple[Row, ...]) -> None:
    assert not [each for each in found(*rows) if each.is_break]


def _kinds(*rows: Row) -> dict[str, tuple[int, Any]]:
    return {each.kind: (each.tokens, each.cost_micros) for each in found(*rows)}


def test_a_session_that_was_idle_moved_and_compacted_shows_exactly_these() -> None:
    rows = [
        FIRST,
        hit(1),
        hit(2, 101_000),
        written(8, 103_000),  # idle for 6 minutes
        hit(9, 103_000),
        written(10, 105_000, upstream="b"),
        hit(11, 105_000, upstream="b"),
        written(12, 60_000, upstream="b", compacted=1),
        hit(13, 60_000, upstream="b"),
    ]
    breaks = [each for each in findings(rows, TABLE, lambda _: True) if each.is_break]
    assert [(each.row, each.kind) for each in breaks] == [
        (rows[3], "idle"),
        (rows[5], "moved"),
        (rows[7], "compaction"),
    ]
    assert [each.gap_ms for each in breaks] == [6 * MIN_MS, MIN_MS, MIN_MS]


def test_only_new_rows_are_judged_by_all_that_are_there() -> None:
    rows = [FIRST, hit(1), written(9, 101_000)]
    each_alone = [each for row in rows for each in findings(rows, TABLE, row.__eq__)]
    assert each_alone == findings(rows, TABLE, lambda _: True)


def test_what_an_hour_would_have_kept_is_not_charged_for_the_hour() -> None:
    kinds = _kinds(FIRST, written(6, 103_000))
    lost = 100_000 * (WRITE_5M - READ)
    assert kinds["idle"] == kinds[Kind.IDLE_UNDER_1H] == (100_000, lost)
    assert kinds[Kind.WRITES_5M] == (3_000, 3_000 * (WRITE_1H - WRITE_5M))
    assert Kind.IDLE_UNDER_1H not in _kinds(FIRST, written(61))


def test_what_only_an_hour_kept_has_the_price_of_its_loss() -> None:
    kinds = _kinds(hour(0), hit(7))
    assert kinds[Kind.KEPT] == (100_000, 100_000 * (WRITE_5M - READ))
    assert Kind.KEPT not in _kinds(hour(0), hit(4))
    assert Kind.KEPT not in _kinds(FIRST, hit(4))
    assert _kinds(hour(0))[Kind.WRITES_1H] == (100_000, 100_000 * (WRITE_1H - WRITE_5M))


def test_a_cold_start_is_told_beside_the_breaks() -> None:
    assert _kinds(FIRST)[Kind.COLD] == (100_000, 100_000 * (WRITE_5M - READ))
    assert Kind.COLD not in _kinds(FIRST, hit(1))


def test_what_cannot_be_compared_is_counted() -> None:
    for rows in (NONE["billed as several calls"], NONE["its usage is an estimate"]):
        assert Kind.NOT_COMPARED in _kinds(*rows)
    assert Kind.NOT_COMPARED in _kinds(*NONE["after one that was billed as several calls"])
    assert Kind.NOT_COMPARED not in _kinds(FIRST, hit(1))


def test_every_billed_request_of_a_session_is_summed_once() -> None:
    rows = [written(0, cost_micros=5), hit(1, cost_micros=7), written(9, cost_micros=9)]
    told = findings(rows, TABLE, lambda _: True)
    assert sum(each.cost_micros for each in told if each.kind == Kind.PAID) == 21


def test_what_multiplies_a_price_multiplies_a_loss() -> None:
    us = _kinds(FIRST, written(6, geo="us"))
    assert us["idle"] == (100_000, 100_000 * (WRITE_5M - READ) * Fraction("1.1"))


def test_every_reason_comes_up() -> None:
    shown = {reason for _, reason in BREAKS.values()}
    by_api = {reason for reason in REASONS if reason.startswith("api:")}
    assert shown | by_api == set(REASONS)
