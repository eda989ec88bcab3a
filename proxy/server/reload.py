"""A changed configuration, made to count while requests are served."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable

from proxy.config import Config
from proxy.config_file import changes
from proxy.config_file.faults import ConfigError
from proxy.config_file.load import Loaded
from proxy.config_file.source import Source
from proxy.snapshot import Reloaded, Snapshot, successor
from proxy.tenancy.tenancy import is_wanted

_log = logging.getLogger("anyrouter")

WATCH_EVERY_S = 2.0


class Reloader:
    """Has a process serve by its configuration as it is now: when it is asked to, or when a file has changed.

    Args:
        source: of the configuration.
        take_over: serves by one.
        watches: whether to look at the files; None: a parent does, and tells what has changed.
        every_s: how often they are looked at.
    """

    def __init__(
        self,
        source: Source,
        take_over: Callable[[Config], Awaitable[Reloaded]],
        watches: Callable[[], bool] | None,
        every_s: float = WATCH_EVERY_S,
    ) -> None:
        self._source = source
        self._take_over = take_over
        self._watches = watches
        self._every_s = every_s
        self._asked = asyncio.Event()
        self._reading = asyncio.Lock()

    def ask(self) -> None:
        """Have the configuration read; what is asked while it is being read is done once, afterwards."""
        self._asked.set()

    async def run(self) -> None:
        """Do what is asked, and look at the files, for ever."""
        while True:
            try:
                async with asyncio.timeout(self._every_s):
                    await self._asked.wait()
            except TimeoutError:
                if self._watches is None or not (self._watches() and self._source.has_changed()):
                    continue
            self._asked.clear()
            await self._read()

    async def read_what_differs(self) -> None:
        """Read the configuration when a file is another than was read, however short it has been so."""
        if self._source.differs():
            await self._read()

    async def _read(self) -> None:
        async with self._reading:
            try:
                # Not in the event loop, which a configuration of a thousand keys would hold for long.
                loaded = await asyncio.to_thread(self._source.read)
                reloaded = await self._take_over(loaded.config)
            except ConfigError as error:
                say_refused(self._source, error)
            except Exception:  # noqa: BLE001 - logged with its traceback; the next change is read all the same
                _log.exception("the configuration was not reloaded: a defect")
            else:
                if self._watches is None:
                    said = f"process {os.getpid()} serves configuration {self._source.name}"
                    _log.info(said)
                else:
                    say_reloaded(self._source, loaded, reloaded)


class ParentReloads:
    """Reads a changed configuration in the process that starts workers.

    Args:
        source: of the configuration.
        config: what the workers have begun with.
        every_s: how often the files are looked at.
    """

    def __init__(self, source: Source, config: Config, every_s: float = WATCH_EVERY_S) -> None:
        self._source = source
        self._snapshot = Snapshot.of(config)
        self._is_limited = is_wanted(config)
        self._every_s = every_s
        self._looked_at_s = time.monotonic()

    def look(self, *, is_asked: bool) -> Config | None:
        """Return the configuration that counts from now on; None when it is the one before.

        Args:
            is_asked: whether somebody has asked for it to be read; else it is when a file has changed.
        """
        if not (is_asked or self._is_due()):
            return None
        before = self._snapshot
        try:
            loaded = self._source.read()
            self._snapshot = successor(before, loaded.config, is_limited=self._is_limited)
        except ConfigError as error:
            say_refused(self._source, error)
            return None
        config = self._snapshot.config
        say_reloaded(self._source, loaded, Reloaded.of(before.config, config, loaded.config))
        return config

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now - self._looked_at_s < self._every_s or not self._snapshot.config.reload.watch:
            return False
        self._looked_at_s = now
        return self._source.has_changed()


def say_reloaded(source: Source, loaded: Loaded, reloaded: Reloaded) -> None:
    """Log what another configuration has brought."""
    # Each line is its own text, and none a repetition of another with the same pattern.
    for warning in loaded.warnings:
        _log.warning(warning)
    if reloaded.after_restart:
        line = f"after a restart only: {changes.told(reloaded.after_restart)}"
        _log.warning(line)
    nothing = "nothing has changed" if source.name == source.was else "the content of files changed"
    said = changes.told(reloaded.changes) or nothing
    line = f"configuration {source.name} is served: {said}"
    _log.info(line)


def say_refused(source: Source, error: ConfigError) -> None:
    """Log why a configuration cannot be served."""
    for fault in error.faults:
        _log.error(fault)
    line = (
        f"{source.path} was not taken over: the configuration before it goes on until it is mended"
    )
    _log.error(line)
