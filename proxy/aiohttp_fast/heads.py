"""A response's head with the header bytes that an upstream sent, also those that are not UTF-8.

aiohttp reads such bytes as lone surrogates, and leaves them out when it writes. Its own writer looks at each character,
too, which takes twice as long.
"""

from aiohttp import web
from multidict import CIMultiDict

# A tab may stand in a value.
_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t"))


def serialize(status_line: str, fields: CIMultiDict[str]) -> bytes:
    """Return a head.

    Raises:
        ValueError: a control character.
    """
    lines = [name + ": " + value for name, value in fields.items()]
    head = "\r\n".join((status_line, *lines, "\r\n")).encode("utf-8", "surrogateescape")
    # Nothing else goes than the ends of these lines.
    if len(head) - len(head.translate(None, _CONTROLS)) != 2 * (len(lines) + 2):
        raise ValueError("a control character in a header")
    return head


class TransparentResponse(web.StreamResponse):
    """A `StreamResponse` whose head is written so. Its plain twin leaves bytes out."""

    async def _write_headers(self) -> None:
        at_once, self._send_headers_immediately = self._send_headers_immediately, False
        await super()._write_headers()
        self._send_headers_immediately = at_once
        request, writer = self._req, self._payload_writer
        if request is None or writer is None:
            raise RuntimeError("written before it was prepared")
        version = request.version
        status_line = f"HTTP/{version.major}.{version.minor} {self.status} {self.reason}"
        writer._headers_buf = serialize(status_line, self.headers)  # type: ignore[attr-defined] # noqa: SLF001 - of StreamWriter
        if at_once:
            writer.send_headers()
