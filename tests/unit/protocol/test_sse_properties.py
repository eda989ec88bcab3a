"""A stream that passes through a tap is the same stream, however it was cut and whatever its line endings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocol.message import Echo
from proxy.protocol.sse import StreamTap
from tests.unit.protocol.streams import (
    ECHO,
    ERROR,
    MIXTURES,
    OURS,
    REST,
    START,
    STOP,
    THEIRS,
    USAGE,
    chunked,
    events,
    is_between_events,
    mixed,
    with_ping,
)

every_line_end = pytest.mark.parametrize("line_ends", MIXTURES.values(), ids=MIXTURES.keys())
every_echo = pytest.mark.parametrize(
    ("echo", "passed"), [(ECHO, OURS), (None, THEIRS)], ids=["echo", "as_it_is"]
)
PROLOGUES = [
    "",
    'event: ping\ndata: {"type": "ping"}\n\n',
    ": hello\n\n",
    "event: new\ndata: 1\n\n",
]


@every_line_end
@every_echo
@given(data=st.data())
def test_every_byte_passes_and_only_the_model_changes(
    line_ends: tuple[str, str], echo: Echo | None, passed: str, data: st.DataObject
) -> None:
    prologue = "".join(data.draw(st.lists(st.sampled_from(PROLOGUES), max_size=2)))
    stream = mixed(prologue + START % THEIRS + REST + STOP, *line_ends)
    expected = mixed(prologue + START % passed + REST + STOP, *line_ends)
    tap = StreamTap(echo, framed=True)
    out = b"".join(tap.feed(chunk) for chunk in data.draw(chunked(stream)))
    assert out + tap.rest() == expected


@every_line_end
@every_echo
@given(data=st.data())
def test_usage_and_end_are_right_whatever_the_chunks(
    line_ends: tuple[str, str], echo: Echo | None, passed: str, data: st.DataObject
) -> None:
    del passed
    terminal = data.draw(st.sampled_from([STOP, ERROR, ""]))
    tap = StreamTap(echo, framed=True)
    text = START % THEIRS + REST + terminal
    # The last blank line may be missing.
    text = text.removesuffix("\n" * data.draw(st.integers(0, 2)))
    for chunk in data.draw(chunked(mixed(text, *line_ends))):
        tap.feed(chunk)
    tap.rest()
    assert tap.usage == USAGE
    assert tap.finished is (terminal != "")
    assert tap.failed is (terminal == ERROR)


@every_line_end
@every_echo
@given(data=st.data())
def test_before_the_end_it_is_finished_only_once_the_terminal_event_is_whole(
    line_ends: tuple[str, str], echo: Echo | None, passed: str, data: st.DataObject
) -> None:
    del passed
    tap = StreamTap(echo, framed=True)
    stream = mixed(START % THEIRS + REST + data.draw(st.sampled_from([STOP, ERROR])), *line_ends)
    fed = 0
    for chunk in data.draw(chunked(stream)):
        tap.feed(chunk)
        fed += len(chunk)
        # An LF may follow the CR that ends the last blank line.
        assert tap.finished is (fed >= len(stream) - stream.endswith(b"\r\n"))


@every_line_end
@every_echo
@given(data=st.data())
def test_a_boundary_is_where_an_event_may_be_put_in_and_nowhere_else(
    line_ends: tuple[str, str], echo: Echo | None, passed: str, data: st.DataObject
) -> None:
    stream = mixed(START % THEIRS + REST + STOP, *line_ends)
    expected = mixed(START % passed + REST + STOP, *line_ends)
    tap = StreamTap(echo, framed=True)
    out = b""
    for chunk in data.draw(chunked(stream)):
        out += tap.feed(chunk)
        assert tap.at_boundary is is_between_events(out)
        if tap.at_boundary:
            assert with_ping(out, expected[len(out) :]) == events(expected)


@every_echo
@given(data=st.data())
def test_a_cut_stream_passes_whole_and_knows_whether_it_ended_between_events(
    echo: Echo | None, passed: str, data: st.DataObject
) -> None:
    stream = (START % THEIRS + REST + STOP).encode()
    expected = (START % passed + REST + STOP).encode()
    cut = data.draw(st.integers(2, len(stream) - 1))
    tap = StreamTap(echo, framed=True)
    out = b"".join(tap.feed(chunk) for chunk in data.draw(chunked(stream[:cut]))) + tap.rest()
    grown = len(expected) - len(stream)
    whole_start = cut >= len((START % THEIRS).encode().rstrip())
    assert out == (expected[: cut + grown] if whole_start else stream[:cut])
    assert tap.at_boundary is out.endswith(b"\n\n")
    assert tap.rest() == b""


_pieces = st.sampled_from(
    [
        b"\n",
        b"\r",
        b"\n\n",
        b"\r\n\r\n",
        b"data:",
        b"data: ",
        b"event: message_start\n",
        b'data: {"type":"message_start"}\n\n',
        b'data: {"type":"message_start","message":{"usage":[1],"model":7}}\n\n',
        b'data: {"type":"message_start","message":null}\n\n',
        b'data: {"type":"message_delta","usage":"x"}\n\n',
        b'data: {"type":["message_stop"]}\n\n',
        b'data: ["message_stop"]\n\n',
        b'data: "error"\n\n',
        b'data: {"type":"message_stop\n\n',
        b"data: message_delta \xff\xfe\n\n",
        b'data: {"type":"message_stop","\xff":1}\n\n',
        b'data: {"x":' + b"[" * 5000 + b'"message_stop"\n\n',
        b"\xef\xbb\xbf",
        b"\0",
    ]
)


@every_echo
@given(chunks=st.lists(_pieces | st.binary(max_size=9), max_size=15))
def test_garbage_never_raises_and_passes_as_it_came(
    echo: Echo | None, passed: str, chunks: list[bytes]
) -> None:
    del passed
    tap = StreamTap(echo, framed=True)
    out = b"".join(tap.feed(chunk) for chunk in chunks)
    assert out + tap.rest() == b"".join(chunks)
    assert tap.finished is False
