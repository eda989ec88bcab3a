"""Every model that a request names is found, and nothing else is taken for one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidRequest
from proxy.protocol.call import COUNT_TOKENS, MESSAGES
from proxy.protocol.parse import parse_call

GOOD: dict[str, Any] = {"model": "m", "max_tokens": 1, "messages": []}
ADVISOR = {"type": "advisor_20260301", "name": "advisor", "model": "other"}


def body_with(**members: Any) -> bytes:
    return json.dumps({**GOOD, **members}).encode()


def turn(definition: Any) -> dict[str, Any]:
    tool = {"type": "tool_definition", "definition": definition}
    return {"role": "system", "content": [{"type": "tool_addition", "tool": tool}]}


NAMED: dict[str, tuple[dict[str, Any], list[tuple[str, str | None]]]] = {
    "an advisor": ({"tools": [{"name": "x"}, ADVISOR]}, [("tools.1.model", "other")]),
    "a server tool to come": (
        {"tools": [{"type": "reviewer_2027", "model": "other"}]},
        [("tools.0.model", "other")],
    ),
    "an advisor inside a message": (
        {"messages": [{"role": "u", "content": "x"}, turn(ADVISOR)]},
        [("messages.1.content.0.tool.definition.model", "other")],
    ),
    "fallbacks": (
        {"fallbacks": [{"model": "a", "max_tokens": 2}, {"model": "b"}]},
        [("fallbacks.0.model", "a"), ("fallbacks.1.model", "b")],
    ),
    "the API's own fallbacks": ({"fallbacks": "default"}, [("fallbacks", None)]),
    "some other word": ({"fallbacks": "best"}, [("fallbacks", None)]),
    "all of them": (
        {"tools": [ADVISOR], "fallbacks": [{"model": "a"}], "messages": [turn(ADVISOR)]},
        [
            ("fallbacks.0.model", "a"),
            ("messages.0.content.0.tool.definition.model", "other"),
            ("tools.0.model", "other"),
        ],
    ),
}


@pytest.mark.parametrize(("members", "named"), NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("schema_name", [MESSAGES, COUNT_TOKENS])
def test_a_model_is_found_where_the_api_takes_one(
    schema_name: str, members: dict[str, Any], named: list[tuple[str, str | None]]
) -> None:
    call = parse_call(body_with(**members), schema_name)
    assert sorted((path, model) for path, _, model in call.named) == sorted(named)


@pytest.mark.parametrize("indent", [None, 1])
def test_each_is_replaced_and_every_other_byte_stays(indent: int | None) -> None:
    members = {
        "x": "other",
        "tools": [{"name": "other"}, ADVISOR],
        "fallbacks": [{"model": "other"}],
    }
    body = json.dumps({**GOOD, **members}, indent=indent).encode()
    call = parse_call(body, MESSAGES)
    ids = {path: f"up-{index}" for index, (path, _, _) in enumerate(call.named)}
    outbound = b"".join(call.body_for("up", tuple(ids.values())))
    due = json.loads(body)
    due["model"] = "up"
    due["tools"][1]["model"] = ids["tools.1.model"]
    due["fallbacks"][0]["model"] = ids["fallbacks.0.model"]
    assert outbound == json.dumps(due, indent=indent).encode()


TOOL = b'{"type":"advisor_1","name":"a",%b:"other"}'
TURN = b'{"role":"system","content":[{"type":"tool_addition","tool":{"definition":%b}}]}' % TOOL
SPELLED = {
    "Go and .NET: a capital": "Model",
    "all capitals": "MODEL",
    "capitals in between": "mOdEl",
    "escaped": "\\u004dodel",
    "C: up to a NUL": "model\\u0000x",
    "space behind": "model ",
    "space before, escaped": "\\tmodel",
    "space beyond ASCII": "\u2003model",
    "dashes": "-mod-el_",
    "far behind dashes": "-" * 300 + "model",
}
PLACES = {
    "tools": (b'"messages":[],"tools":[{"name":"x"},%b]' % TOOL, "tools.1"),
    "behind an own tool": (b'"messages":[],"tools":[{"model":1},%b]' % TOOL, "tools.1"),
    "messages": (b'"messages":[%b]' % TURN, "messages.0.content.0.tool.definition"),
    "fallbacks": (b'"messages":[],"fallbacks":[{"model":"m",%b:"other"}]', "fallbacks.0"),
}
LARGE = b'"system":[%b],' % b",".join([b'{"type":"text","text":""}'] * 20_000)


@pytest.mark.parametrize(("place", "path"), PLACES.values(), ids=PLACES)
@pytest.mark.parametrize(
    ("name", "size"),
    [
        *(pytest.param(name, b"", id=what) for what, name in SPELLED.items()),
        pytest.param(SPELLED["escaped"], LARGE, id="escaped, large"),
        pytest.param(SPELLED["far behind dashes"], LARGE, id="far behind dashes, large"),
    ],
)
def test_a_model_that_only_some_readers_find_is_refused_with_its_place(
    name: str, place: bytes, path: str, size: bytes
) -> None:
    body = b'{"model":"m","max_tokens":1,%b%b}' % (size, place % f'"{name}"'.encode())
    with pytest.raises(InvalidRequest) as refused:
        parse_call(body, MESSAGES)
    assert refused.value.message.startswith(f"{path}.")
    assert refused.value.message.endswith(": must be written model")
    assert refused.value.message.isascii()


ON_THE_WAY = {
    "content": ('{"role":"u","content":[],"Content":[{"type":"x"}]}', "0.Content", "content"),
    "content, of two": (
        '{"role":"u","content":[{"type":"x","Tool":{}}],"content":[]}',
        "0",
        "twice",
    ),
    "tool": ('{"role":"u","content":[{"type":"x","tOOl":{}}]}', "0.content.0.tOOl", "tool"),
    "definition": (
        '{"role":"u","content":[{"type":"x","tool":{"De\u017finition":0,"definition\\u0000":{}}}]}',
        "0.content.0.tool.definition\\x00",
        "definition",
    ),
    "type": (
        '{"role":"u","content":[{"type":"x","tool":{"definition":{"TYPE":"advisor","model":"a"}}}]}',
        "0.content.0.tool.definition.TYPE",
        "type",
    ),
}


@pytest.mark.parametrize(("turn", "path", "meant"), ON_THE_WAY.values(), ids=ON_THE_WAY)
def test_a_way_to_a_model_that_only_some_readers_take_is_refused(
    turn: str, path: str, meant: str
) -> None:
    body = b'{"model":"m","max_tokens":1,"messages":[%b]}' % turn.encode()
    with pytest.raises(InvalidRequest) as refused:
        parse_call(body, MESSAGES)
    assert refused.value.message.startswith(f"messages.{path}:")
    assert meant in refused.value.message


_NAMES = st.sampled_from(
    ["model", "Model", "mod\u00e9l", "model\0", "type", "TYPE", "name", "models", "x" * 70]
)
_VALUES = st.sampled_from(["custom", "advisor_1", "a", "b", None])
_TOOLS = st.lists(st.lists(st.tuples(_NAMES, _VALUES), max_size=4), max_size=3)
_WRAPPED = (
    ('{"model":"m","max_tokens":1,"messages":[],"tools":[', "%s", "]}"),
    (
        '{"model":"m","max_tokens":1,"messages":[',
        '{"role":"u","content":[{"type":"x","tool":{"definition":%s}}]}',
        "]}",
    ),
)


def written(pairs: list[tuple[str, str | None]]) -> str:
    return "{%s}" % ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs)  # noqa: UP031 - braces


def models_of_any_reader(tool: list[tuple[str, str | None]]) -> set[str]:
    """Return what a reader may take for a model, who folds names, and believes any of those that come twice."""
    read = [(name.partition("\0")[0].casefold(), value) for name, value in tool]
    types = {value for name, value in read if name == "type"}
    if types <= {None, "custom"}:
        return set()
    return {value for name, value in read if name == "model" and value is not None}


@pytest.mark.parametrize("place", _WRAPPED, ids=["tools", "messages"])
@given(tools=_TOOLS)
def test_every_model_of_any_reader_is_known_or_the_body_refused(
    place: tuple[str, str, str], tools: list[list[tuple[str, str | None]]]
) -> None:
    start, around, end = place
    body = start + ",".join(around.replace("%s", written(tool)) for tool in tools) + end
    try:
        call = parse_call(body.encode(), MESSAGES)
    except InvalidRequest:
        return
    known = {each.model for each in call.named}
    assert known == set().union(*map(models_of_any_reader, tools))


UNTOUCHED: dict[str, dict[str, Any]] = {
    "a client's own tool": {"tools": [{"name": "x", "model": "other"}]},
    "one that says so": {"tools": [{"type": "custom", "name": "x", "model": 5}]},
    "one without a type": {"tools": [{"type": None, "model": {"a": 1}}]},
    "a tool with such a parameter": {
        "tools": [{"name": "x", "input_schema": {"properties": {"model": {"type": "string"}}}}]
    },
    "a server tool without a model": {"tools": [{"type": "web_search_1"}]},
    "a server tool with none": {"tools": [{"type": "advisor_1", "model": None}]},
    "such a tool inside a message": {"messages": [turn({"name": "x", "model": "other"})]},
    "a reference to a tool": {"messages": [turn(None)]},
    "a block with a tool of another kind": {
        "messages": [{"role": "u", "content": [{"type": "x", "tool": "advisor"}]}]
    },
    "what has been": {
        "messages": [
            {"role": "assistant", "content": [{"type": "fallback", "to": {"model": "other"}}]}
        ]
    },
    "one in capitals": {"tools": [{"name": "x", "Model": "other", "model": "another"}]},
    "a tool whose type some reader finds": {"tools": [{"name": "x", "Type": "function"}]},
    "a parameter in capitals": {
        "tools": [{"type": "t_1", "name": "x", "input_schema": {"properties": {"Model": {}}}}]
    },
    "a server tool with none in capitals": {"tools": [{"type": "advisor_1", "Model": None}]},
    "names that nobody takes for one": {
        "tools": [{"type": "t_1", "models": 1, "mod\u00e9l": 2, "x" * 200: 3}],
        "messages": [{"role": "u", "x": 1, "content": [{"type": "t", "tools": 1, "mod": {}}]}],
    },
    "a word where a tool could be": {
        "messages": [{"role": "u", "Content": "x", "content": [{"type": "t", "Tool": "bash"}]}]
    },
    "no fallbacks": {"fallbacks": None},
    "none in a list": {"fallbacks": []},
    "a model elsewhere": {"metadata": {"model": "other"}, "thread": {"fallbacks": "default"}},
}


@pytest.mark.parametrize("members", UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_is_no_model_of_the_apis_passes_untouched(members: dict[str, Any]) -> None:
    body = body_with(**members)
    call = parse_call(body, MESSAGES)
    assert call.named == ()
    assert b"".join(call.body_for("up")) == body.replace(b'"m"', b'"up"', 1)


AMBIGUOUS = {
    "a model twice": b'"tools":[{"type":"advisor_1","model":"a","model":"b"}]',
    "a model twice, the last none": b'"tools":[{"type":"advisor_1","model":"a","model":null}]',
    "a way to one twice, the last none": b'"messages":[{"role":"u","content":[{"type":"t","tool":'
    b'{"definition":{"type":"advisor_1","model":"a"}},"tool":null}]}]',
    "a type twice, the first counts": b'"tools":[{"type":"advisor_1","model":"a","type":"custom"}]',
    "a type twice, the last counts": b'"tools":[{"type":"custom","model":"a","type":"advisor_1"}]',
    "another spelling beside it": b'"tools":[{"type":"advisor_1","model":"a","Model":"b"}]',
    "another spelling of the type": b'"tools":[{"Type":"advisor_1","model":"a"}]',
    "a fallback's model twice": b'"fallbacks":[{"model":"a","model":"b"}]',
    "fallbacks twice": b'"fallbacks":[{"model":"a"}],"fallbacks":[{"model":"b"}]',
    "tools twice": b'"tools":[],"tools":[{"type":"advisor_1","model":"b"}]',
    "a tool in a message twice": b'"messages":[{"role":"u","content":[{"type":"t","tool":'
    b'{"definition":{"type":"advisor_1","model":"a"}},"tool":{"definition":{"type":"advisor_1","model":"b"}}}]}]',
    "content twice": b'"messages":[{"role":"u","content":[{"type":"t","tool":{"definition":'
    b'{"type":"advisor_1","model":"a"}}}],"content":[]}]',
    "a number": b'"tools":[{"type":"advisor_1","model":5}]',
    "a fallback without one": b'"fallbacks":[{}]',
    "a fallback that is a word": b'"fallbacks":["m"]',
    "fallbacks of another kind": b'"fallbacks":{"model":"m"}',
    "too long": b'"tools":[{"type":"advisor_1","model":"%s"}]' % (b"m" * 257),
    "too many": b'"fallbacks":[%s]' % b",".join([b'{"model":"m"}'] * 101),
    "too many in large tools": b'"tools":[%s]' % b",".join([b'{"type":"a","model":"m"}'] * 9000),
}


@pytest.mark.parametrize("members", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_two_readers_could_read_differently_is_refused(members: bytes) -> None:
    body = b'{"model":"m","max_tokens":1,"messages":[],%s}' % members
    with pytest.raises(InvalidRequest):
        parse_call(body, MESSAGES)


def test_of_doubled_tools_only_the_last_is_sent_when_it_names_none() -> None:
    doubled = b'"tools":[{"type":"advisor_1","model":"a"}],"tools":[]'
    call = parse_call(b'{"model":"m","max_tokens":1,"messages":[],%s}' % doubled, MESSAGES)
    assert call.named == ()
    assert b"advisor" not in b"".join(call.body_for("up"))


def test_models_that_come_in_pieces_are_found_once() -> None:
    tool = {"name": "t", "description": "x" * 99, "input_schema": {"type": "object", "a": [{}, {}]}}
    turn = {"role": "user", "content": [{"type": "text", "text": "x\\n"}]}
    body = json.dumps(
        {
            "model": "m",
            "max_tokens": 1,
            "tools": [tool] * 400,
            "messages": [turn] * 400,
            "fallbacks": [{"model": "other"}],
        }
    ).encode()
    call = parse_call(body, MESSAGES)
    assert [each.path for each in call.named] == ["fallbacks.0.model"]
    outbound = b"".join(call.body_for("m", ("longer-than-other",)))
    assert json.loads(outbound)["fallbacks"] == [{"model": "longer-than-other"}]
