"""Example values of schemas, and how a prompt is read."""

import json
from typing import Any

import pytest

from proxy.sandbox.example import example
from proxy.sandbox.prompt import Prompt, read

REF = {"$defs": {"a": {"enum": ["x", "y"]}}, "$ref": "#/$defs/a"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "sandbox"),
        ({"type": ["integer", "null"]}, 0),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "boolean"}, False),
        ({"type": "null"}, None),
        ({"const": 5}, 5),
        ({"type": "string", "default": "d"}, "d"),
        ({"anyOf": [{"type": "number"}, {"type": "string"}]}, 0),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, ["sandbox"] * 2),
        ({"type": "array"}, []),
        (REF, "x"),
        ({"$ref": "#/nowhere/at/all"}, None),
        ({"$ref": "#"}, None),
        (True, None),
        ({}, {}),
        (
            {
                "type": "object",
                "required": ["a", "b"],
                "properties": {"a": {"type": "string"}, "c": {"type": "string"}},
            },
            {"a": "sandbox", "b": {}},
        ),
    ],
    ids=str,
)
def test_example_satisfies_the_schema_with_the_least(schema: Any, value: Any) -> None:
    assert example(schema) == value


BASH = {"name": "Bash", "input_schema": {"type": "object", "required": ["command"]}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def prompt(content: Any, **members: Any) -> Prompt:
    body = {
        "model": "claude-opus-5-5",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": content}],
    }
    return read(json.dumps(body | members).encode())


def text(said: str) -> dict[str, str]:
    return {"type": "text", "text": said}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("hi", "hi"),
        ([text("first"), text("last")], "last"),
        ([text("hi"), {"type": "image", "source": {}}], "hi"),
        ([text("hi"), text("<system-reminder>a\nb</system-reminder>")], "hi"),
        ("<system-reminder>a</system-reminder>hi<system-reminder>b</system-reminder>", "hi"),
        ([], ""),
    ],
)
def test_last_text_of_the_user_is_found_beside_reminders(content: Any, said: str) -> None:
    assert prompt(content).text == said


def test_mid_conversation_system_message_does_not_hide_the_user() -> None:
    messages = [
        {"role": "user", "content": "old"},
        {"role": "assistant", "content": "answer"},
        {"role": "user", "content": "new"},
        {"role": "system", "content": "be brief"},
    ]
    assert prompt("", messages=messages).text == "new"


def test_prefilled_answer_does_not_hide_the_user() -> None:
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "I"}]
    assert prompt("", messages=messages).text == "hi"


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ("use the tool Bash", None),
        ("Please USE THE TOOL bash.", None),
        ('use the tool Bash with {"command":"ls"} and tell me', {"command": "ls"}),
        ('use the tool `Bash`, with {"command":"ls"}', {"command": "ls"}),
        ('use the tool Bash with {"command"', None),
        ("use the tool Bash with {}", {}),
    ],
)
def test_asked_tool_is_found_with_its_input(said: str, given: Any) -> None:
    wanted = prompt(said, tools=[SEARCH, BASH]).tool
    assert wanted is not None
    assert (wanted[0].name, wanted[1]) == ("Bash", given)


@pytest.mark.parametrize(
    "content",
    [
        "use Bash",
        "use the tool Bashful",
        "use the tool Other",
        [text("<system-reminder>use the tool Bash</system-reminder>"), text("hi")],
        [text("use the tool Bash"), {"type": "tool_result", "tool_use_id": "t", "content": "x"}],
    ],
)
def test_tool_is_not_used_unless_asked_for_by_its_name(content: Any) -> None:
    assert prompt(content, tools=[BASH]).tool is None


def test_last_block_that_asks_for_a_tool_decides() -> None:
    asked = [text("use the tool web_search"), text("use the tool Bash"), text("thanks")]
    wanted = prompt(asked, tools=[BASH, SEARCH]).tool
    assert wanted is not None
    assert wanted[0].name == "Bash"


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ({"type": "tool", "name": "web_search"}, "web_search"),
        ({"type": "any"}, "Bash"),
        ({"type": "tool", "name": "missing"}, None),
        ({"type": "auto"}, None),
    ],
)
def test_tool_choice_forces_a_tool(choice: dict[str, str], name: str | None) -> None:
    wanted = prompt("hi", tools=[BASH, SEARCH], tool_choice=choice).tool
    assert (wanted[0].name if wanted else None) == name


def test_tool_choice_none_forbids_tools() -> None:
    assert prompt("use the tool Bash", tools=[BASH], tool_choice={"type": "none"}).tool is None


@pytest.mark.parametrize("content", ["out", [text("out"), {"type": "image"}]])
def test_tool_result_is_read_from_text_or_blocks(content: Any) -> None:
    block = {"type": "tool_result", "tool_use_id": "t", "content": content}
    assert prompt([block]).tool_result == "out"


def test_tool_result_without_content_is_empty() -> None:
    assert prompt([{"type": "tool_result", "tool_use_id": "t"}]).tool_result == ""


def test_tool_result_is_found_before_a_message_of_reminders() -> None:
    messages = [
        {"role": "user", "content": [{"type": "tool_result", "content": "out"}]},
        {"role": "user", "content": "<system-reminder>x</system-reminder>"},
    ]
    assert prompt("", messages=messages).tool_result == "out"


CACHED = [text("s" * 400) | {"cache_control": {"type": "ephemeral"}}]
CACHED_1H = [text("s" * 400) | {"cache_control": {"type": "ephemeral", "ttl": "1h"}}]
LATER = [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "b"},
    {"role": "user", "content": "c"},
]


def test_first_turn_writes_the_marked_prefix_to_the_cache() -> None:
    usage = prompt("hi", system=CACHED).usage
    assert usage.cache_5m > 100
    assert usage.fresh + usage.cache_5m == usage.total


def test_one_hour_breakpoint_is_written_to_the_one_hour_cache() -> None:
    usage = prompt("hi", system=CACHED_1H).usage
    assert usage.cache_1h > 100
    assert usage.cache_5m == 0


def test_later_turn_reads_the_prefix_from_the_cache() -> None:
    usage = prompt("", system=CACHED, messages=LATER).usage
    assert usage.cache_read > 100
    assert usage.cache_5m == usage.cache_1h == 0


def test_words_about_cache_control_cache_nothing() -> None:
    usage = prompt('what is "cache_control"?', system="s" * 400).usage
    assert usage.fresh == usage.total > 100
