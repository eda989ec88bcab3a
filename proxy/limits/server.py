"""Redis or Valkey, for one script: a call at a time, and none twice."""

import asyncio
import importlib
import logging
from typing import Any

from proxy.limits.batch import Batch
from proxy.limits.script import SCRIPT, SHA1
from proxy.notices.events import Event
from proxy.notices.notice import notice

_log = logging.getLogger(__name__)
_OLDEST = (6, 2)


class Unanswered(Exception):
    """A call that the server or the way to it failed, or that took too long: it may have run, or not."""


class Server:
    """The server behind a URL.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        name: of this gateway's counts there.
        timeout_s: how long a call may take.
    """

    def __init__(self, url: str, name: str, timeout_s: float) -> None:
        self._url = url
        self.name = name
        self.timeout_s = timeout_s
        self._client: Any = None
        # What the client and the server are to blame for; anything else is a defect of ours. RuntimeError is uvloop's
        # word for writing to a connection that the server has just closed.
        self._troubles: tuple[type[Exception], ...] = (OSError, EOFError, RuntimeError)

    async def open(self) -> None:
        """Make the client. It connects with the first call."""
        # Imported in a thread, when it is needed: it takes a while.
        redis = await asyncio.to_thread(importlib.import_module, "redis.asyncio")
        self._troubles = (*self._troubles, redis.RedisError)
        retry = await asyncio.to_thread(importlib.import_module, "redis.asyncio.retry")
        backoff = await asyncio.to_thread(importlib.import_module, "redis.backoff")
        self._client = redis.Redis.from_url(
            self._url,
            # A call that failed may have run: nothing is sent twice.
            retry=retry.Retry(backoff.NoBackoff(), 0),
            max_connections=2,
            # The calls have a time limit of their own, which is for all that one does.
            socket_timeout=None,
            socket_connect_timeout=None,
            protocol=2,
            driver_info=None,
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def call(self, batch: Batch, timeout_s: float | None = None) -> list[Any]:
        """Return the replies to a batch's operations.

        Raises:
            Unanswered: there are none.
        """
        keys, body = batch.render()
        try:
            async with asyncio.timeout(timeout_s or self.timeout_s):
                return await self._run(keys, body)
        except self._troubles as error:
            raise Unanswered from error

    async def _run(self, keys: list[str], body: bytes) -> list[Any]:
        try:
            replies: list[Any] = await self._client.evalsha(SHA1, len(keys), *keys, body)
        except self._troubles as error:
            if type(error).__name__ != "NoScriptError":
                raise
            # The one failure that says that nothing ran: the server was started anew, or another one took over.
            replies = await self._client.eval(SCRIPT, len(keys), *keys, body)
        return replies

    async def examine(self) -> None:
        """Say in the log what of the server's settings lets it forget counts, as far as it tells."""
        try:
            async with asyncio.timeout(1):
                about = await self._client.info("server")
                policy = (await self._client.config_get("maxmemory-policy")).get("maxmemory-policy")
        except self._troubles as error:
            # Hosted servers forbid both, and nothing depends on them.
            _log.debug("redis tells nothing of its settings: %s", error)
            return
        version = str(about.get("redis_version", ""))
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
