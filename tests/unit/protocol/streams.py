"""Recorded Messages streams in every line ending, and a plain reader of server-sent events to compare with."""

import itertools
import re

from hypothesis import strategies as st

from proxy.protocol.message import Echo
from proxy.protocol.sse import PING

ECHO = Echo(sent="claude-sonnet-4-6", asked='anthropic/claude-"sonnet"-4.6')
START = (
    'event: message_start\ndata: {"type": "message_start", "message": {"id":"msg_1","role":"assistant",'
    '"model" : %s ,"content":[],"usage":{"input_tokens":11,"cache_read_input_tokens":3,'
    '"cache_creation":{"ephemeral_5m_input_tokens":2},"output_tokens":1,"service_tier":"standard"}}}\n\n'
)
THEIRS = '"claude-sonnet-4-6"'
OURS = r'"anthropic/claude-\"sonnet\"-4.6"'
REST = (
    'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    '"content_block":{"type":"text","text":""}}\n\n'
    'event: ping\ndata: {"type": "ping"}\n\n'
    ": a comment\n\n"
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
    '{"type":"text_delta","text":"say \\"message_stop\\" and é\U0001f600\\n\\n message_delta"}}\n\n'
    'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":null},'
    '"usage":{"output_tokens":5,"input_tokens":null}}\n\n'
    'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    '"usage":{"output_tokens":7,"cache_read_input_tokens":4}}\n\n'
)
STOP = 'event: message_stop\ndata: {"type":"message_stop"}\n\n'
ERROR = 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n'
USAGE = {
    "input_tokens": 11,
    "cache_read_input_tokens": 4,
    "cache_creation": {"ephemeral_5m_input_tokens": 2},
    "output_tokens": 7,
    "service_tier": "standard",
}
LINE_ENDS = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}
MIXTURES = {
    **{name: (end, end) for name, end in LINE_ENDS.items()},
    "lf_crlf": ("\n", "\r\n"),
    "lf_cr": ("\n", "\r"),
    "crlf_lf": ("\r\n", "\n"),
    "crlf_cr": ("\r\n", "\r"),
    "cr_crlf": ("\r", "\r\n"),
}

Event = tuple[str, str]


def ended(text: str, line_end: str) -> bytes:
    """Write a stream with a line ending."""
    return text.replace("\n", line_end).encode()


def mixed(text: str, line_end: str, blank_line: str) -> bytes:
    """Write a stream with one ending for its lines, and another for its blank lines.

    CR and then LF would be one line's end, so they are no mixture.
    """
    marked = text.replace("\n\n", "\0\1").replace("\n", "\0")
    return marked.replace("\0", line_end).replace("\1", blank_line).encode()


def is_between_events(stream: bytes) -> bool:
    """Return whether a stream so far ends with a blank line, or has not begun."""
    lines = re.split(rb"\r\n|\n|\r", stream)
    return (len(lines) == 1 and not lines[0]) or (lines[-1:] == [b""] and lines[-2] == b"")


def events(stream: bytes) -> list[Event]:
    """Read (event, data) as the HTML standard says; an event without its blank line does not count."""
    found: list[Event] = []
    name, data = "", list[str]()
    lines = re.split(r"\r\n|\n|\r", stream.decode())
    for line in lines[:-1]:
        field, _, value = line.partition(":")
        if not line:
            if data:
                found.append((name, "\n".join(data)))
            name, data = "", []
        elif field == "event":
            name = value.removeprefix(" ")
        elif field == "data":
            data.append(value.removeprefix(" "))
    return found


@st.composite
def chunked(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """Cut a stream anywhere, sometimes after every byte."""
    if draw(st.integers(0, 9)) == 0:
        return [stream[i : i + 1] for i in range(len(stream))]
    cuts = draw(st.lists(st.integers(1, len(stream) - 1), max_size=12, unique=True))
    places = [0, *sorted(cuts), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(places)]


def with_ping(before: bytes, after: bytes) -> list[Event]:
    """Read a stream into which a ping was put; give its events without that ping."""
    read = events(before + PING + after)
    place = len(events(before))
    assert read[place] == ("ping", '{"type": "ping"}')
    return read[:place] + read[place + 1 :]
