"""Every model that a request names is found, and nothing else is taken for one."""

import json
from typing import Any

import pytest

from proxy.errors import InvalidRequest
from proxy.protocol.call import COUNT_TOKENS, MESSAGES, parse_call

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
    outbound = b"".join(call.naming(tuple(ids.values())).body_for("up"))
    due = json.loads(body)
    due["model"] = "up"
    due["tools"][1]["model"] = ids["tools.1.model"]
    due["fallbacks"][0]["model"] = ids["fallbacks.0.model"]
    assert outbound == json.dumps(due, indent=indent).encode()


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
    outbound = b"".join(call.naming(("longer-than-other",)).body_for("m"))
    assert json.loads(outbound)["fallbacks"] == [{"model": "longer-than-other"}]
