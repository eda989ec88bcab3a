"""A tap's particulars: what it holds back, for how long, and what it ignores."""

import tracemalloc

import pytest

from proxy.protocol.message import Echo
from proxy.protocol.sse import PING, StreamTap, error_event
from tests.unit.protocol.streams import ECHO, ERROR, LINE_ENDS, OURS, START, STOP, THEIRS, events

KIB = 1 << 10
GIANT_CHUNK = b"x" * (64 * KIB)
OPENING = (START % THEIRS).encode()


def test_message_start_is_held_until_it_is_whole() -> None:
    tap = StreamTap(ECHO, framed=True)
    assert [tap.feed(OPENING[:50]), tap.feed(OPENING[50:-1])] == [b"", b""]
    assert tap.at_boundary
    assert tap.feed(OPENING[-1:]) == (START % OURS).encode()
    assert tap.at_boundary


def test_after_message_start_nothing_is_held() -> None:
    tap = StreamTap(ECHO, framed=True)
    tap.feed(OPENING)
    for byte in STOP.encode():
        assert tap.feed(bytes([byte])) == bytes([byte])


def test_what_follows_message_start_in_its_chunk_is_not_held() -> None:
    tap = StreamTap(ECHO, framed=True)
    assert tap.feed(OPENING + b"event: pi").endswith(b"event: pi")
    assert not tap.at_boundary


def test_without_a_model_to_echo_nothing_is_ever_held() -> None:
    tap = StreamTap(None, framed=True)
    for byte in OPENING:
        assert tap.feed(bytes([byte])) == bytes([byte])
    assert tap.rest() == b""


@pytest.mark.parametrize("before", [PING, b": hello\n\n", b"event: new\ndata: {}\n\n", b"\n\n"])
def test_what_comes_before_message_start_passes_at_once(before: bytes) -> None:
    tap = StreamTap(ECHO, framed=True)
    assert tap.feed(before) == before
    assert tap.feed(before + OPENING[:9]) == before
    assert tap.feed(OPENING[9:]) == (START % OURS).encode()


def test_a_first_event_that_never_ends_is_held_for_64_kib_at_most() -> None:
    tap = StreamTap(ECHO, framed=True)
    assert tap.feed(GIANT_CHUNK) == b""
    assert tap.feed(b"y") == GIANT_CHUNK + b"y"
    assert tap.feed(b"z") == b"z"
    assert not tap.at_boundary
    assert tap.rest() == b""


def test_a_long_message_start_is_passed_on_unnamed_but_still_read() -> None:
    tap = StreamTap(ECHO, framed=True)
    padded = OPENING.replace(b'"content":[]', b'"content":["%s"]' % (b"x" * (70 * KIB)))
    assert tap.feed(padded[: 69 * KIB]) + tap.feed(padded[69 * KIB :]) == padded
    assert tap.usage["input_tokens"] == 11


@pytest.mark.parametrize("line_end", LINE_ENDS.values(), ids=LINE_ENDS)
def test_between_the_lines_of_a_giant_event_no_other_may_stand(line_end: str) -> None:
    tap, end = StreamTap(None, framed=True), line_end.encode()
    for _ in range(17):
        tap.feed(GIANT_CHUNK)
    tap.feed(b"data: x" + end)
    assert not tap.at_boundary
    tap.feed(b"data: y" + end)
    assert not tap.at_boundary
    tap.feed(end)
    assert tap.at_boundary
    tap.feed(STOP.encode())
    assert (tap.finished, tap.at_boundary) == (True, True)


@pytest.mark.parametrize("echo", [ECHO, None], ids=["echo", "as_it_is"])
def test_a_giant_event_passes_without_being_kept(echo: Echo | None) -> None:
    tap = StreamTap(echo, framed=True)
    passed = 0
    tracemalloc.start()
    try:
        for _ in range(320):
            passed += len(tap.feed(GIANT_CHUNK))
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert passed == 20 << 20
    assert kept < 1 << 21
    assert peak < 1 << 22


@pytest.mark.parametrize("line_end", LINE_ENDS.values(), ids=LINE_ENDS.keys())
@pytest.mark.parametrize("split", range(5))
def test_events_right_behind_a_giant_one_are_read(line_end: str, split: int) -> None:
    tap = StreamTap(None, framed=True)
    tap.feed(b"data: ")
    for _ in range(20):
        tap.feed(GIANT_CHUNK)
        assert not tap.at_boundary
    tail = f"\n\n{ERROR}".replace("\n", line_end).encode()
    tap.feed(tail[:split])
    tap.feed(tail[split:])
    assert tap.finished
    assert tap.failed
    assert tap.at_boundary


def test_an_event_after_a_giant_one_may_come_in_pieces() -> None:
    tap = StreamTap(None, framed=True)
    for _ in range(20):
        tap.feed(GIANT_CHUNK)
    tap.feed(b"\n\n" + STOP.encode()[:20])
    assert not tap.at_boundary
    tap.feed(STOP.encode()[20:])
    assert tap.finished


def test_data_split_over_lines_is_joined() -> None:
    tap = StreamTap(None, framed=True)
    tap.feed(b'data: {"type":"message_delta",\ndata:"usage":{"output_tokens":9}}\n\n')
    assert tap.usage == {"output_tokens": 9}


def test_the_name_of_an_event_is_not_needed() -> None:
    tap = StreamTap(None, framed=True)
    tap.feed(b'data:{"type":"message_stop"}\n\n')
    assert tap.finished


def test_a_model_named_twice_is_replaced_once_for_all() -> None:
    tap = StreamTap(ECHO, framed=True)
    doubled = OPENING.replace(b'"content":[]', b'"content":[],"model":"claude-sonnet-4-6"')
    ((_, data),) = events(tap.feed(doubled))
    assert data.count('"model"') == 1
    assert OURS in data


def test_text_that_names_events_is_not_taken_for_them() -> None:
    tap = StreamTap(None, framed=True)
    tap.feed(
        b'data: {"type":"content_block_delta","text":"message_stop {\\"type\\":\\"error\\"}"}\n\n'
    )
    assert not tap.finished
    assert tap.usage == {}


@pytest.mark.parametrize("blank", ["\r\n\r\n", "\n\r", "\r\r", "\n\n"])
def test_an_end_right_behind_a_delta_is_read_however_its_lines_end(blank: str) -> None:
    delta = (
        'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        '"delta":{"type":"text_delta","text":"abc"}}'
    )
    tap = StreamTap(None, framed=True)
    tap.feed(f"{delta}{blank}{STOP}".encode())
    assert tap.finished
    assert tap.told.output_bytes == 3


def test_message_start_without_a_model_passes_as_it_is() -> None:
    tap = StreamTap(ECHO, framed=True)
    bare = b'data: {"type":"message_start","message":{"usage":{"input_tokens":4}}}\n\n'
    assert tap.feed(bare) == bare
    assert tap.usage == {"input_tokens": 4}


def test_an_error_event_is_one_event_with_the_body_as_its_data() -> None:
    assert events(error_event(b'{"type":"error"}')) == [("error", '{"type":"error"}')]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_an_error_event_of_several_lines_is_one_event(end: str) -> None:
    body = f'{{{end}  "type": "error"{end}}}{end}'
    assert events(error_event(body.encode())) == [("error", '{\n  "type": "error"\n}')]


def test_the_ping_is_one_event() -> None:
    assert events(PING) == [("ping", '{"type": "ping"}')]


def test_another_model_than_the_one_sent_keeps_its_name() -> None:
    tap = StreamTap(ECHO, framed=True)
    fallback = (START % '"claude-opus-5-5"').encode()
    assert tap.feed(fallback) == fallback
    assert tap.usage["input_tokens"] == 11


@pytest.mark.parametrize("line_end", LINE_ENDS.values(), ids=LINE_ENDS.keys())
@pytest.mark.parametrize("prefix", ["data:", "data: ", "data:  "])
def test_the_model_is_replaced_in_data_of_several_lines_and_every_other_byte_stays(
    line_end: str, prefix: str
) -> None:
    tap = StreamTap(ECHO, framed=True)

    def split(opening: str) -> bytes:
        return (
            opening.replace(',"content"', f'\n{prefix},\nid: 7\n{prefix}"content"')
            .replace("\n", line_end)
            .encode()
        )

    assert tap.feed(split(START % THEIRS)) == split(START % OURS)


def test_half_a_surrogate_pair_beside_the_model_does_not_hide_it() -> None:
    tap = StreamTap(ECHO, framed=True)

    def halved(opening: str) -> bytes:
        return opening.replace('"content":[]', '"content":["\\ud83d"],"\\udc00":1').encode()

    assert tap.feed(halved(START % THEIRS)) == halved(START % OURS)
    assert tap.usage["input_tokens"] == 11


def test_a_byte_order_mark_is_no_part_of_the_first_field() -> None:
    tap = StreamTap(ECHO, framed=True)
    mark = b"\xef\xbb\xbf"
    bare = OPENING.partition(b"\n")[2]
    assert tap.feed(mark + bare) == mark + (START % OURS).encode().partition(b"\n")[2]


def test_a_byte_order_mark_inside_a_stream_is_a_part_of_its_field() -> None:
    tap = StreamTap(None, framed=True)
    tap.feed(OPENING)
    tap.feed(b'\xef\xbb\xbfdata: {"type":"message_stop"}\n\n')
    assert not tap.finished


@pytest.mark.parametrize("missing", ["\n", "\n\n"])
@pytest.mark.parametrize("terminal", [STOP, ERROR])
def test_the_last_event_counts_without_its_blank_line_once_the_stream_has_ended(
    terminal: str, missing: str
) -> None:
    tap = StreamTap(None, framed=True)
    tap.feed(OPENING + terminal.removesuffix(missing).encode())
    assert not tap.finished
    assert tap.rest() == b""
    assert tap.finished
    assert tap.failed is (terminal == ERROR)


def test_half_of_the_last_event_is_none() -> None:
    tap = StreamTap(None, framed=True)
    tap.feed(OPENING + STOP.encode()[:-4])
    tap.rest()
    assert not tap.finished


@pytest.mark.parametrize("echo", [ECHO, None], ids=["echo", "as_it_is"])
def test_without_framing_the_last_event_needs_its_blank_line(echo: Echo | None) -> None:
    tap = StreamTap(echo, framed=False)
    tap.feed(OPENING + STOP.encode()[:-1])
    tap.rest()
    assert not tap.finished
