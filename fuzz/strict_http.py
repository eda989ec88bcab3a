"""Read HTTP/1.1 by the letter of RFC 9112: what is well-formed, and where it stops to be.

Of the leniencies that the standard leaves to a recipient two are used: empty lines before a request line (section 2.2),
and several spaces in it (section 3).
"""

import dataclasses
import re

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(%b) +([!-~]+) +HTTP/(1\.[01])" % _TOKEN)
# Who asks in HTTP/0.9 is refused in that version, as aiohttp answers every request in its own.
_STATUS_LINE = re.compile(rb"HTTP/(?:1\.[01]|0\.9) ([1-5][0-9]{2}) ([\t -~\x80-\xff]*)")
_FIELD = re.compile(
    rb"(%b):[ \t]*((?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?)[ \t]*" % _TOKEN
)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t -~\x80-\xff]*)?")

_NO_BODY = frozenset({204, 304})


class Malformed(Exception):
    """Not as the standard says."""


class Incomplete(Exception):
    """Well-formed so far, and not at its end."""


@dataclasses.dataclass(frozen=True)
class Message:
    """A request or a response. `first` is the request line's method and target, or the status line's code."""

    first: tuple[bytes, ...]
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    closes: bool

    def values(self, name: bytes) -> list[bytes]:
        """Give the values of the fields of a name in lower case."""
        return [value for each, value in self.fields if each == name]

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.first[0])


class Reader:
    """Reads one message after the other from bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def requests(self) -> tuple[list[Message], bool]:
        """Read requests up to the end, the first that closes the connection, or the first that is malformed.

        Returns:
            The whole ones, and whether what follows them is malformed. `at` is behind the last whole one.
        """
        found: list[Message] = []
        while self.at < len(self.data):
            began = self.at
            try:
                found.append(self._request())
            except Malformed:
                return found, True
            except Incomplete:
                self.at = began
                break
            if found[-1].closes:
                break
        return found, False

    def responses(self) -> tuple[list[Message], bytes]:
        """Read responses; give the final ones, and what is left when the last is cut.

        Raises:
            Malformed: one is.
        """
        found: list[Message] = []
        while self.at < len(self.data):
            began = self.at
            try:
                response = self._response()
            except Incomplete:
                return found, self.data[began:]
            if response.status >= 200:
                found.append(response)
        return found, b""

    def _request(self) -> Message:
        while self.data.startswith(b"\r\n", self.at):
            self.at += 2
        match = _REQUEST_LINE.fullmatch(self._line())
        if match is None:
            raise Malformed("request line")
        fields = self._fields()
        hosts = [value for name, value in fields if name == b"host"]
        is_new = match[3] == b"1.1"
        if len(hosts) > 1 or (is_new and not hosts):
            raise Malformed("host")
        body = self._body(fields, without=b"")
        # A transfer-encoding in HTTP/1.0 is faulty: nothing may follow it on the connection (section 6.1).
        faulty = not is_new and any(name == b"transfer-encoding" for name, _ in fields)
        closes = faulty or _closes(fields, is_new=is_new)
        return Message((match[1], match[2]), fields, body, closes)

    def _response(self) -> Message:
        match = _STATUS_LINE.fullmatch(self._line())
        if match is None:
            raise Malformed("status line")
        fields = self._fields()
        status = int(match[1])
        empty = status < 200 or status in _NO_BODY
        body = b"" if empty else self._body(fields, without=None)
        return Message((match[1],), fields, body, _closes(fields, is_new=True))

    def _line(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise Incomplete
        line = self.data[self.at : end]
        self.at = end + 1
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            raise Malformed("line end")
        return line[:-1]

    def _fields(self) -> tuple[tuple[bytes, bytes], ...]:
        fields = []
        while line := self._line():
            match = _FIELD.fullmatch(line)
            if match is None:
                raise Malformed("field")
            fields.append((match[1].lower(), match[2]))
        return tuple(fields)

    def _body(self, fields: tuple[tuple[bytes, bytes], ...], *, without: bytes | None) -> bytes:
        """Read a body by its framing; `without` any, it is that, or an error when None."""
        lengths = [value for name, value in fields if name == b"content-length"]
        lines = [value for name, value in fields if name == b"transfer-encoding"]
        if lines:
            # Empty elements of a list do not count (RFC 9110 section 5.6.1); the last one is what frames.
            listed = (coding.strip().lower() for line in lines for coding in line.split(b","))
            *others, last = [each for each in listed if each] or [b""]
            if lengths or last != b"chunked" or b"chunked" in others:
                raise Malformed("transfer-encoding")
            return self._chunks()
        if len(lengths) > 1 or (lengths and re.fullmatch(rb"[0-9]+", lengths[0]) is None):
            raise Malformed("content-length")
        if lengths:
            return self._take(int(lengths[0][:20]))
        if without is None:
            raise Malformed("no framing")
        return without

    def _take(self, length: int) -> bytes:
        if len(self.data) - self.at < length:
            raise Incomplete
        self.at += length
        return self.data[self.at - length : self.at]

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while True:
            match = _CHUNK.fullmatch(self._line())
            if match is None:
                raise Malformed("chunk size")
            if (size := int(match[1], 16)) == 0:
                self._fields()
                return b"".join(parts)
            parts.append(self._take(size))
            if self._take(2) != b"\r\n":
                raise Malformed("chunk end")


def _closes(fields: tuple[tuple[bytes, bytes], ...], *, is_new: bool) -> bool:
    options = {
        option.strip().lower()
        for name, value in fields
        if name == b"connection"
        for option in value.split(b",")
    }
    return b"close" in options or (not is_new and b"keep-alive" not in options)
