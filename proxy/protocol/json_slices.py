"""A JSON object of any size, taken apart a slice at a time. Pure.

Decoders work on a whole text at once, and hold the event loop, and the GIL, meanwhile: 100 ms for 32 MB of escapes,
200 ms for a million names. This reads a text token by token, and pauses whenever others should run. What is left to be
decoded comes in small texts: a `Piece` for some elements of a long array or object, an `Outline` for the rest. Long
strings are decoded here; in pieces and outline only their beginnings stand for them, since of a string a schema asks
no more than that it is one.
"""

import re
from collections.abc import Iterator
from typing import NoReturn

import msgspec

from proxy.errors import InvalidRequest
from proxy.protocol import json_runs, json_strings
from proxy.protocol.json_members import MAX_MEMBERS, MAX_NAME_BYTES, Span
from proxy.protocol.json_pieces import Outline, Piece

MAX_VALUES = 1_000_000
MAX_ELEMENT_VALUES = 50_000
# Of those that are in no run: each takes 10 µs. In what fits into a context of a million tokens are some 80,000.
MAX_SINGLE = 200_000
# Of one element of a member, without what is left out of long strings.
MAX_ELEMENT_BYTES = 1 << 20
# What stands between two tokens is white space, or a number: any client's are shorter.
_MAX_GAP_BYTES = 1 << 11
_PIECE_TOKENS = 2_500
_PIECE_BYTES = 1 << 18
_TOKENS_A_STEP = 2_000
# As many as a run takes the time of, whatever is in it.
_RUN_TOKENS = 100
# Of a member that is a string enough is kept for every bound a schema has; deeper, for a name.
_KEPT_BYTES = 1 << 12
_KEPT_BYTES_DEEPER = json_runs.KEPT_BYTES
_IN_OBJECT, _IN_MEMBER = 1, 2  # depths
# What every Python's decoders read; those since 3.12 go deeper, in bodies that are not read with care.
_MAX_DEPTH = 1_000

_TOKEN = re.compile(rb'["\[\]{},]')
_COLON = re.compile(rb"[ \t\r\n]*+:[ \t\r\n]*+")
_WHITE_SPACE = b" \t\r\n"
_CLOSING = {b"{": b"}", b"[": b"]"}


class Slices:
    """Takes one text apart, in `steps`."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0  # behind the last token
        self._single = 0  # tokens
        self._tokens = 0  # those that begin or follow a value: there are about as many as values
        self._work = 0  # in tokens, whatever they bring
        self._open: list[bytes] = []
        self._top: list[bytes] = []
        self._top_bytes = self._last_end = 0
        self._members: list[tuple[str, Span]] = []
        self._lengths: dict[str, int] = {}
        self._name = ""
        self._name_end = 0
        self._expects_name = False
        # Of the member at hand: what has come since the last piece.
        self._part: list[bytes] = []
        self._part_bytes = self._part_start = self._part_token = self._element_token = 0
        self._first = self._element = 0

    def steps(self) -> Iterator[Piece | None]:
        """Read the text, a step at a time.

        Yields:
            A piece, or None: a pause in which others may run.

        Raises:
            InvalidRequest: no object, or one over a bound. What is wrong inside pieces and outline is not seen here.
            msgspec.DecodeError: a string is none.
            UnicodeDecodeError: a string is not UTF-8.
        """
        next_pause = _TOKENS_A_STEP
        while True:
            if len(self._open) > _IN_MEMBER or (
                len(self._open) == _IN_MEMBER and not self._is_long(self._at)
            ):
                self._take_run()
            found = _TOKEN.search(self._body, self._at, self._at + _MAX_GAP_BYTES)
            if found is None:
                break
            start, token = found.start(), found[0]
            before, self._last_end = self._body[self._at : start], self._at
            # In an element it may be the rest of a number whose beginning was in a run.
            self._put(before if len(self._open) >= _IN_MEMBER else before.strip(_WHITE_SPACE))
            self._at = start + 1
            self._count(token in b",[{", single=True)
            if token == b'"':
                yield from self._read_string(start)
            elif token in _CLOSING:
                self._enter(token)
            elif token == b",":
                yield from self._end_element(start)
            else:
                yield from self._leave(token, start)
                if not self._open:
                    break
            # What brings no value takes as long as what does: strings without a comma between them, say.
            self._work += 1
            if self._work > next_pause:
                next_pause = self._work + _TOKENS_A_STEP
                yield None
        rest = len(self._body) - self._at
        if rest > _MAX_GAP_BYTES:
            raise InvalidRequest(f"body: over {_MAX_GAP_BYTES} bytes without a token of JSON")
        self._top.append(self._body[self._at :].strip(_WHITE_SPACE))

    def outline(self) -> Outline:
        """Return what pieces have left over, when `steps` has ended."""
        return Outline(b"".join(self._top), self._members, self._lengths)

    def _put(self, text: bytes) -> None:
        if len(self._open) < _IN_MEMBER:
            self._top.append(text)
        else:
            self._part.append(text)
            self._part_bytes += len(text)
            if self._part_bytes > MAX_ELEMENT_BYTES + _PIECE_BYTES:
                raise InvalidRequest(
                    f"{self._place()}: over {MAX_ELEMENT_BYTES} bytes beside long strings"
                )

    def _place(self) -> str:
        return f"{self._name}.{self._element}"

    def _take_run(self) -> None:
        """Take many tokens at once that open and close only what is whole."""
        run = json_runs.find(self._body, self._at)
        if run is None:
            return
        self._put(run.text)
        self._at = run.end
        self._work += run.tokens + _RUN_TOKENS
        if len(self._open) == _IN_MEMBER and run.commas:
            self._element += run.commas
            self._element_token = self._tokens
        self._count(run.tokens)

    def _count(self, tokens: int, *, single: bool = False) -> None:
        self._tokens += tokens
        self._single += single
        if self._single > MAX_SINGLE:
            raise InvalidRequest(f"body: over {MAX_SINGLE} long strings and deep brackets")
        if self._tokens > MAX_VALUES:
            raise InvalidRequest(f"body: over {MAX_VALUES} values")
        if self._tokens - self._element_token > MAX_ELEMENT_VALUES:
            raise InvalidRequest(f"{self._place()}: over {MAX_ELEMENT_VALUES} values")

    def _read_string(self, start: int) -> Iterator[None]:
        depth = len(self._open)
        kept_bytes = _KEPT_BYTES if depth == _IN_OBJECT else _KEPT_BYTES_DEEPER
        end, kept = yield from json_strings.read(self._body, start + 1, kept_bytes)
        self._at = end + 1
        self._put(b'"%b"' % kept)
        if depth == _IN_OBJECT and self._expects_name:
            if end - start > _KEPT_BYTES:
                raise InvalidRequest(f"body: a member's name is over {MAX_NAME_BYTES} bytes")
            self._name = msgspec.json.decode(b'"%b"' % kept, type=str)
            self._name_end = self._at
            self._expects_name = False
            self._first = self._element = 0
            self._element_token = self._tokens

    def _enter(self, token: bytes) -> None:
        depth = len(self._open)
        if depth == 0 and token != b"{":
            raise InvalidRequest("body: must be a JSON object")
        if depth >= _MAX_DEPTH:
            raise InvalidRequest("body: nested too deep")
        if depth == _IN_OBJECT:
            self._part_start, self._part_token = self._at, self._tokens
        else:
            self._put(token)
        self._open.append(token)
        self._expects_name = depth == 0

    def _end_element(self, start: int) -> Iterator[Piece]:
        """Take a comma at `start`."""
        depth = len(self._open)
        if depth == _IN_MEMBER:
            self._element += 1
            self._element_token = self._tokens
            if self._is_long(start):
                if not b"".join(self._part).strip(_WHITE_SPACE):
                    _refuse()
                yield self._piece(start)
                return
        self._put(b",")
        if depth == _IN_OBJECT:
            self._end_member(start)

    def _is_long(self, end: int) -> bool:
        """Return whether the elements since the last piece, up to `end`, make one."""
        is_long = self._tokens - self._part_token > _PIECE_TOKENS
        return is_long or end - self._part_start > _PIECE_BYTES

    def _end_member(self, start: int) -> None:
        """Take the end of a member's value at `start`, or before white space."""
        colon = _COLON.match(self._body, self._name_end, start)
        if self._expects_name or colon is None:
            _refuse()
        end = self._last_end + len(self._body[self._last_end : start].rstrip(_WHITE_SPACE))
        self._members.append((self._name, (colon.end(), max(end, colon.end()))))
        if len(self._members) > MAX_MEMBERS:
            raise InvalidRequest(f"body: over {MAX_MEMBERS} members")
        self._expects_name = True

    def _leave(self, token: bytes, start: int) -> Iterator[Piece]:
        """Take a closing bracket at `start`."""
        if not self._open or _CLOSING[self._open[-1]] != token:
            _refuse()
        if len(self._open) == _IN_MEMBER:
            # The outline must stay short as a whole, too.
            top_bytes = self._top_bytes + self._part_bytes
            if self._first or top_bytes > _PIECE_BYTES or len(self._top) > _PIECE_TOKENS:
                yield self._piece(start)
                self._lengths[self._name] = self._element + 1
            self._top += (self._open[-1], *self._part, token)
            self._top_bytes += self._part_bytes
            self._part, self._part_bytes = [], 0
            self._open.pop()
            return
        self._open.pop()
        self._put(token)
        if not self._open and not (self._expects_name and not self._members):
            self._end_member(start)

    def _piece(self, start: int) -> Piece:
        """Return the elements since the last piece, up to `start`, and begin the next."""
        opening, elements = self._open[_IN_MEMBER - 1], b"".join(self._part)
        if self._first and not elements.strip(_WHITE_SPACE):
            _refuse()
        text = b"%b%b%b" % (opening, elements, _CLOSING[opening])
        piece = Piece(self._name, self._first, text, (self._part_start, start))
        self._part, self._part_bytes = [], 0
        self._part_start, self._part_token, self._first = self._at, self._tokens, self._element
        return piece


def _refuse() -> NoReturn:
    raise InvalidRequest("body: not valid JSON")
