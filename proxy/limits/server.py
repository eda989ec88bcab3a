"""Redis or Valkey, for one script: a call at a time, and none twice."""

import asyncio
import importlib
import logging
import time
from typing import TYPE_CHECKING, Any

from proxy.limits.batch import Batch
from proxy.limits.script import SCRIPT, SHA1
from proxy.limits.server_clock import ServerClock
from proxy.notices.events import Event
from proxy.notices.notice import notice

if TYPE_CHECKING:
    from proxy.limits.wire import Wire

_log = logging.getLogger(__name__)
_OLDEST = (6, 2)
_VERSION = b"redis_version:"
_UNREADABLE = (
    "redis.url cannot be understood: behind its ? is an option that redis-py does not have, or a value that is none; "
    "or its user or password has characters that must be written as %XX"
)


class Unanswered(Exception):
    """A call that the server or the way to it failed, or that took too long: it may have run, or not."""


class Server:
    """The server behind a URL.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        name: of this gateway's counts there.
        timeout_s: how long a call may take.

    Attributes:
        clock: what is known of its time.
    """

    def __init__(self, url: str, name: str, timeout_s: float) -> None:
        self._url = url
        self.name = name
        self.timeout_s = timeout_s
        self.clock = ServerClock()
        self._wires: Any = None
        self._wire: Wire | None = None
        # What the client and the server are to blame for; anything else is a defect of ours. RuntimeError is uvloop's
        # word for writing to a connection that the server has just closed.
        self._troubles: tuple[type[Exception], ...] = (OSError, EOFError, RuntimeError)

    async def open(self) -> None:
        """Load what connects. The first call does.

        Raises:
            RuntimeError: the URL says nothing that could be connected to.
        """
        # Imported in a thread, when it is needed: it takes a while.
        self._wires = await asyncio.to_thread(importlib.import_module, "proxy.limits.wire")
        self._troubles = (*self._troubles, *self._wires.FAILURES)
        try:
            self._wires.place_of(self._url)
        except (ValueError, TypeError, *self._wires.FAILURES):
            # What they say may be a part of a password.
            raise RuntimeError(_UNREADABLE) from None

    async def close(self) -> None:
        """Close the connection."""
        if self._wire is not None:
            self._wire.close()

    async def call(self, batch: Batch, timeout_s: float | None = None) -> list[Any]:
        """Return the replies to a batch's operations.

        Raises:
            Unanswered: there are none.
        """
        keys, body = batch.render()
        called_us = now_us()
        try:
            async with asyncio.timeout(timeout_s or self.timeout_s):
                server_us, replies = await self._run(keys, body)
        except self._troubles as error:
            raise Unanswered from error
        self.clock.told(called_us, server_us, now_us())
        return replies

    async def _run(self, keys: list[str], body: bytes) -> tuple[int, list[Any]]:
        wire = await self._connected()
        told: tuple[int, list[Any]]
        try:
            told = await wire.ask("EVALSHA", SHA1, len(keys), *keys, body)
        except self._troubles as error:
            if not str(error).startswith("NOSCRIPT"):
                # One that refuses may be a replica by now: the next call asks who is behind the address then.
                wire.close()
                raise
            # The one failure that says that nothing ran: the server was started anew, or another one took over.
            told = await wire.ask("EVAL", SCRIPT, len(keys), *keys, body)
        return told

    async def _connected(self) -> "Wire":
        if self._wire is None or not self._wire.is_open:
            self._wire = await self._wires.connect(self._url)
        return self._wire

    async def examine(self) -> None:
        """Say in the log what of the server's settings lets it forget counts, as far as it tells."""
        try:
            async with asyncio.timeout(1):
                wire = await self._connected()
                about: bytes = await wire.ask("INFO", "server")
                told = await wire.ask("CONFIG", "GET", "maxmemory-policy")
        except self._troubles as error:
            # Hosted servers forbid both, and nothing depends on them.
            _log.debug("redis tells nothing of its settings: %s", error)
            return
        policy = told[1].decode() if told else None
        version = about.partition(_VERSION)[2].split(b"\r\n", 1)[0].decode()
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        if len(numbers) == len(_OLDEST) and numbers < _OLDEST:
            _log.warning(
                "redis is version %s: 6.2 or newer is needed",
                version,
                extra=notice(Event.REDIS_UNFIT),
            )
        if policy not in (None, "noeviction"):
            _log.warning(
                "redis may forget limits and budgets when its memory is full: set maxmemory-policy to noeviction, "
                "it is %s",
                policy,
                extra=notice(Event.REDIS_UNFIT),
            )


def now_us() -> int:
    """Return `time.monotonic()` in microseconds."""
    return time.monotonic_ns() // 1000
