"""What a response says about itself is told the same of a message and of its stream, however that was cut."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocol import message
from proxy.protocol.sse import StreamTap
from proxy.protocol.told import Told
from tests.unit.protocol.streams import ECHO, MIXTURES, chunked, mixed

DELTA = 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":%s}\n\n'
TEXTS = (
    "plain",
    "",
    'event: content_block_delta\ndata: {"type":"content_block_delta"}\n\n',
    "\n\n\r\n\r\n",
    '"content_block_delta" \\"content_block_delta\\"',
    "é\U0001f600",
    'message_stop and "error"',
)
OTHERS = (
    'event: ping\ndata: {"type": "ping"}\n\n',
    'event: content_block_start\ndata: {"type":"content_block_start","index":0}\n\n',
    ": content_block_delta\n\n",
    'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
    'event: content_block_start\ndata: {"content_block":{"title":"\\"\\n\\n\\""},"index":1}\n\n',
)


def delta(text: str) -> str:
    said = msgspec.json.encode({"type": "text_delta", "text": text}).decode()
    return DELTA % said


def output_of(*texts: str) -> int:
    """Return what the deltas of texts hold, each escape as a byte."""
    return sum(len(msgspec.json.encode(each)) - 2 - escapes(each) for each in texts)


def escapes(text: str) -> int:
    return msgspec.json.encode(text).count(b"\\")


@pytest.mark.parametrize("line_ends", MIXTURES.values(), ids=MIXTURES.keys())
@given(data=st.data())
def test_output_is_measured_whatever_the_chunks_and_what_stands_between(
    line_ends: tuple[str, str], data: st.DataObject
) -> None:
    texts = data.draw(st.lists(st.sampled_from(TEXTS), max_size=6))
    others = data.draw(st.lists(st.sampled_from(OTHERS), min_size=1, max_size=4))
    parts = data.draw(st.permutations([*map(delta, texts), *others]))
    tap = StreamTap(None, framed=True)
    for chunk in data.draw(chunked(mixed("".join(parts), *line_ends))):
        tap.feed(chunk)
    tap.rest()
    # Of a text that comes alone, escapes are counted as they are written.
    assert 0 <= tap.told.output_bytes - output_of(*texts) <= sum(map(escapes, texts))


@given(data=st.data())
def test_of_a_stream_that_is_cut_the_whole_deltas_are_measured(data: st.DataObject) -> None:
    texts = ("plain", "", "é\U0001f600", 'message_stop and "error"', "more", "and more")
    stream = "".join(map(delta, texts)).encode()
    cut = data.draw(st.integers(2, len(stream)))
    tap = StreamTap(ECHO, framed=False)
    for chunk in data.draw(chunked(stream[:cut])):
        tap.feed(chunk)
    whole = texts[: stream[:cut].count(b"\n\n")]
    assert 0 <= tap.told.output_bytes - output_of(*whole) <= sum(map(escapes, whole))


KINDS = {
    "text": ({"type": "text_delta", "text": "twelve bytes"}, 12),
    "thinking": ({"type": "thinking_delta", "thinking": "twelve bytes"}, 12),
    "input of a tool": ({"type": "input_json_delta", "partial_json": '{"a": "b c"}'}, 12),
    "a signature": ({"type": "signature_delta", "signature": "c2ln" * 500}, 0),
    "a citation": ({"type": "citations_delta", "citation": {"cited_text": "x" * 500}}, 0),
    "in another order": ({"text": "twelve bytes", "type": "text_delta"}, 12),
    "unknown": ({"type": "new_delta", "text": "twelve bytes"}, 12),
}
LAYOUTS = {
    "as the API": (DELTA, msgspec.json.encode),
    "block 10": (DELTA.replace("0", "10"), msgspec.json.encode),
    "padded": (DELTA.replace("}\n", "}      \n"), msgspec.json.encode),
    "with spaces": (DELTA, lambda each: json.dumps(each).encode()),
    "by other lines": (DELTA.replace("event: content_block_delta\n", ""), msgspec.json.encode),
}


@pytest.mark.parametrize("together", [1, 4])
@pytest.mark.parametrize(("frame", "encode"), LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(("said", "output"), KINDS.values(), ids=KINDS)
def test_each_kind_of_delta_holds_its_output_however_it_is_written(
    said: dict[str, Any], output: int, frame: str, encode: Callable[[Any], bytes], together: int
) -> None:
    tap = StreamTap(None, framed=True)
    tap.feed((frame % encode(said).decode()).encode() * together)
    # Those that nobody writes so are measured by their size.
    assert abs(tap.told.output_bytes - output * together) <= 8 * together


def test_a_giant_delta_counts_as_far_as_it_was_looked_at() -> None:
    tap = StreamTap(None, framed=True)
    giant = delta("x" * (1 << 21)).encode()
    for at in range(0, len(giant), 1 << 16):
        tap.feed(giant[at : at + (1 << 16)])
    assert 1 << 20 < tap.told.output_bytes <= 1 << 21
    before = tap.told.output_bytes
    tap.feed(delta("y").encode())
    assert tap.told.output_bytes == before + 1


SAYINGS: dict[str, tuple[dict[str, Any], Told]] = {
    "nothing": ({}, Told()),
    "a model": ({"model": "m"}, Told("m")),
    "an end": ({"model": "m", "stop_reason": "end_turn"}, Told("m", "end_turn")),
    "a refusal": (
        {"model": "m", "stop_reason": "refusal", "stop_details": {"category": "bio"}},
        Told("m", "refusal", "bio"),
    ),
    "a refusal that names no category": (
        {"model": "m", "stop_reason": "refusal", "stop_details": {"category": None}},
        Told("m", "refusal"),
    ),
    "a missed cache": (
        {"model": "m", "diagnostics": {"cache_miss_reason": {"type": "tools_changed"}}},
        Told("m", cache_miss="tools_changed"),
    ),
    "other kinds": (
        {
            "model": 7,
            "stop_reason": ["refusal"],
            "stop_details": {"category": "bio"},
            "diagnostics": {"cache_miss_reason": "x"},
        },
        Told(),
    ),
    "parts of other kinds": (
        {"model": "", "stop_reason": "end_turn", "stop_details": "x", "diagnostics": 7},
        Told(None, "end_turn"),
    ),
    "long words": ({"model": "m" * 999}, Told("m" * 256)),
}


def start(said: dict[str, Any]) -> bytes:
    first = {name: said[name] for name in ("model", "diagnostics") if name in said}
    return b"data: %b\n\n" % msgspec.json.encode({"type": "message_start", "message": first})


@pytest.mark.parametrize(("said", "told"), SAYINGS.values(), ids=SAYINGS.keys())
def test_a_message_and_its_stream_tell_the_same(said: dict[str, Any], told: Told) -> None:
    end = {name: said[name] for name in ("stop_reason", "stop_details") if name in said}
    tap = StreamTap(None, framed=True)
    tap.feed(start(said))
    tap.feed(b'data: {"type":"message_delta","delta":{"stop_reason":null}}\n\n')
    tap.feed(b"data: %b\n\n" % msgspec.json.encode({"type": "message_delta", "delta": end}))
    assert tap.told == told
    assert message.read(msgspec.json.encode({"content": [], **said}), None).told == told


@pytest.mark.parametrize("text", ['{"model":"\\ud83d","stop_reason":"x"}', '{"model":"m","n":NaN}'])
def test_a_message_that_is_read_with_care_tells_as_well(text: str) -> None:
    told = message.read(text.encode(), None).told
    assert told is not None
    assert told.model is not None
