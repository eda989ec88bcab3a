"""A body is checked as the schema says, by two validators that agree, and refused in one line that names the place."""

import functools
import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from referencing import Registry, Resource

from proxy import schema_files
from proxy.errors import InvalidRequest
from proxy.protocol.call import COUNT_TOKENS, MESSAGES, Call
from proxy.protocol.parse import parse_call, parse_small

LINE = re.compile(r"(body|[a-z_]+(\.\w+)*): [^\n]+")
GOOD: dict[str, Any] = {
    "model": "anthropic/claude-haiku-4.5",
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 8,
}

_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=5,
)
_extra = st.dictionaries(st.sampled_from(["metadata", "thinking", "cache_control"]), _json)
_block = st.builds(lambda kind, more: {**more, "type": kind}, st.text(max_size=4), _extra)
_message = st.builds(
    lambda role, content, more: {**more, "role": role, "content": content},
    st.sampled_from(["user", "assistant", "system", "developer"]),
    st.text(max_size=5) | st.lists(_block, max_size=3),
    _extra,
)
_optional = st.fixed_dictionaries(
    {},
    optional={
        "system": st.none() | st.text(max_size=4) | st.lists(_extra, max_size=2),
        "temperature": st.none() | st.floats(0, 1),
        "stream": st.none() | st.booleans(),
        "stop_sequences": st.none() | st.lists(st.text(max_size=3), max_size=2),
        "tools": st.none() | st.lists(_extra, max_size=2),
    },
)
_body = st.builds(
    lambda required, optional, extra: {**extra, **optional, **required},
    st.fixed_dictionaries(
        {
            "model": st.text(min_size=1, max_size=9),
            "messages": st.lists(_message, max_size=3),
            "max_tokens": st.integers(0, 10**19),
        }
    ),
    _optional,
    _extra,
)


@st.composite
def _mutated(draw: st.DrawFn) -> Any:
    """Take a good body and, somewhere on the way down, drop a member or put another value there."""
    body = json.loads(json.dumps(draw(_body)))
    place: Any = body
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return body
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 3)):
            place = place[key]
            continue
        if draw(st.booleans()):
            del place[key]
        else:
            place[key] = draw(_json)
        return body


@functools.cache
def pure(schema_name: str) -> jsonschema.Draft202012Validator:
    schemas = [schema_files.load(name) for name in schema_files.names()]
    registry: Registry[Any] = Registry().with_resources(
        [(schema["$id"], Resource.from_contents(schema)) for schema in schemas]
    )
    return jsonschema.Draft202012Validator(schema_files.load(schema_name), registry=registry)


def refused(body: bytes, schema_name: str = MESSAGES) -> str:
    with pytest.raises(InvalidRequest) as raised:
        parse_call(body, schema_name)
    return raised.value.message


@pytest.mark.parametrize("schema_name", [MESSAGES, COUNT_TOKENS])
@given(body=_body | _mutated() | _json)
def test_both_validators_agree_and_a_refusal_is_a_line_that_begins_with_a_path(
    schema_name: str, body: Any
) -> None:
    text = json.dumps(body).encode()
    if pure(schema_name).is_valid(body):
        call = parse_call(text, schema_name)
        assert (call.body, call.model) == (text, body["model"])
        assert call.stream is (schema_name == MESSAGES and body.get("stream") is True)
        assert call.max_tokens == (body["max_tokens"] if schema_name == MESSAGES else None)
    else:
        assert LINE.fullmatch(refused(text, schema_name))


def _changed(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in {**GOOD, **members}.items() if value is not ...}


WRONG: list[tuple[Any, str]] = [
    (_changed(model=...), "model: field required"),
    (_changed(messages=...), "messages: field required"),
    (_changed(max_tokens=...), "max_tokens: field required"),
    (_changed(model=7), "model: 7 is not of type 'string'"),
    (_changed(model=""), "model: '' should be non-empty"),
    (_changed(max_tokens=-1), "max_tokens: -1 is less than the minimum of 0"),
    (_changed(max_tokens=True), "max_tokens: true is not of type 'integer'"),
    (_changed(max_tokens=0.5), "max_tokens: 0.5 is not of type 'integer'"),
    (_changed(temperature=1.5), "temperature: 1.5 is greater than the maximum of 1"),
    (_changed(stream="yes"), "stream: 'yes' is not of type 'null', 'boolean'"),
    (_changed(messages={}), "messages: {} is not of type 'array'"),
    (_changed(messages=["x"]), "messages.0: 'x' is not of type 'object'"),
    (_changed(messages=[{"content": "x"}]), "messages.0.role: field required"),
    (_changed(messages=[{"role": "user"}]), "messages.0.content: field required"),
    (
        _changed(messages=[{"role": "u", "content": [{"type": "text"}, {}]}]),
        "messages.0.content.1.type: field required",
    ),
    (_changed(stop_sequences=["a", 1]), "stop_sequences.1: 1 is not of type 'string'"),
    (_changed(tools=[[]]), "tools.0: [] is not of type 'object'"),
    (_changed(system=[1]), "system.0: 1 is not of type 'object'"),
    ([], "body: [] is not of type 'object'"),
    (None, "body: null is not of type 'object'"),
    (_changed(messages=False), "messages: false is not of type 'array'"),
    (_changed(messages=[None]), "messages.0: null is not of type 'object'"),
    ("x\ny", r"body: 'x\ny' is not of type 'object'"),
    (
        _changed(messages=[{"role": "u", "content": "x"}] * 100_001),
        "messages: breaks maxItems 100000",
    ),
]


@pytest.mark.parametrize(
    ("body", "message"), WRONG, ids=[f"{i}-{row[1]}" for i, row in enumerate(WRONG)]
)
def test_the_message_names_the_place_and_the_fault(body: Any, message: str) -> None:
    assert refused(json.dumps(body).encode()) == message


def test_a_message_quotes_at_most_sixty_characters_of_a_value() -> None:
    assert len(refused(json.dumps(_changed(stream="x" * 10_000)).encode())) < 150
    assert len(refused(json.dumps(_changed(temperature=10**4000)).encode())) < 250


@pytest.mark.parametrize(
    "extra",
    [
        {"max_tokens": 0},
        {"temperature": None, "stream": None, "system": None, "tools": None},
        {"messages": []},
        {"messages": [{"role": "system", "content": "x"}]},
        {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
        {"thinking": {"type": "adaptive", "display": "omitted"}},
        {"context_management": {}, "output_config": {}, "unheard_of": [[[1]]]},
    ],
    ids=str,
)
def test_what_real_clients_send_is_accepted(extra: dict[str, Any]) -> None:
    assert isinstance(parse_call(json.dumps({**GOOD, **extra}).encode(), MESSAGES), Call)


def test_max_tokens_is_an_integer_however_it_is_written() -> None:
    call = parse_call(json.dumps(_changed(max_tokens=8.0)).encode(), MESSAGES)
    assert isinstance(call.max_tokens, int)


def test_count_tokens_neither_asks_for_nor_looks_at_max_tokens() -> None:
    call = parse_call(json.dumps(_changed(max_tokens="x")).encode(), COUNT_TOKENS)
    assert call.max_tokens is None


def test_the_outbound_body_differs_in_the_model_only() -> None:
    body = b'{ "max_tokens":8,"x":1.50, "messages":[],\n"model" : "sonnet"}'
    outbound = b"".join(parse_call(body, MESSAGES).body_for('claude-"4"'))
    assert outbound == body.replace(b'"sonnet"', rb'"claude-\"4\""')


@pytest.mark.parametrize(
    ("extra", "is_read"),
    [({}, True), ({"fallbacks": [{"model": "m"}]}, False), ({"x": "x" * 5_000}, False)],
    ids=["plain", "names_models", "large"],
)
def test_a_small_plain_body_is_read_before_anything_else(
    extra: dict[str, Any], *, is_read: bool
) -> None:
    body = json.dumps({**GOOD, **extra}).encode()
    small = parse_small(body, MESSAGES)
    assert (small is not None) == is_read
    assert small is None or small == parse_call(body, MESSAGES)
