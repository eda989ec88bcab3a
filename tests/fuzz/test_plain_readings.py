"""What the fuzzers compare with is right itself: the plain readings of HTTP, event streams and JSON, by tables."""

import pytest

from fuzz.event_stream_standard import Event, events, told
from fuzz.json_reader import Unreadable, depth, members
from fuzz.strict_http import Malformed, Reader

POST = b"POST / HTTP/1.1\r\nhost: a\r\n"
REQUESTS = {
    "a length": (POST + b"content-length: 2\r\n\r\nab", [b"ab"], False),
    "two on one connection": ((POST + b"\r\n") * 2, [b"", b""], False),
    "a cut body": (POST + b"content-length: 3\r\n\r\nab", [], False),
    "nothing behind one that closes": (POST + b"connection: close\r\n\r\n" + POST, [b""], False),
    "nothing behind HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", [b""], False),
    "chunks": (
        POST + b"transfer-encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nx: y\r\n\r\n",
        [b"abc"],
        False,
    ),
    "chunks and a length": (
        POST + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        [],
        True,
    ),
    "another coding last": (POST + b"transfer-encoding: chunked, x\r\n\r\n0\r\n\r\n", [], True),
    "two lengths": (POST + b"content-length: 0\r\ncontent-length: 0\r\n\r\n", [], True),
    "a signed length": (POST + b"content-length: +0\r\n\r\n", [], True),
    "a chunk longer than said": (
        POST + b"transfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        [],
        True,
    ),
    "a bare LF": (POST + b"x: y\n\r\n", [], True),
    "a bare CR": (POST + b"x: y\rz\r\n\r\n", [], True),
    "NUL": (POST + b"x: \0\r\n\r\n", [], True),
    "obs-fold": (POST + b"x: y\r\n z\r\n\r\n", [], True),
    "a space before the colon": (POST + b"x : y\r\n\r\n", [], True),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", [], True),
    "two hosts": (POST + b"Host: b\r\n\r\n", [], True),
    "a malformed one behind a good one": (POST + b"\r\nx\r\n\r\n", [b""], True),
}


@pytest.mark.parametrize(("data", "bodies", "malformed"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_is_found_where_the_standard_finds_one(
    data: bytes, bodies: list[bytes], *, malformed: bool
) -> None:
    requests, ends_badly = Reader(data).requests()
    assert ([each.body for each in requests], ends_badly) == (bodies, malformed)


def test_responses_are_read_one_by_one_and_interim_ones_passed_over() -> None:
    data = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab"
        b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na"
    )
    answers, rest = Reader(data).responses()
    assert [(each.status, each.body) for each in answers] == [(200, b"ab"), (204, b"")]
    assert rest.endswith(b"\r\n\r\na")


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 2000\r\n\r\n", b"garbage\r\n"]
)
def test_a_response_without_framing_or_status_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        Reader(data).responses()


STREAMS: dict[str, tuple[bytes, list[Event]]] = {
    "LF": (b"event: a\ndata: b\n\n", [("a", "b")]),
    "CRLF": (b"event: a\r\ndata: b\r\n\r\n", [("a", "b")]),
    "CR": (b"event: a\rdata: b\r\r", [("a", "b")]),
    "LF, then CRLF": (b"data: b\n\r\n", [("message", "b")]),
    "LF, then CR": (b"data: b\n\r", [("message", "b")]),
    "CR and LF are one line end": (b"data: b\r\n", []),
    "no blank line": (b"data: b\n", []),
    "several lines": (b"data: a\ndata\ndata:b\n\n", [("message", "a\n\nb")]),
    "one space is left out": (b"data:  a\n\n", [("message", " a")]),
    "no data": (b"event: a\n\ndata: b\n\n", [("message", "b")]),
    "a comment": (b": data: a\ndata: b\n:\n\n", [("message", "b")]),
    "other fields": (b"id: 1\nretry: 2\nData: a\n data: a\ndata: b\n\n", [("message", "b")]),
    "a byte order mark": (b"\xef\xbb\xbfdata: b\n\n", [("message", "b")]),
    "not UTF-8": (b"data: \xff\n\n", [("message", "\udcff")]),
}


@pytest.mark.parametrize(("stream", "expected"), STREAMS.values(), ids=STREAMS)
def test_an_event_stream_is_read_as_the_standard_says(stream: bytes, expected: list[Event]) -> None:
    assert events(stream) == expected


def test_a_stream_tells_usage_and_end_in_whole_events_alone() -> None:
    start = b'data: {"type":"message_start","message":{"usage":{"a":1,"b":2}}}\n\n'
    delta = b'data: {"type":"message_delta","usage":{"a":null,"b":3}}\n\n'
    stop = b'data: {"type":"message_stop"}\n\n'
    assert told(start + delta + stop).usage == {"a": 1, "b": 3}
    assert told(start + delta + stop).finished
    assert not told(start + delta + stop[:-1]).finished
    assert told(b'data: {"type":"error"}\n\n').failed


def test_members_are_found_with_their_bytes_in_order_and_twice() -> None:
    body = ' {"\u00e9" : [1, {}] ,"a":"\u00e9","\\u0061":2e1 } '.encode()
    read = members(body)
    found = [(each.name, body[each.start : each.end]) for each in read]
    assert found == [("\u00e9", b"[1, {}]"), ("a", '"\u00e9"'.encode()), ("a", b"2e1")]


DEPTHS = {
    b"{}": 1,
    b'{"a":[[]],"b":1}': 3,
    b'{"a":"[[[{","b":"\\"[["}': 1,
    b'{"a":[[[]]],"a":1}': 4,  # what a later member hides is read all the same
}


@pytest.mark.parametrize(("body", "deep"), DEPTHS.items(), ids=repr)
def test_the_depth_of_a_text_is_that_of_its_brackets(body: bytes, deep: int) -> None:
    assert depth(body) == deep


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"a":NaN}', b'{"a":1,}', b'{"a":1}x', b'{"a":"\xff"}', b'{"a":01}', b"{"]
)
def test_what_is_no_json_object_is_not_read(body: bytes) -> None:
    with pytest.raises(Unreadable):
        members(body)
