"""What an ended request costs: reported where it is told, estimated where it broke, nothing where nothing was made."""

from typing import Any

import msgspec
import pytest

from proxy.money.bill import Bill, Facts, UsageSource, bill, reserved
from proxy.money.usage import Billed, Sums
from proxy.progress import Progress
from proxy.protocol import message
from proxy.protocol.sse import StreamTap
from tests.unit.money.billing import EXPECTED_MICROS, OPUS, START, TABLE, WHOLE, facts
from tests.unit.money.usages import SHAPES, counts

UNPRICED = "has no price: charged as unknown@2026-11-20; add it to prices"


INPUT_MICROS = 1000 * 4 + 200 * 8 + 50_000 * 0.2


# A body of 8000 bytes: 2000 tokens, all of them counted and written.
EXPECTED = Billed(write_5m=2000)


def deltas(number: int, text_bytes: int) -> dict[str, int]:
    return {"output_bytes": number * text_bytes}


@pytest.mark.parametrize(
    ("ended", "source", "tokens", "micros"),
    [
        pytest.param(
            facts(Progress.COMPLETE, usage=WHOLE, stream=True, **deltas(99, 99)),
            UsageSource.REPORTED,
            Sums(1000, 300, 0, 200, 50_000),
            INPUT_MICROS + 300 * 20,
            id="complete",
        ),
        pytest.param(
            facts(Progress.BEGUN, usage=START, stream=True, **deltas(10, 40)),
            UsageSource.PARTIAL,
            Sums(1000, 100, 0, 200, 50_000),
            INPUT_MICROS + 100 * 20,
            id="a stream that broke among its deltas",
        ),
        pytest.param(
            facts(Progress.BEGUN, usage=WHOLE, stream=True, **deltas(10, 40)),
            UsageSource.PARTIAL,
            Sums(1000, 300, 0, 200, 50_000),
            INPUT_MICROS + 300 * 20,
            id="a stream that broke behind its last report",
        ),
        pytest.param(
            facts(Progress.BEGUN, usage=START, stream=True),
            UsageSource.PARTIAL,
            Sums(1000, 1, 0, 200, 50_000),
            INPUT_MICROS + 20,
            id="a stream that broke before its first delta",
        ),
        pytest.param(
            facts(Progress.BEGUN, usage=START, stream=True, **deltas(10, 4000)),
            UsageSource.PARTIAL,
            Sums(1000, 400, 0, 200, 50_000),
            INPUT_MICROS + 400 * 20,
            id="never more output than was allowed",
        ),
        pytest.param(
            facts(Progress.BEGUN, usage={"input_tokens": 10}, stream=True, **deltas(10, 4)),
            UsageSource.PARTIAL,
            Sums(10, 10),
            10 * 4 + 10 * 20,
            id="no output reported so far",
        ),
        pytest.param(
            facts(Progress.COMPLETE, opaque=True, bytes_out=800),
            UsageSource.ESTIMATED,
            Sums(None, 200, 2000),
            EXPECTED_MICROS + 200 * 20,
            id="compressed",
        ),
        pytest.param(
            facts(Progress.BEGUN, opaque=True, stream=True, bytes_out=800),
            UsageSource.ESTIMATED,
            Sums(None, 200, 2000),
            EXPECTED_MICROS + 200 * 20,
            id="compressed and broken",
        ),
        pytest.param(
            facts(Progress.COMPLETE, usage={"service_tier": "standard"}, bytes_out=400),
            UsageSource.ESTIMATED,
            Sums(None, 100, 2000),
            EXPECTED_MICROS + 100 * 20,
            id="whole, and its usage tells nothing",
        ),
        pytest.param(
            facts(Progress.SENT, client_left=True, waited_s=2.5),
            UsageSource.ESTIMATED,
            Sums(None, 125, 2000),
            EXPECTED_MICROS + 125 * 20,
            id="the client left a whole answer after seconds",
        ),
        pytest.param(
            facts(Progress.BEGUN, client_left=True, waited_s=500),
            UsageSource.ESTIMATED,
            Sums(None, 400, 2000),
            EXPECTED_MICROS + 400 * 20,
            id="the client left a whole answer after minutes",
        ),
        pytest.param(
            facts(Progress.SENT, client_left=True, waited_s=2.5, stream=True),
            UsageSource.ESTIMATED,
            Sums(None, None, 2000),
            EXPECTED_MICROS,
            id="the client left a stream before it began",
        ),
        pytest.param(
            facts(Progress.SENT, waited_s=600),
            UsageSource.ESTIMATED,
            Sums(None, None, 2000),
            EXPECTED_MICROS,
            id="the upstream never answered",
        ),
        pytest.param(
            facts(Progress.BEGUN, stream=True, bytes_out=10_000),
            UsageSource.ESTIMATED,
            Sums(None, None, 2000),
            EXPECTED_MICROS,
            id="a stream of pings that broke",
        ),
        pytest.param(
            facts(Progress.SENT, ratio=1 / 64),
            UsageSource.ESTIMATED,
            Sums(None, None, 125, None, 1875),
            125 * 5 + 1875 * 0.2,
            id="a key that is known to cache",
        ),
        pytest.param(
            facts(Progress.UNSENT, client_left=True, bytes_out=90),
            UsageSource.NONE,
            Sums(),
            0,
            id="refused by the gateway, unreachable",
        ),
        pytest.param(
            facts(Progress.REFUSED, bytes_out=90),
            UsageSource.NONE,
            Sums(),
            0,
            id="refused by the upstream",
        ),
        pytest.param(
            facts(Progress.COMPLETE, usage={"input_tokens": 10}, max_tokens=None),
            UsageSource.NONE,
            Sums(),
            0,
            id="a count of tokens",
        ),
    ],
)
def test_each_end_has_its_tokens_its_cost_and_says_how_they_are_known(
    ended: Facts, source: UsageSource, tokens: Sums, micros: float
) -> None:
    found = bill(ended, TABLE)
    assert (found.usage_source, found.sums, found.cost_micros) == (source, tokens, micros)
    assert (found.price is None) == (source is UsageSource.NONE)


def test_what_is_told_beside_a_cost_is_what_it_was_reckoned_of() -> None:
    for progress in Progress:
        for shape, _ in SHAPES.values():
            found = bill(facts(progress, usage=shape, stream=True, **deltas(3, 80)), TABLE)
            nanos = sum(
                TABLE.find(each.model or OPUS, "").nanos(each, TABLE.modifiers("a"))
                for each in found.billed
            )
            assert found.cost_micros == (nanos + 500) // 1000
            for told, place in zip(msgspec.structs.astuple(found.sums), range(6), strict=True):
                counted = sum(counts(each)[place] for each in found.billed)
                assert told == counted or (told is None and counted == 0)


@pytest.mark.parametrize(
    ("changes", "remarks"),
    [
        ({}, ()),
        (
            {"served_model": "claude-\N{SNOWMAN}\n" + "x" * 200},
            (f"model 'claude-\\u2603\\n{'x' * 91}' {UNPRICED}",),
        ),
        (
            {"served_model": "claude-haiku-4-5", "speed": "fast"},
            ("model 'claude-haiku-4-5' has no price of fast mode: charged twice its own",),
        ),
        ({"speed": "fast"}, ()),
        (
            {"usage": {"input_tokens": -1, "output_tokens": 1}},
            ("upstream a: usage.input_tokens holds no count of tokens: taken as 0",),
        ),
    ],
)
def test_an_operator_is_told_what_was_guessed(
    changes: dict[str, Any], remarks: tuple[str, ...]
) -> None:
    ended = facts(Progress.COMPLETE, **{"usage": WHOLE, **changes})
    assert bill(ended, TABLE).remarks == remarks


def test_an_unknown_model_is_not_free() -> None:
    ended = facts(Progress.COMPLETE, usage=WHOLE, served_model="gpt")
    assert bill(ended, TABLE).cost_micros == 1000 * 5 + 200 * 10 + 50_000 * 0.5 + 300 * 25


def test_a_bill_that_could_not_be_made_is_what_was_reserved() -> None:
    assert reserved(EXPECTED, 77) == Bill(
        (EXPECTED,), Sums(cache_write_5m_tokens=2000), 77, UsageSource.ESTIMATED
    )


def frame(kind: str, **members: Any) -> bytes:
    data = msgspec.json.encode({"type": kind, **members})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


@pytest.mark.parametrize("shape", [name for name, (usage, _) in SHAPES.items() if usage])
def test_a_stream_costs_what_the_same_answer_costs_as_json(shape: str) -> None:
    usage = SHAPES[shape][0] or {}
    early = {name: value for name, value in usage.items() if name != "iterations"}
    late = {name: value for name, value in usage.items() if name != "cache_creation"}
    stream = (
        frame("message_start", message={"model": OPUS, "usage": {**early, "output_tokens": 1}})
        + frame("content_block_delta", index=0, delta={"type": "text_delta", "text": "hello"})
        + frame("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})
        + frame("message_delta", delta={"stop_reason": "end_turn"}, usage=late)
        + frame("message_stop")
    )
    tap = StreamTap(None, framed=True)
    for at in range(0, len(stream), 7):
        tap.feed(stream[at : at + 7])
    whole = message.read(msgspec.json.encode({"content": [], "model": OPUS, "usage": usage}), None)
    if usage.get("output_tokens") is None:
        # A stream has told one before.
        whole.usage["output_tokens"] = 2
    streamed = bill(facts(Progress.COMPLETE, usage=tap.usage, stream=True), TABLE)
    assert streamed == bill(facts(Progress.COMPLETE, usage=whole.usage), TABLE)
