"""No name passes that some reader of JSON takes for one that was checked."""

import time

import pytest

from proxy.errors import InvalidRequest
from proxy.protocol.call import MESSAGES
from proxy.protocol.parse import parse_call

START = b'{"model":"m","max_tokens":1,"messages":[],%s}'

OTHER_SPELLINGS = {
    "Go and .NET: a capital": (b"Model", "model"),
    "all capitals": (b"STREAM", "stream"),
    "capitals in between": (b"mEsSaGeS", "messages"),
    "the long s": ("\u017ftream".encode(), "stream"),
    "the long s, escaped": (b"\\u017ftream", "stream"),
    "the Kelvin sign": ("max_to\u212aens".encode(), "max_tokens"),
    "the sharp s for two": ("me\u00dfages".encode(), "messages"),
    "C: up to a NUL": (b"model\\u0000x", "model"),
    "space behind": (b"model ", "model"),
    "space before": (b"\\ttools", "tools"),
    "protobuf: camel case": (b"maxTokens", "max_tokens"),
    "Go's second: dashes": (b"stop-sequences", "stop_sequences"),
    "Go's second: nothing between": (b"stopsequences", "stop_sequences"),
    "a member that names models": (b"Fallbacks", "fallbacks"),
}


@pytest.mark.parametrize(("name", "meant"), OTHER_SPELLINGS.values(), ids=OTHER_SPELLINGS)
def test_another_spelling_of_a_checked_name_is_refused(name: bytes, meant: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_call(START % (b'"%s":null' % name), MESSAGES)
    assert refused.value.message.endswith(f"must be written {meant}")
    assert refused.value.message.isascii()
    assert refused.value.message.isprintable()


@pytest.mark.parametrize(
    "name",
    [b"models", b"", b"thinking", b"\\u0000model", b"Metadata", b"system_prompt", "é".encode()],
)
def test_every_other_name_passes(name: bytes) -> None:
    assert parse_call(START % (b'"%s":1' % name), MESSAGES).model == "m"


def test_what_is_checked_inside_is_spelled_as_the_client_likes() -> None:
    tool = b'"tools":[{"name":"x","input_schema":{"Type":"object","properties":{"Model":{}}}}]'
    assert parse_call(START % tool, MESSAGES).named == ()


BOUNDS = {
    "997 more": (b",".join(b'"%d":1' % i for i in range(997)), None),
    "998 more": (b",".join(b'"%d":1' % i for i in range(998)), "over 1000 members"),
    "100,000 more": (b",".join(b'"%d":1' % i for i in range(100_000)), "over 1000 members"),
    "300,000 more": (b",".join(b'"%d":1' % i for i in range(300_000)), "over 1000 members"),
    "one of 1 kB": (b'"%s":1' % (b"n" * 1024), None),
    "one of more": (b'"%s":1' % (b"n" * 1025), "over 1024 bytes"),
    "one of more, in two bytes each": ('"%s":1' % ("é" * 513), "over 1024 bytes"),
    "one of 3 MB": (b'"%s":1' % (b"n" * 3_000_000), "over 1024 bytes"),
    "one of 3 MB of escapes": (b'"%s":1' % (b"\\n" * 1_500_000), "over 1024 bytes"),
}


@pytest.mark.parametrize(("members", "message"), BOUNDS.values(), ids=BOUNDS)
def test_names_are_bounded_in_number_and_bytes(members: bytes | str, message: str | None) -> None:
    body = START % (members if isinstance(members, bytes) else members.encode())
    if message is None:
        assert b"".join(parse_call(body, MESSAGES).body_for("m")) == body
        return
    started = time.process_time()
    with pytest.raises(InvalidRequest, match=message):
        parse_call(body, MESSAGES)
    assert time.process_time() - started < 2  # of 300,000 names, dozens of seconds were possible


def test_the_longest_names_that_pass_are_looked_for_without_going_back() -> None:
    names = b",".join(b'"%s%d" :1' % (b"\\\\" * 500, i) for i in range(900))
    body = START % names
    started = time.process_time()
    assert b"".join(parse_call(body, MESSAGES).body_for("m")) == body
    assert time.process_time() - started < 1
