"""What the bytes that a client sent last are part of. Pure.

The parser tells of whole heads and of a body's bytes. How much of a head it holds that is not whole, and what it lost
behind a request to upgrade, is worked out here.
"""

from collections.abc import Iterable

import msgspec

_BLANK_LINE = b"\r\n\r\n"
_AROUND_A_FIELD = len(b": \r\n")


class Fed(msgspec.Struct, frozen=True, gc=False):
    """What the parser made of one piece of bytes.

    Attributes:
        begun: whether a head has become whole.
        before: how many bytes of the last body had come before; None: that body was whole.
        body: how many bytes of the last body have come now; `whole`: whether these are all.
        chunked: whether that body is, and it began with these bytes.
    """

    begun: bool
    before: int | None
    body: int
    whole: bool
    chunked: bool


def unfinished(data: bytes, fed: Fed) -> int:  # noqa: PLR0911 - one return per case
    """Return how many of the last bytes belong to lines whose end is still to come: of a head, or of trailers.

    Of a head behind a body that holds a blank line, it may be fewer than there are; never none.
    """
    if not fed.whole:
        # Of its body, or of what comes with it: chunk extensions and trailers.
        return 0 if fed.begun or fed.before is None or fed.body > fed.before else len(data)
    # A whole head, or chunked body, ends so; no part of a head does.
    if data.endswith(_BLANK_LINE):
        return 0
    body = fed.body if fed.before is None or fed.begun else fed.body - fed.before
    if fed.begun:
        # Its body ends the bytes when its head ends right before it.
        if not fed.chunked and data.endswith(_BLANK_LINE, 0, len(data) - body):
            return 0
    elif fed.before is None:
        return len(data)
    elif len(data) <= body:
        return 0
    # Nothing here has searched a whole body so far.
    blank = data.rfind(_BLANK_LINE)
    if blank < 0 and (fed.begun or not body):
        # The blank line that ends the head, or the chunks, began before these bytes.
        rest = next((size for size in (3, 2, 1) if data.startswith(_BLANK_LINE[-size:])), 0)
        return max(len(data) - rest - body, 0)
    behind = len(data) - (blank + len(_BLANK_LINE) if blank >= 0 else 0)
    if fed.begun:
        return behind if fed.chunked else max(behind - body, 1)
    return min(len(data) - body, behind)


class Lines:
    """Counts the bytes of the lines that are not whole.

    Attributes:
        waiting_bytes: as of the last bytes.
        in_pieces: whether they, or those that became whole with the last bytes, had begun before these.
    """

    def __init__(self) -> None:
        self.waiting_bytes = 0
        self.in_pieces = False

    def feed(self, data: bytes, fed: Fed) -> None:
        """Take note of the last bytes."""
        lines = unfinished(data, fed)
        self.in_pieces = self.waiting_bytes > 0
        # They go on with those before them when neither a head nor a body has become whole in between.
        goes_on = lines and not fed.begun and (fed.before is None or not fed.whole)
        self.waiting_bytes = self.waiting_bytes + lines if goes_on else lines


def may_follow(data: bytes, fed: Fed, *, in_pieces: bool) -> bool:
    """Return whether there may be bytes behind a request to upgrade: the parser does not tell, and drops them.

    Args:
        data: the last bytes.
        fed: what the parser made of them.
        in_pieces: whether the request's head began before them.
    """
    if not fed.whole:
        return False
    if fed.chunked or in_pieces:
        return True
    if fed.begun:
        return data.find(_BLANK_LINE) + len(_BLANK_LINE) + fed.body != len(data)
    return fed.before is not None and fed.body - fed.before != len(data)


def head_bytes(path: str, fields: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the size of a head, but for the few bytes that are the same in every one."""
    return len(path) + sum(len(name) + len(value) + _AROUND_A_FIELD for name, value in fields)
