"""A body that is read in slices is accepted, refused and spliced as one that is read whole."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidRequest
from proxy.protocol import checks, json_members, json_runs, json_slices, json_strings, parse
from proxy.protocol.call import COUNT_TOKENS, MESSAGES, Call
from proxy.protocol.parse import parse_call
from tests.unit.protocol.json_texts import VALUES, quoted

START = b'{"model":"m","max_tokens":1,"messages":[%s]%s}'
TURN = b'{"role":"user","content":[{"type":"text","text":"\\u00e9\xc3\xa9\\ud83d\\ude00"}]}'


@pytest.fixture(scope="module", autouse=True, params=[12, 1 << 13], ids=["short runs", "long runs"])
def _tiny_slices(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the smallest bodies be large ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parse, "_UNCOUNTED_BYTES", 0)
        patch.setattr(parse, "_AT_ONCE_BYTES", 0)
        patch.setattr(parse, "_WHOLE_BYTES", 0)
        patch.setattr(json_slices, "_PIECE_TOKENS", 3)
        patch.setattr(json_slices, "_PIECE_BYTES", 40)
        patch.setattr(json_slices, "_TOKENS_A_STEP", 2)
        patch.setattr(json_slices, "_KEPT_BYTES_DEEPER", 100)
        patch.setattr(json_slices, "MAX_SINGLE", 20_000)
        patch.setattr(json_strings, "_SLICE_BYTES", 16)
        patch.setattr(json_runs, "_MAX_BYTES", request.param)
        yield


def reference(body: bytes, schema_name: str) -> tuple[str, bool, int | None, bytes] | None:
    """Read a body whole; None when it is refused."""
    try:
        decoded = checks.check(body, schema_name)
        body.decode()
    except (InvalidRequest, msgspec.DecodeError, UnicodeDecodeError):
        return None
    is_message = schema_name == MESSAGES
    outbound = json_members.replace(body, json_members.read(body), "model", b'"up"')
    stream = is_message and decoded.get("stream") is True
    return decoded["model"], stream, decoded["max_tokens"] if is_message else None, outbound


def in_slices(body: bytes, schema_name: str) -> tuple[str, bool, int | None, bytes] | None:
    try:
        parsed = parse_call(body, schema_name)
    except InvalidRequest:
        return None
    return parsed.model, parsed.stream, parsed.max_tokens, b"".join(parsed.body_for("up"))


_turns = st.sampled_from(
    [
        TURN,
        b'{"role":"user","content":"hi"}',
        b' { "role" : "u" , "content" : [ ] , "x" : [ [ 1 , { } ] ] } ',
        b'{"role":"user","content":"%s"}' % ("é😀\\n" * 60).encode(),
        b'{"role":"user","content":"%s"}' % (b'\\ud83d\\ude00\\u00e9\\\\\\"' * 30),
        b'{"role":"user"}',
        b'{"role":1,"content":[{}]}',
        b'{"role":"u","content":"","x":[1 2,{"a":[[[[12 3]]]],"b]":"[,"},[-1.5e3,true]]}',
        b'{"role":"u","content":"","x":{"y":["\\n\\u0041,",{"z":{}},[[],[[]]]],"z":12}}',
        b"[]",
        b"",
    ]
)
_more = st.dictionaries(
    st.sampled_from(["stream", "x", "system", "temperature", "metadata", "é", "stop_sequences"]),
    VALUES | st.sampled_from(["true", "null", "[1,2,3,4,5,6]", '{"a":[1],"b":[2],"c":3}', "8.0"]),
    max_size=3,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    turns = b",".join(draw(st.lists(_turns, max_size=6)))
    more = "".join(f",{quoted(name, [])}:{value}" for name, value in draw(_more).items())
    body = START % (turns, more.encode())
    if draw(st.integers(0, 2)):
        return body
    at = draw(st.integers(0, len(body) - 1))
    put = draw(
        st.sampled_from(
            [b"", b",", b"]", b"}", b'"', b"\\", b"\xff", b"\x01", b" ", b"[", b":", b"1"]
        )
    )
    return body[:at] + put + body[at + draw(st.integers(0, 1)) :]


@pytest.mark.parametrize("schema_name", [MESSAGES, COUNT_TOKENS])
@given(body=bodies())
def test_slices_and_the_whole_are_read_alike(schema_name: str, body: bytes) -> None:
    assert in_slices(body, schema_name) == reference(body, schema_name)


@pytest.mark.parametrize("body", [b'{"model":"a","model":"m",%s', b'{%s,"model":"a","model":"m"}'])
def test_of_doubled_names_the_last_is_checked_and_served(body: bytes) -> None:
    rest = START[len('{"model":"m",') : -1] % (TURN, b',"x":1,"x":[2]')
    whole = body % (rest + b"}" if body.endswith(b"%s") else rest)
    outbound = in_slices(whole, MESSAGES)
    assert outbound is not None
    assert json.loads(outbound[3]) == {**json.loads(whole), "model": "up"}
    assert b'"a"' not in outbound[3]
    assert outbound[3].count(b'"x"') == 1


WRONG: dict[str, tuple[bytes, str]] = {
    "a role far behind": (
        START % (b",".join([TURN] * 9 + [b'{"role":7,"content":""}']), b""),
        "messages.9.role: 7 is not of type 'string'",
    ),
    "no content far behind": (
        START % (b",".join([TURN] * 5 + [b'{"role":"u"}'] + [TURN] * 4), b""),
        "messages.5.content: field required",
    ),
    "a number": (START.replace(b":1,", b":-1,") % (TURN, b""), "max_tokens: -1 is less than"),
    "no model": (b'{"messages":[],"max_tokens":1}', "model: field required"),
    "no object": (b"[]", "body: must be a JSON object"),
    "not utf-8": (START % (TURN + b',"\xff"', b""), "body: not UTF-8"),
    "not utf-8, far inside": (
        START % (TURN.replace(b'text":"', b'text":"' + b"x" * 999 + b"\xff"), b""),
        "body: not UTF-8",
    ),
    "half a pair": (
        START % (b'{"role":"u","content":"%s\\ud83d"}' % (b"x" * 999), b""),
        "body: not valid",
    ),
    "cut": (START[:-1] % (TURN, b""), "body: not valid JSON"),
    "cut in a string": (START.partition(b"%s")[0] + TURN[:-9], "body: not valid JSON"),
    "something behind": (START % (TURN, b"") + b"x", "body: not valid JSON"),
    "space for ever": (START % (TURN, b" " * 9000), "body: over 2048 bytes"),
    "space for ever, inside": (
        START % (TURN, b',"x":[[%s1]]' % (b" " * 99_999)),
        "body: over 2048 bytes",
    ),
    "an element of long numbers": (
        START % (TURN, b',"x":[1,[%s]]' % b",".join([b"7" * 1000] * 2000)),
        "x.1: over 1048576 bytes",
    ),
    "a name too long": (
        START % (TURN, b',"%s":1' % (b"n" * 1025)),
        "body: a member's name is over 1024",
    ),
    "a name far too long": (
        START % (TURN, b',"%s":1' % (b"n" * 99_999)),
        "body: a member's name is over 1024",
    ),
    "too many members": (
        START % (TURN, b"".join(b',"%d":1' % i for i in range(999))),
        "body: over 1000 members",
    ),
    "another spelling": (START % (TURN, b',"Stream":true'), "Stream: must be written stream"),
    "an element of many values": (
        START % (TURN, b',"x":[[%s]]' % b",".join([b"[]"] * 80_000)),
        "x.0: over 50000 values",
    ),
    "much that is nested deep": (
        START % (TURN, b',"x":[%s]' % b",".join([b"[" * 9 + b"]" * 9] * 2_000)),
        "body: over 20000 long strings and deep brackets",
    ),
    "a model too long": (
        START.replace(b'"m"', b'"%s"' % (b"m" * 257)) % (TURN, b""),
        "model: breaks maxLength 256",
    ),
    "a model far too long": (
        START.replace(b'"m"', b'"%s"' % (b"\\ud83d\\ude00" * 99_999)) % (TURN, b""),
        "model: breaks maxLength 256",
    ),
}


@pytest.mark.parametrize(("body", "message"), WRONG.values(), ids=WRONG)
def test_the_message_names_the_place_in_the_whole(body: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_call(body, MESSAGES)
    assert refused.value.message.startswith(message)


def test_too_many_messages_are_counted_over_all_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_slices, "_PIECE_TOKENS", 5000)
    monkeypatch.setattr(json_runs, "_MAX_BYTES", 1 << 13)
    body = START % (b",".join([b'{"role":"u","content":""}'] * 100_001), b"")
    with pytest.raises(InvalidRequest, match="messages: breaks maxItems 100000"):
        parse_call(body, MESSAGES)


def test_models_are_found_in_every_piece() -> None:
    tool: dict[str, Any] = {
        "type": "tool_definition",
        "definition": {"type": "advisor_1", "model": "far"},
    }
    turn = json.dumps({"role": "system", "content": [{"type": "tool_addition", "tool": tool}]})
    more = b',"tools":[%s,{"type":"advisor_1","model":"near"}]' % b",".join([b'{"name":"x"}'] * 9)
    body = START % (b",".join([TURN] * 9 + [turn.encode(), TURN]), more)
    parsed: Call = parse_call(body, MESSAGES)
    assert [(path, model) for path, _, model in parsed.named] == [
        ("messages.9.content.0.tool.definition.model", "far"),
        ("tools.9.model", "near"),
    ]
    outbound = b"".join(parsed.body_for("up", ("up-far", "up-near")))
    assert outbound == body.replace(b'"m"', b'"up"').replace(b'"far"', b'"up-far"').replace(
        b'"near"', b'"up-near"'
    )


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'], ids=["arrays", "objects", "both"])
@pytest.mark.parametrize("place", [b'"messages":[%s', b'"x":%s', b'"tools":[{"input_schema":%s'])
def test_what_is_nested_too_deep_is_refused_before_all_of_it_is_read(
    opening: bytes, place: bytes
) -> None:
    body = b'{"model":"m","max_tokens":1,' + place % (opening * 200_000)
    few = itertools.islice(parse.parse_steps(body, MESSAGES), 2_000)  # of some 200,000
    with pytest.raises(InvalidRequest, match=r"^body: nested too deep$"):
        list(few)
