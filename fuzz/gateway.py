"""A gateway in this process, on a real socket, before an upstream that reads strictly; and what both complain about."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from fuzz.program import Broken
from fuzz.strict_http import Malformed, Message, Reader
from proxy import Auth, Config, Key, Listen, Model, Timeouts, Upstream
from proxy.access.keys import digest
from proxy.app import assemble
from proxy.server.serve import listening

KEY = b"ar-fuzz-key-0123456789"

_TIMEOUTS = Timeouts(
    connect_s=5,
    first_byte_s=5,
    idle_s=2,
    ping_after_s=1,
    request_head_s=0.5,
    request_body_idle_s=0.5,
    drain_s=1,
)
# All of these may pass one after the other, on a machine that has much else to do.
_PATIENCE_S = 30.0
# How long to look for what may come behind the answers that are due.
_MORE_S = 0.7

_MESSAGE = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],'
    b'"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}'
)
_STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":{"model":"claude"}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)


class Gateway:
    """A gateway that listens, and clients for it.

    Attributes:
        complaints: tracebacks logged, exceptions that nobody retrieved, requests that the upstream cannot read.
    """

    def __init__(self, seen: Callable[[Message], None] | None = None) -> None:
        """Prepare; `seen` is called with each request that the upstream reads."""
        self.complaints: list[str] = []
        self._seen = seen
        self._address = ("", 0)

    async def open(self, stack: AsyncExitStack) -> None:
        """Listen until the stack ends."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.complaints.append(_told(context)))
        stack.callback(loop.set_exception_handler, None)
        watching = _Watching(self.complaints)
        root = logging.getLogger()
        root.addHandler(watching)
        stack.callback(root.removeHandler, watching)
        server = await asyncio.start_server(self._upstream, "127.0.0.1", 0)
        stack.callback(server.close)
        port = server.sockets[0].getsockname()[1]
        config = Config(
            upstreams=(Upstream("first", f"http://127.0.0.1:{port}", Auth("x-api-key", "sk-up")),),
            models=(Model(id="anthropic/*", upstream="first"),),
            keys=(Key("fuzz", digest(KEY.decode())),),
            listen=Listen(port=0),
            timeouts=_TIMEOUTS,
        )
        app = assemble(config, lambda _: None)
        addresses = await stack.enter_async_context(listening(app, config))
        self._address = addresses[0]

    async def ask(self, segments: Sequence[bytes], due: int, *, more: bool) -> list[Message]:
        """Send what a client sends on one connection, and read all answers.

        Args:
            segments: each in a write of its own.
            due: the answers to wait for. Then, and after `more` time, the client closes its side.
            more: whether something may come behind them.

        Raises:
            Broken: an answer is not well-formed, or is a 500; or the connection outlives its deadlines.
        """
        reader, writer = await asyncio.open_connection(*self._address)
        received = bytearray()
        cut = asyncio.Event()
        reading = asyncio.create_task(_receive(reader, received, due, cut))
        try:
            with contextlib.suppress(ConnectionError):
                for segment in segments:
                    if writer.is_closing():
                        break
                    writer.write(segment)
                    await asyncio.sleep(0)
                async with asyncio.timeout(_PATIENCE_S):
                    await cut.wait()
                if more:
                    await asyncio.wait((reading,), timeout=_MORE_S)
                if not (reading.done() or writer.is_closing()):
                    writer.write_eof()
            async with asyncio.timeout(_PATIENCE_S):
                reset = await reading
        except TimeoutError:
            raise Broken("a connection outlives its deadlines", bytes(received[-300:])) from None
        finally:
            reading.cancel()
            writer.transport.abort()
        return _answers(bytes(received), whole=not (reset or more), due=due)

    def blame(self, since: int) -> None:
        """Fail when there are more complaints than there were.

        Raises:
            Broken: there are.
        """
        for complaint in self.complaints[since:]:
            raise Broken(complaint.rstrip().rpartition("\n")[2][:100], complaint[-3000:])

    async def _upstream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting = b""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                strict = Reader(waiting + data)
                requests, malformed = strict.requests()
                waiting = strict.data[strict.at :]
                for request in requests:
                    if self._seen is not None:
                        self._seen(request)
                    writer.write(_answer(request))
                if malformed or len(requests) > 1:
                    self.complaints.append(
                        f"the upstream gets what it cannot read:\n{strict.data!r}"
                    )
                    break
                await writer.drain()
        writer.close()


class _Watching(logging.Handler):
    """Keeps what is logged with a traceback."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__()
        self._complaints = complaints

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if record.exc_info or "Traceback" in text:
            self._complaints.append(text)


def _told(context: dict[str, Any]) -> str:
    return f"{context.get('exception')!r}\nin the loop: {context.get('message')}"


async def _receive(
    reader: asyncio.StreamReader, received: bytearray, due: int, cut: asyncio.Event
) -> bool:
    """Read to the end; tell whether it was a reset. `cut` is set once the answers due are there, or at the end."""
    try:
        while data := await reader.read(1 << 16):
            received += data
            if len(_answers(bytes(received), whole=False, due=due)) >= due:
                cut.set()
    except ConnectionError:
        return True
    finally:
        cut.set()
    return False


def _answers(received: bytes, *, whole: bool, due: int) -> list[Message]:
    """Read the answers; `whole` when none of those due may be cut.

    Raises:
        Broken: one is not well-formed, or is a 500.
    """
    try:
        answers, rest = Reader(received).responses()
    except Malformed as error:
        raise Broken("a malformed answer", (str(error), received[-500:])) from None
    if rest and whole and len(answers) < due:
        raise Broken("a cut answer", received[-500:])
    if any(answer.status == 500 for answer in answers):
        raise Broken("a 500", received[-500:])
    return answers


def _answer(request: Message) -> bytes:
    streams = b'"stream": true' in request.body
    kind, body = (b"text/event-stream", _STREAM) if streams else (b"application/json", _MESSAGE)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(body))
    return head + body
