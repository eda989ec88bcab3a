"""What a client sends on a connection: heads and trailers bounded in size, and broken bodies failed."""

from typing import Any

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter

from proxy.aiohttp_fast import NO_BODY, RequestHandler
from proxy.errors import HeadTooLarge
from proxy.server.framing import Fed, Lines, head_bytes, may_follow

MAX_HEAD_BYTES = 1 << 16


class Intake(RequestHandler):
    """A connection, as far as it reads."""

    __slots__ = ("_body", "_busy", "_lines", "_upgrade")

    def __init__(self, server: web.Server, **options: Any) -> None:
        """Take the options of `web.RequestHandler`."""
        super().__init__(server, **options)
        self._busy = (
            False  # from when a request is taken from the queue until its response is written
        )
        self._body: StreamReader = NO_BODY
        self._lines = Lines()
        self._upgrade = False

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let the last body go, which knows its connection."""
        self._body = NO_BODY
        super().connection_lost(exc)

    def head_arrives(self, *, whole: bool) -> None:
        """Note that bytes of a head have come."""

    def data_received(self, data: bytes) -> None:
        """Bound the head that arrives, and note when it begins to."""
        if not self.sees_queue:
            # Then only the time of a head is bounded: until the request is taken from the queue.
            if not self._busy:
                self.head_arrives(whole=False)
            super().data_received(data)
            return
        queue = self.queue
        body = queue[-1][1] if queue else self._body
        count, before = len(queue), None if body.is_eof() else body.total_bytes
        RequestHandler.data_received(self, data)
        if data:  # else aiohttp parses again what it has held back
            self._account(data, count, before)
        if queue and not self._body.is_eof():
            self._break_body()

    def _account(self, data: bytes, count: int, before: int | None) -> None:
        """Work out what the last bytes were part of.

        Args:
            data: the bytes.
            count: how long the queue was before them.
            before: how many bytes of the last body had come before them; None: that body was whole.
        """
        queue, lines = self.queue, self._lines
        body = queue[-1][1] if queue else self._body
        begun, chunked = len(queue) > count, False
        if begun:
            self.head_arrives(whole=True)
            # What is not of the last body, which may be large, is of heads, and of bodies before it.
            others = lines.waiting_bytes + len(data) - body.total_bytes
            if others > MAX_HEAD_BYTES and self._refuse_large_heads(count):
                return
            head = queue[-1][0]  # an error has neither
            chunked = getattr(head, "chunked", False)
            self._upgrade = getattr(head, "upgrade", False)
            plain = not (chunked or self._upgrade or lines.waiting_bytes) and body.is_eof()
            if plain and data.endswith(b"\r\n\r\n", 0, len(data) - body.total_bytes):
                return  # whole requests, as they nearly always come: nothing waits
        fed = Fed(begun, before, body.total_bytes, body.is_eof(), chunked)
        lines.feed(data, fed)
        if self._upgrade and may_follow(data, fed, in_pieces=lines.in_pieces):
            self.close()
        elif lines.waiting_bytes > MAX_HEAD_BYTES:
            self._refuse_lines(body)
        elif lines.waiting_bytes and fed.whole and not self._busy:
            self.head_arrives(whole=False)

    def _refuse_large_heads(self, count: int) -> bool:
        """Refuse the first of the heads at `count` and behind it that came whole and is too large."""
        for position in range(count, len(self.queue)):
            head = self.queue[position][0]
            fields = getattr(head, "raw_headers", None)  # an error has none
            if fields is not None and head_bytes(head.path, fields) > MAX_HEAD_BYTES:
                self._refuse_head(position)
                return True
        return False

    def _refuse_head(self, position: int) -> None:
        self.refuse_from(position, HeadTooLarge.status, f"the head is over {MAX_HEAD_BYTES} bytes")

    def _refuse_lines(self, body: StreamReader) -> None:
        """Refuse lines that go on and on: a head's, or a body's chunk extensions or trailers."""
        if body.is_eof():
            self._refuse_head(len(self.queue))
        else:
            body.set_exception(web.RequestPayloadError("too many trailers or chunk extensions"))
            self.close()

    def _last_body(self) -> StreamReader:
        queue = self.queue
        return queue[-1][1] if queue else self._body

    def request_began(self, message: Any, body: StreamReader, writer: AbstractStreamWriter) -> None:  # noqa: ARG002 - the subclass's
        """Note that a request is taken from the queue."""
        if not self.sees_queue:
            self.head_arrives(whole=True)
        self._busy = True
        self._body = body
        if self.queue and not body.is_eof():
            self._break_body()

    def _break_body(self) -> None:
        """Fail a body whose framing is broken: aiohttp only queues the error behind it, and its reader would wait."""
        self._body.set_exception(web.RequestPayloadError("malformed chunk"))
