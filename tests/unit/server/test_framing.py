"""What the bytes that came last are part of is told without searching bodies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.framing import Fed, Lines, may_follow, unfinished

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PART = b"GET / HT"
BODY = b"0123456789"
CHUNKS = b"a\r\n0123456789\r\n0\r\n\r\n"

UNFINISHED: dict[str, tuple[bytes, Fed, int]] = {
    "a part of a head": (PART, Fed(False, None, 0, True, False), len(PART)),
    "a head": (HEAD, Fed(True, None, 0, True, False), 0),
    "blank lines alone": (b"\r\n\r\n", Fed(False, None, 0, True, False), 0),
    "a head and a part": (HEAD + PART, Fed(True, None, 0, True, False), len(PART)),
    "a head and its body": (HEAD + BODY, Fed(True, None, 10, True, False), 0),
    "a head, its body, a part": (HEAD + BODY + PART, Fed(True, None, 10, True, False), len(PART)),
    "a head and a part of its body": (HEAD + BODY[:4], Fed(True, None, 4, False, False), 0),
    "a part of a body": (BODY[:4], Fed(False, 2, 6, False, False), 0),
    "the end of a body": (BODY[4:], Fed(False, 4, 10, True, False), 0),
    "the end of a body and a part": (
        BODY[4:] + PART,
        Fed(False, 4, 10, True, False),
        len(PART),
    ),
    "chunks": (HEAD + CHUNKS, Fed(True, None, 10, True, True), 0),
    "chunks and a part": (HEAD + CHUNKS + PART, Fed(True, None, 10, True, True), len(PART)),
    "the last chunk and a part": (
        b"3\r\n789\r\n0\r\n\r\n" + PART,
        Fed(False, 7, 10, True, False),
        len(PART),
    ),
    **{
        f"{name} whose blank line {end!r} ends, {more}": (
            end + behind,
            Fed(begun, None if begun else 10, 0 if begun else 10, True, False),
            len(behind),
        )
        for name, begun in (("a head", True), ("chunks", False))
        for end in (b"\n\r\n", b"\r\n", b"\n")
        for more, behind in (("alone", b""), ("and a part", PART))
    },
    "a head whose blank line ends, and its body": (
        b"\n" + BODY,
        Fed(True, None, 10, True, False),
        0,
    ),
    "trailers": (b"x: y\r\nz", Fed(False, 10, 10, False, False), 7),
    "a chunk and trailers": (b"3\r\n789\r\n0\r\nx: y", Fed(False, 7, 10, False, False), 0),
    "a part behind a body with a blank line": (
        HEAD + b"01\r\n\r\n6789" + PART,
        Fed(True, None, 10, True, False),
        2,  # fewer than there are, but some
    ),
}


@pytest.mark.parametrize(("data", "fed", "lines"), UNFINISHED.values(), ids=UNFINISHED)
def test_what_belongs_to_lines_that_go_on(data: bytes, fed: Fed, lines: int) -> None:
    assert unfinished(data, fed) == lines


@given(st.binary(), st.none() | st.integers(0, 99), st.lists(st.booleans(), min_size=3, max_size=3))
def test_it_is_never_more_than_there_is(data: bytes, before: int | None, flags: list[bool]) -> None:
    begun, whole, chunked = flags
    for body in range((before or 0), (before or 0) + len(data) + 1):
        fed = Fed(begun, before, body, whole, chunked)
        assert 0 <= unfinished(data, fed) <= max(len(data), 1)


def test_lines_add_up_until_something_becomes_whole() -> None:
    lines = Lines()
    sizes = []
    for data, fed in (
        (PART, Fed(False, None, 0, True, False)),
        (PART, Fed(False, None, 0, True, False)),
        (HEAD, Fed(True, None, 0, True, False)),
        (HEAD + PART, Fed(True, None, 0, True, False)),
        (PART, Fed(False, None, 0, True, False)),
        (HEAD + PART, Fed(True, None, 0, True, False)),
        (HEAD + BODY, Fed(True, None, 10, False, True)),
        (PART, Fed(False, 10, 10, False, True)),
        (PART, Fed(False, 10, 10, False, True)),
        (CHUNKS + PART, Fed(False, 10, 20, True, True)),
        (PART, Fed(False, None, 20, True, True)),
    ):
        lines.feed(data, fed)
        sizes.append(lines.waiting_bytes)
    one = len(PART)
    assert sizes == [one, 2 * one, 0, one, 2 * one, one, 0, one, 2 * one, one, 2 * one]


FOLLOW: dict[str, tuple[bytes, Fed, bool, bool]] = {
    "alone": (HEAD, Fed(True, None, 0, True, False), False, False),
    "with its body": (HEAD + BODY, Fed(True, None, 10, True, False), False, False),
    "its body to come": (HEAD, Fed(True, None, 0, False, False), False, False),
    "the end of its body": (BODY, Fed(False, 5, 15, True, False), False, False),
    "before another": (HEAD + HEAD, Fed(True, None, 0, True, False), False, True),
    "before a part": (HEAD + PART, Fed(True, None, 0, True, False), False, True),
    "with its body before another": (
        HEAD + BODY + HEAD,
        Fed(True, None, 10, True, False),
        False,
        True,
    ),
    "the end of its body before another": (
        BODY + HEAD,
        Fed(False, 5, 15, True, False),
        False,
        True,
    ),
    "behind another, nobody knows": (HEAD + HEAD, Fed(True, None, 0, True, False), False, True),
    "in pieces, nobody knows": (b"\n", Fed(True, None, 0, True, False), True, True),
    "chunked, nobody knows": (HEAD + CHUNKS, Fed(True, None, 10, True, True), False, True),
}


@pytest.mark.parametrize(("data", "fed", "in_pieces", "follows"), FOLLOW.values(), ids=FOLLOW)
def test_what_may_follow_a_request_to_upgrade(
    *, data: bytes, fed: Fed, in_pieces: bool, follows: bool
) -> None:
    assert may_follow(data, fed, in_pieces=in_pieces) is follows
