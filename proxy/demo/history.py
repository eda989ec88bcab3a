"""Thirty days that never were: rows of scripted sessions, each marked as synthetic by its tag. Pure."""

import random
from collections.abc import Iterator

from proxy.demo.script import HAIKU, OPUS, SONNET, Turn, Who, session
from proxy.ledger.row import Row
from proxy.money.prices import PriceTable

DAYS = 30
FIRST, SECOND = "acct-a", "acct-b"
# Of the tags of all rows that no request made.
SYNTHETIC = "synthetic"

PEOPLE = (
    Who("anna-laptop", OPUS, "repo=shop/web"),
    Who("ben-laptop", SONNET, "repo=shop/web"),
    Who("ci", SONNET, "repo=shop/api", "claude-cli/2.1.330"),
    Who("nightly-agents", HAIKU, "repo=data/jobs"),
)
_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_SATURDAY = 5
# 1970-01-01 was a Thursday.
_FIRST_WEEKDAY = 3
_OK = 200
_OVERLOADED = 529


def rows(seed: int, now_ms: int, prices: PriceTable) -> Iterator[Row]:
    """Yield the rows of thirty days up to now.

    Args:
        seed: for the same days each time.
        now_ms: in Unix milliseconds; nothing ends later.
        prices: what they cost.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    today = now_ms // _DAY_MS
    for day in range(today - DAYS + 1, today + 1):
        weekend = (day + _FIRST_WEEKDAY) % 7 >= _SATURDAY
        for who in PEOPLE:
            for _ in range(chance.randrange(0, 2) if weekend else chance.randrange(1, 3)):
                began_ms = day * _DAY_MS + _hour(chance, who)
                yield from _rows(chance, who, began_ms, now_ms, prices)
    # Today has sessions at any time of the day: three that have just ended.
    for at, who in enumerate(PEOPLE[:3]):
        yield from _rows(chance, who, now_ms - (at + 2) * _HOUR_MS, now_ms, prices)


def _hour(chance: random.Random, who: Who) -> int:
    first, last = (1, 4) if who.key == "nightly-agents" else (7, 19)
    return chance.randrange(first * _HOUR_MS, last * _HOUR_MS)


def _rows(
    chance: random.Random, who: Who, began_ms: int, now_ms: int, prices: PriceTable
) -> Iterator[Row]:
    for turn in session(chance, who):
        number = chance.getrandbits(64)
        if began_ms + turn.ends_ms < now_ms:
            yield row(turn, began_ms, number, prices)


def row(turn: Turn, began_ms: int, number: int, prices: PriceTable) -> Row:
    """Return the row of a turn.

    Args:
        turn: of a session.
        began_ms: when that began, in Unix milliseconds.
        number: of 64 bits, which makes the row's id its own.
        prices: what it costs.
    """
    at_ms = began_ms + turn.at_ms
    upstream = SECOND if turn.away else FIRST
    price = prices.find(turn.model, turn.model)
    billed = turn.billed
    failed = turn.cause is not None
    return Row(
        id="req_" + (at_ms << 64 | number).to_bytes(14).hex(),
        at_ms=at_ms,
        key=turn.who.key,
        endpoint="messages",
        owner=OWNERS.get(turn.who.key),
        model=f"anthropic/{turn.model}",
        upstream=upstream,
        upstream_model=turn.model,
        served_model=None if failed else turn.model,
        upstream_request_id=f"req_011{number:016x}",
        status=_OVERLOADED if failed else _OK,
        cause=turn.cause,
        stop_reason=None if failed else "end_turn",
        stream=1,
        first_byte_ms=turn.first_byte_ms,
        total_ms=turn.first_byte_ms if failed else turn.took_ms,
        bytes_in=4 * billed.prompt,
        bytes_out=5 * billed.output,
        input_tokens=billed.input,
        output_tokens=billed.output,
        cache_write_5m_tokens=billed.write_5m,
        cache_write_1h_tokens=billed.write_1h,
        cache_read_tokens=billed.read,
        cost_micros=price.cost_micros(billed, prices.modifiers(upstream)),
        usage_source="none" if failed else "reported",
        price=price.name,
        session_id=turn.session,
        agent_id=turn.agent,
        parent_agent_id=turn.parent,
        request_class=turn.part,
        prompt_id=turn.prompt,
        agent_type=turn.agent_type,
        client=turn.who.client,
        tag=f"{SYNTHETIC} {turn.who.tag}",
        client_retry=0,
        gateway_us=700 + number % 900,
        compacted=int(turn.compacted),
        away=int(turn.away),
        attempts=1 + int(turn.away),
        billed_entries=1,
    )


OWNERS = {"anna-laptop": "team-web", "ben-laptop": "team-web", "nightly-agents": "platform"}
