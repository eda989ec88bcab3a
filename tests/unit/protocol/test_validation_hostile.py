"""Bodies meant to hurt are refused with a 400, and long ones do not hold the event loop."""

import json
import sys
import time
from typing import Any

import pytest

from fuzz.machine import slowness
from proxy.errors import InvalidRequest
from proxy.protocol import json_slices, parse
from proxy.protocol.call import COUNT_TOKENS, MESSAGES
from proxy.protocol.parse import parse_call, parse_steps

START = b'{"model":"m","max_tokens":1,"messages":[]'

HOSTILE = {
    "empty": b"",
    "space": b" \n",
    "array": b"[]",
    "null": b"null",
    "number": b"1",
    "string": b'"x"',
    "unfinished": START,
    "trailing_garbage": START + b"} x",
    "two_objects": START + b"}{}",
    "comment": START + b"/**/}",
    "single_quotes": b"{'model':'m'}",
    "bom": b"\xef\xbb\xbf" + START + b"}",
    "utf16": (START + b"}").decode().encode("utf-16"),
    "nul_alone": b"\0",
    "nul_in_string": START + b',"x":"\0"}',
    "nul_after_end": START + b"}\0",
    "newline_in_string": START + b',"x":"\n"}',
    "not_utf8_in_value": START + b',"x":"\xff"}',
    "not_utf8_in_name": START + b',"\xff":1}',
    "not_utf8_overlong": START + b',"x":"\xc0\xaf"}',
    "surrogate_in_utf8": START + b',"x":"\xed\xa0\x80"}',
    "lone_surrogate": START + b',"x":"\\ud800"}',
    "lone_low_surrogate": START + b',"x":"\\udc00"}',
    "lone_surrogate_in_name": START + b',"\\ud800":1}',
    "lone_surrogate_in_model": b'{"model":"\\udfff","max_tokens":1,"messages":[]}',
    "nan": START + b',"x":NaN}',
    "infinity": START + b',"x":-Infinity}',
    "leading_zero": START + b',"x":01}',
    "hex": START + b',"x":0x1}',
    "arrays_without_end": b"[" * 1_000_000,
    "objects_without_end": b'{"model":' * 300_000,
    "mixed_without_end": b'{"messages":[' * 300_000,
    "nested_where_a_string_belongs": b'{"model":%s1%s}' % (b"[" * 500, b"]" * 500),
    "nested_where_a_message_belongs": (
        b'{"model":"m","max_tokens":1,"messages":[%s1%s]}' % (b"[" * 500, b"]" * 500)
    ),
}


@pytest.mark.parametrize("schema_name", [MESSAGES, COUNT_TOKENS])
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_body_is_an_invalid_request_and_nothing_else(
    body: bytes, schema_name: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_call(body, schema_name)
    assert ": " in refused.value.message
    assert "\n" not in refused.value.message
    assert len(refused.value.message) < 300


# From how many levels on Python's decoders refuse: by their number, and since 3.14 where the stack ends.
_TOO_DEEP = 1_000 if sys.version_info < (3, 12) else 10_000 if sys.version_info < (3, 14) else None


def _passed_or_refused(body: bytes, schema_name: str) -> bytes | str:
    try:
        return b"".join(parse_call(body, schema_name).body_for("m"))
    except InvalidRequest as refused:
        return refused.message


@pytest.mark.parametrize("schema_name", [MESSAGES, COUNT_TOKENS])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["a", "o"])
@pytest.mark.parametrize("place", [b',"x":%s}', b',"tools":[{"input_schema":{"x":%s}}]}'])
@pytest.mark.parametrize("levels", [900, 9_000, 20_000, 100_000])
def test_what_is_nested_deep_passes_as_it_was_or_is_refused_as_that(
    levels: int, place: bytes, opening: bytes, closing: bytes, schema_name: str
) -> None:
    body = START + place % (opening * levels + b"1" + closing * levels)
    became = _passed_or_refused(body, schema_name)
    assert became == body or (levels > 900 and became == "body: nested too deep")
    assert became != body or _TOO_DEEP is None or levels < _TOO_DEEP


def test_what_is_odd_but_json_passes() -> None:
    odd = START + b',"x":[%s,1e-400,"\\u0000","\\ud83d\\ude00"],"\\u0000":{}}' % (b"7" * 4000)
    assert parse_call(odd, MESSAGES).model == "m"


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"7" * 5000], ids=len)
def test_a_number_of_any_size_passes_where_nobody_looks_at_it(number: bytes) -> None:
    assert parse_call(START + b',"x":%s}' % number, MESSAGES).model == "m"
    with pytest.raises(InvalidRequest):
        parse_call(START.replace(b":1", b":" + number) + b"}", MESSAGES)


def test_of_a_doubled_model_the_last_is_checked_and_served() -> None:
    body = b'{"model":"a","messages":[],"max_tokens":1,"model":"b"}'
    parsed = parse_call(body, MESSAGES)
    assert parsed.model == "b"
    outbound = b"".join(parsed.body_for("c"))
    assert json.loads(outbound) == {"model": "c", "messages": [], "max_tokens": 1}
    assert b'"a"' not in outbound


def _conversation(count: int, size: int, last: Any) -> bytes:
    turns: list[Any] = [
        {"role": "user", "content": [{"type": "text", "text": "x" * size}]} for _ in range(count)
    ]
    return json.dumps({"model": "m", "max_tokens": 1, "messages": [*turns[:-1], last]}).encode()


GOOD_TURN = {"role": "user", "content": "x"}


def _best_ms(body: bytes, *, valid: bool | None) -> float:
    """Return the CPU time of the longest step, in the best of some runs, as on the machine of docs/performance.md."""
    best = float("inf")
    tracer = sys.gettrace()  # coverage's, which would be a good part of what is measured
    sys.settrace(None)
    for _ in range(7 if len(body) < 2_000_000 else 1):
        longest, steps = 0.0, parse_steps(body, MESSAGES)
        while True:
            started = time.thread_time()
            try:
                next(steps)
            except StopIteration:
                assert valid is not False
                break
            except InvalidRequest:
                assert not valid
                break
            finally:
                longest = max(longest, time.thread_time() - started)
        best = min(best, longest / slowness())
    sys.settrace(tracer)
    return best * 1e3


@pytest.mark.parametrize(
    ("last", "valid"),
    [
        (GOOD_TURN, True),
        ({"role": "user"}, False),
        ({"role": "user", "content": [{"type": 1}]}, False),
        ({"role": 7, "content": "x" * 100_000}, False),
        ("x" * 100_000, False),
    ],
    ids=["valid", "no_content", "bad_block", "bad_role", "not_an_object"],
)
def test_a_megabyte_of_600_messages_holds_nobody_for_10_ms(last: Any, *, valid: bool) -> None:
    body = _conversation(600, 1700, last)
    assert len(body) > 1_000_000
    assert _best_ms(body, valid=valid) < 10


def test_100_kilobytes_take_well_under_a_millisecond() -> None:
    assert _best_ms(_conversation(60, 1700, GOOD_TURN), valid=True) < 1


def test_a_body_whose_every_message_is_wrong_is_refused_as_fast() -> None:
    body = json.dumps({"model": "m", "max_tokens": 1, "messages": [{"role": 1}] * 600}).encode()
    assert _best_ms(body, valid=False) < 10


@pytest.mark.parametrize("value", [b"[]", b"{}", b"1", b'"a,b"'])
@pytest.mark.parametrize(
    ("place", "message"),
    [
        (b'"messages":[%s]', r"^messages\.0"),
        (b'"messages":[],"x":[%s]', "^body: over 1000000 values$"),
    ],
    ids=["messages", "elsewhere"],
)
def test_a_body_of_millions_of_values_is_refused(value: bytes, place: bytes, message: str) -> None:
    many = b",".join([value] * 1_100_000)
    with pytest.raises(InvalidRequest, match=message):
        parse_call(b'{"model":"m","max_tokens":1,' + place % many + b"}", MESSAGES)


@pytest.mark.parametrize(
    "text", [b"a,b,c,", b"[{,}],", b"\\n,\\u002c"], ids=["commas", "code", "escapes"]
)
def test_what_stands_in_strings_is_no_value(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "_UNCOUNTED_BYTES", 0)
    monkeypatch.setattr(parse, "_AT_ONCE_BYTES", 0)
    monkeypatch.setattr(json_slices, "MAX_VALUES", 10_000)
    blocks = b",".join([b'{"type":"text","text":"%s"}' % (text * 5)] * 3_000)
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[%s]}]}' % blocks
    assert body.count(b",") > 10_000
    assert parse_call(body, MESSAGES).model == "m"


@pytest.mark.parametrize(
    "unit",
    [b"[[]],", b"[[[[[[]]]]]],", b"[" * 20 + b"1" + b"]" * 20 + b",", b"1,", b'"\\n",', b'{"":{}},']
    + [b'"%s",' % (b"x" * size) for size in (1, 127, 129, 4095, 4097)]
    + [b'"%s",' % ("\u00e9" * 100).encode()],
    ids=lambda unit: unit[:12].decode(errors="ignore"),
)
def test_no_step_of_any_large_body_is_long(unit: bytes) -> None:
    """Judged at 2.5 MB: what takes as long as the body squared would take a minute."""
    many = unit * (2_500_000 // len(unit)) + b"1"
    body = b'{"model":"m","max_tokens":1,"messages":[],"x":[%s]}' % many
    # Another process may have taken the caches from one of the runs.
    assert any(_best_ms(body, valid=None) < 50 for _ in range(3))


@pytest.mark.parametrize("unit", [b'""', b'"" ', b'"a":', b'{"":""}', b"{}", b"[[]]", b'"a":""'])
@pytest.mark.parametrize(
    "opening",
    [b'{"a":', b"{", b'{"messages":[', b'{"messages":[{"role":"u","content":[{"type":"x","a":'],
    ids=["member", "names", "messages", "block"],
)
def test_no_step_is_long_of_what_is_no_json_for_want_of_commas(opening: bytes, unit: bytes) -> None:
    body = opening + unit * (3_000_000 // len(unit))
    assert any(_best_ms(body, valid=False) < 50 for _ in range(3))


def test_a_long_text_full_of_commas_is_one_value() -> None:
    text = b'a,{[\\"' * 500_000
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"%s"}]}' % text
    assert parse_call(body, MESSAGES).model == "m"
