"""Which conversation a request belongs to: the same on every turn, whatever clients move between turns."""

import json
from typing import Any

import pytest

from proxy.protocol.call import MESSAGES, Call
from proxy.protocol.parse import parse_call
from proxy.upstreams.affinity import session_of

CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def call(**members: Any) -> Call:
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    return parse_call(json.dumps({**body, **members}).encode(), MESSAGES)


def turn(number: int, *, at_once: bool = True) -> Call:
    """Return a turn of a conversation, whose cache mark stands at its last message; the first has it first."""
    texts: list[Any] = []
    for index in range(2 * number + 1):
        block = {"type": "text", "text": f'turn {index}: "text": "not this"'}
        marked = {**block, **CACHED} if index == 2 * number else block
        # What was a list with a mark is a plain text later on, as some clients write it.
        content: Any = [marked] if index == 2 * number or index % 3 else block["text"]
        texts.append({"role": ("user", "assistant")[index % 2], "content": content})
    system: list[Any] = [{"type": "text", "text": "You are"}, {"type": "text", "text": " kind."}]
    system[number % 2] |= CACHED
    found = call(system=system, messages=texts)
    assert at_once == bool(found.members)
    return found


def test_twenty_turns_with_a_moving_cache_mark_are_one_conversation() -> None:
    keys = {session_of("k", None, turn(number)) for number in range(20)}
    assert len(keys) == 1
    assert keys.pop()[1] == "prompt"


@pytest.mark.parametrize("padding", [0, 3 << 20], ids=["read at once", "read with care"])
def test_how_a_body_was_read_makes_no_difference(padding: int) -> None:
    parsed = call(system="You are", extra="x" * padding)
    assert bool(parsed.members) == (not padding)
    assert session_of("k", None, parsed) == session_of("k", None, call(system="You are"))


DIFFERENT: dict[str, Call] = {
    "plain": call(),
    "another first message": call(messages=[{"role": "user", "content": "ho"}]),
    "a system prompt": call(system="hi"),
    "another system prompt": call(system="ho"),
    "a user": call(metadata={"user_id": "u1"}),
    "another user": call(metadata={"user_id": "u2"}),
    "a long user": call(metadata={"user_id": "u" * 999}),
    "another long user": call(metadata={"user_id": "u" * 998}),
}


def test_different_conversations_have_different_keys() -> None:
    keys = {session_of("k", None, each)[0] for each in DIFFERENT.values()}
    assert len(keys) == len(DIFFERENT)
    assert max(map(len, keys)) < 300


def test_conversations_of_two_keys_are_two() -> None:
    for session_id in (None, "s"):
        assert session_of("k", session_id, call()) != session_of("l", session_id, call())


def test_what_says_most_counts_first() -> None:
    whole = call(system="You are", metadata={"user_id": "u"})
    nothing = call(messages=[])
    known = [
        session_of("k", "s", whole),
        session_of("k", None, whole),
        session_of("k", None, call(system="You are", metadata={"other": "u"})),
        session_of("k", None, nothing),
    ]
    assert [known_by for _, known_by in known] == ["session", "user", "prompt", "key"]
    assert len({key for key, _ in known}) == 4


def test_only_the_beginning_of_a_prompt_counts() -> None:
    long = "x" * 5000
    assert session_of("k", None, call(system=long + "1")) == session_of(
        "k", None, call(system=long + "2")
    )


@pytest.mark.parametrize(
    "members",
    [
        {"system": []},
        {"system": [{"type": "text", "text": ""}]},
        {"system": '"' * 3000 + "\\" * 3000},
        {"metadata": {"user_id": '{"a": "\u00e9"}'}},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": "x" * 90_000}]}]},
    ],
    ids=["empty", "empty text", "escapes", "JSON in a text", "a long image"],
)
def test_whatever_clients_send_gives_a_key(members: dict[str, Any]) -> None:
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    parsed = parse_call(json.dumps({**body, **members}).encode(), MESSAGES)
    assert session_of("k", None, parsed) == session_of("k", None, parsed)
