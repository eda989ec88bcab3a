"""The SSE reference test: `StreamTap` tells of a stream what a plain reading by the HTML standard tells.

The same usage, the same end; no end before the standard's; every byte passed on but those of the model that was sent;
and where the tap says that an event may be put in, putting one in changes no other. In one thing the tap reads more
than the standard: as SDKs do, it reads the last event also when its blank line is missing, where the framing tells
that the stream has ended and was not cut.
"""

from random import Random

from fuzz import stream_texts
from fuzz.event_stream_standard import events, is_start, model_of, told
from fuzz.program import Broken, Program
from proxy.protocol.message import Echo
from proxy.protocol.sse import PING, StreamTap

ECHO = Echo(sent=stream_texts.THEIRS, asked='anthropic/"ours"')

_END = b"\n\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PING_EVENT = ("ping", '{"type": "ping"}')


class EventStreams(Program[list[bytes]]):
    """Streams, in chunks, against `StreamTap`."""

    name = "sse"

    def make(self, random: Random) -> list[bytes]:
        """Make a stream."""
        return stream_texts.stream(random)

    async def check(self, case: list[bytes]) -> str:
        """Compare what the tap tells and passes with the reference, with and without a model to put in."""
        compare(case, None, framed=False)
        compare(case, None, framed=True)
        compare(case, ECHO, framed=False)
        return compare(case, ECHO, framed=True)


def compare(chunks: list[bytes], echo: Echo | None, *, framed: bool) -> str:
    """Compare both readings of a stream.

    Raises:
        Broken: they differ.
    """
    stream = b"".join(chunks)
    tap = StreamTap(echo, framed=framed)
    out, fed = b"", b""
    boundaries = []
    for chunk in chunks:
        fed += chunk
        out += tap.feed(chunk)
        if tap.finished and not told(fed).finished:
            raise Broken("finished before the end", fed[-80:])
        if tap.at_boundary:
            boundaries.append(len(out))
    out += tap.rest()
    end = _END if framed else b""
    expected = told(stream + end)
    if tap.usage != expected.usage:
        raise Broken("another usage", (tap.usage, expected.usage))
    if (tap.finished, tap.failed) != (expected.finished, expected.failed):
        raise Broken(
            "another end",
            f"finished, failed: {tap.finished}, {tap.failed}; "
            f"by the standard {expected.finished}, {expected.failed}",
        )
    _compare_passed(stream, out, echo, end)
    # In front of a byte order mark nothing can be put: it is one at the very start alone.
    for place in set(boundaries) - ({0} if stream.startswith(_BYTE_ORDER_MARK) else set()):
        _compare_with_ping(out[:place], out[place:])
    return "finished" if tap.finished else "unfinished"


def _compare_passed(stream: bytes, out: bytes, echo: Echo | None, end: bytes) -> None:
    """Compare what came with what was passed on."""
    read, passed = events(stream + end), events(out + end)
    start = next((index for index, (_, data) in enumerate(read) if is_start(data)), None)
    if echo is None or start is None or model_of(read[start][1]) != echo.sent:
        if out != stream:
            raise Broken("changes bytes", out[:500])
        return
    if out == stream:
        raise Broken("leaves the model as it is", read[start])
    if passed[:start] + passed[start + 1 :] != read[:start] + read[start + 1 :]:
        raise Broken("changes another event", out[:500])
    if model_of(passed[start][1]) != echo.asked:
        raise Broken("names another model", passed[start])
    if out not in _replacements(stream, echo.sent, echo.asked):
        raise Broken("changes more than the model", out[:500])


def _replacements(stream: bytes, theirs: str, ours: str) -> list[bytes]:
    """Give the stream with one of the places that hold the model's id replaced, each in turn."""
    found, new = b'"%b"' % theirs.encode(), b'"%b"' % ours.replace('"', '\\"').encode()
    parts = stream.split(found)
    return [
        found.join(parts[:place]) + new + found.join(parts[place:])
        for place in range(1, len(parts))
    ]


def _compare_with_ping(before: bytes, after: bytes) -> None:
    """Compare the events with those of the same stream with a ping put in."""
    read = events(before + PING + after)
    place = len(events(before))
    if read[place : place + 1] != [_PING_EVENT] or read[:place] + read[place + 1 :] != events(
        before + after
    ):
        raise Broken("a ping at what is called a boundary breaks an event", before[-80:])
