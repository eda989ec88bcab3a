"""One request's notebook: what the access log will say of it, and what it is waiting for.

Nothing here has a timer of its own. An exchange notes what it waits for and since when (two attribute writes a
chunk); the gateway's one `Watch` looks at all of them and interrupts those that wait too long. An interruption
cancels the task and leaves its reason here, so that whoever awaits can tell it from a client that left.
"""

import asyncio
import enum
import random
import time
from typing import Any

from proxy.errors import ProxyError


class Wait(enum.Enum):
    """What an exchange is waiting for."""

    NOTHING = enum.auto()
    REQUEST_BODY = enum.auto()
    RESPONSE_HEAD = enum.auto()
    RESPONSE_BODY = enum.auto()
    CLIENT = enum.auto()


class PingDueError(Exception):
    """The client of a silent stream is to be told that it is still alive."""


class Exchange:
    """A request and its answer, from head to last byte.

    Attributes:
        request_id: `req_…`; the upstream's, once it has given one.
        started: `time.monotonic()` of the request head; `received_at` is the same in Unix seconds.
        status: of the answer; None until there is one, or when the client left before.
        first_byte: `time.monotonic()` of the answer's first byte.
        bytes_in: of the request's body, as received. `bytes_out`: of the answer's body, as sent.
        usage: as the upstream reported it, in the API's field names.
        cause: one word for why it failed; None when it did not.
        wait, since: what it waits for, and from when, as `time.monotonic()`.
        may_ping: whether an event may be put into the answer now.
    """

    key: str | None = None
    model: str | None = None
    upstream: str | None = None
    upstream_model: str | None = None
    session_id: str | None = None
    agent_id: str | None = None
    status: int | None = None
    first_byte: float | None = None
    bytes_in = 0
    bytes_out = 0
    stream = False
    usage: dict[str, Any] | None = None
    cause: str | None = None
    wait = Wait.NOTHING
    may_ping = False
    _reason: Exception | None = None

    def __init__(self, *, method: str, path: str, client: str | None) -> None:
        self._task = asyncio.current_task()
        self.request_id = f"req_{random.getrandbits(96):024x}"
        self.started = self.since = self.pinged = time.monotonic()
        self.received_at = time.time()
        self.method = method
        self.path = path
        self.client = client

    def waits_for(self, what: Wait) -> None:
        """Note what is awaited from now on."""
        self.wait = what
        self.since = time.monotonic()

    def answered(self, status: int) -> None:
        """Note the answer's status, and that its first byte goes out now."""
        self.status = status
        self.first_byte = time.monotonic()

    def interrupt(self, reason: Exception) -> None:
        """Break off what is awaited: `interruption()` there gives the reason."""
        if self._reason is None and self._task is not None:
            self._reason = reason
            self._task.cancel()

    def interruption(self) -> Exception:
        """Give the reason of an interruption. Call it only while handling `CancelledError`.

        Raises:
            asyncio.CancelledError: the cancellation was none of ours, or not ours alone; the client has left.
        """
        reason, self._reason = self._reason, None
        if reason is None or self._task is None or self._task.uncancel():
            raise asyncio.CancelledError
        return reason

    def fail(self, error: ProxyError) -> None:
        """Note why the exchange failed."""
        self.cause = error.cause
