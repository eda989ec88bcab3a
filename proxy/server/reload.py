"""A changed configuration, made to count while requests are served."""

import asyncio
import dataclasses
import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from proxy.config import Config
from proxy.config_file import changes
from proxy.config_file.faults import OWN_ENVIRONMENT, ConfigError, NoCredentialError
from proxy.config_file.load import Loaded
from proxy.config_file.source import Source
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.snapshot import Reloaded, Snapshot, successor
from proxy.tenancy.tenancy import is_wanted

_log = logging.getLogger("anyrouter")

WATCH_EVERY_S = 2.0
AGAIN_FIRST_S, AGAIN_AT_LAST_S = 5.0, 60.0


class Reloader:
    """Has a process serve by its configuration as it is now: when it is asked to, or when a file has changed.

    One whose command has printed no credential is tried again, until it has or another is read.

    Args:
        source: of the configuration.
        take_over: serves by one.
        watches: whether to look at the files; None: a parent does, and tells what has changed.
        every_s: how often they are looked at.
        taken: called with the name of each that is served from now on.
    """

    def __init__(
        self,
        source: Source,
        take_over: Callable[[Config], Awaitable[Reloaded]],
        watches: Callable[[], bool] | None,
        every_s: float = WATCH_EVERY_S,
        taken: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._take_over = take_over
        self._watches = watches
        self._every_s = every_s
        self._taken = taken
        self._asked = asyncio.Event()
        self._reading = asyncio.Lock()
        self._again: asyncio.TimerHandle | None = None
        self._again_s = AGAIN_FIRST_S

    def ask(self) -> None:
        """Have the configuration read; what is asked while it is being read is done once, afterwards."""
        self._again_s = AGAIN_FIRST_S
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

    async def read_key(self, name: str, served: Callable[[], Config]) -> None:
        """Take over the key of an upstream that is another one now, and nothing else of what the files say.

        Args:
            name: of the upstream.
            served: gives the configuration that is served.
        """
        if not self._source.differs():
            return
        async with self._reading:
            try:
                read = (await asyncio.to_thread(self._source.peek)).config
                config = with_key_of(name, served(), read)
                if config is not None:
                    await self._take_over(config)
                    line = (
                        f"upstream {name}: its key was read anew, for it has refused the one before"
                    )
                    _log.info(line)
            except ConfigError:
                pass  # said where the whole of it is read
            except Exception:  # noqa: BLE001 - logged with its traceback; the request that asked goes on
                _log.exception("upstream %s: its key was not read anew: a defect", name)

    async def _read(self) -> None:
        async with self._reading:
            if self._again is not None:
                self._again.cancel()
            try:
                # Not in the event loop, which a configuration of a thousand keys would hold for long.
                loaded = await asyncio.to_thread(self._source.read)
                reloaded = await self._take_over(loaded.config)
            except ConfigError as error:
                say_refused(self._source, error)
                if isinstance(error, NoCredentialError):
                    self._try_again()
            except Exception:  # noqa: BLE001 - logged with its traceback; the next change is read all the same
                _log.exception("the configuration was not reloaded: a defect")
            else:
                self._again_s = AGAIN_FIRST_S
                self._taken(self._source.name)
                if self._watches is None:
                    said = f"process {os.getpid()} serves configuration {self._source.name}"
                    _log.info(said)
                else:
                    say_reloaded(self._source.name, self._source.was, loaded, reloaded)

    def _try_again(self) -> None:
        """Have it read again, for a command may do what it did not, ever more slowly."""
        loop = asyncio.get_running_loop()
        self._again = loop.call_later(self._again_s, self._asked.set)
        _log.warning(
            "%s is tried again in %g s",
            self._source.path,
            self._again_s,
            extra=notice(Event.CREDENTIAL_NOT_RENEWED),
        )
        self._again_s = min(self._again_s * 2, AGAIN_AT_LAST_S)


def with_key_of(name: str, served: Config, read: Config) -> Config | None:
    """Return what is served with the key of an upstream that was read; None: it is the same, or more has changed."""
    new = {each.name: each for each in read.upstreams}.get(name)
    old = {each.name: each for each in served.upstreams}.get(name)
    if new is None or old is None or new == old:
        return None
    if dataclasses.replace(old, auth=dataclasses.replace(old.auth, key=new.auth.key)) != new:
        return None  # a key is for the address beside which it stands
    upstreams = tuple(new if each is old else each for each in served.upstreams)
    return dataclasses.replace(served, upstreams=upstreams)


class _Tried(NamedTuple):
    """What was found good as far as it can be said without running commands."""

    name: str
    loaded: Loaded
    snapshot: Snapshot


class ParentReloads:
    """Reads a changed configuration in the process that starts workers.

    Args:
        source: of the configuration.
        config: what the workers have begun with.
        every_s: how often the files are looked at.
        follow: called with each configuration that counts from then on.
    """

    def __init__(
        self,
        source: Source,
        config: Config,
        every_s: float = WATCH_EVERY_S,
        follow: Callable[[Config], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._follow = follow
        self._snapshot = Snapshot.of(config)
        self._name = source.name
        self._tried: _Tried | None = None
        self._is_limited = is_wanted(config)
        self._every_s = every_s
        self._looked_at_s = time.monotonic()

    def look(self, *, is_asked: bool) -> bool:
        """Return whether there is a configuration for the workers to try.

        Args:
            is_asked: whether somebody has asked for it to be read; else it is when a file has changed.
        """
        if not (is_asked or self._is_due()):
            return False
        try:
            loaded = self._source.read()
            snapshot = successor(self._snapshot, loaded.config, is_limited=self._is_limited)
        except ConfigError as error:
            say_refused(self._source, error)
            return False
        except Exception:  # noqa: BLE001 - logged with its traceback; workers are replaced all the same
            _log.exception("the configuration was not reloaded: a defect")
            return False
        self._tried = _Tried(self._source.name, loaded, snapshot)
        return True

    def taken(self, name: str) -> Config | None:
        """Return the configuration that counts from now on: what is tried, when a worker says that it serves by it."""
        tried = self._tried
        if tried is None or tried.name != name:
            return None
        before, self._snapshot, self._tried = self._snapshot, tried.snapshot, None
        was, self._name = self._name, name
        config = tried.snapshot.config
        brought = Reloaded.of(before.config, config, tried.loaded.config)
        say_reloaded(name, was, tried.loaded, brought)
        self._follow(config)
        return config

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now - self._looked_at_s < self._every_s or not self._snapshot.config.reload.watch:
            return False
        self._looked_at_s = now
        return self._source.has_changed()


def say_reloaded(name: str, was: str, loaded: Loaded, reloaded: Reloaded) -> None:
    """Log what another configuration has brought, of this name, after one of that name."""
    # Each line is its own text, and none a repetition of another with the same pattern.
    for warning in loaded.warnings:
        _log.warning(warning, extra=notice(Event.CONFIG_DOUBTED))
    if reloaded.after_restart:
        line = f"after a restart only: {changes.describe(reloaded.after_restart)}{reloaded.why_it_waits}"
        _log.warning(line, extra=notice(Event.RESTART_NEEDED))
    nothing = "nothing has changed" if name == was else "the content of files changed"
    said = changes.describe(reloaded.changes) or nothing
    line = f"configuration {name} is served: {said}"
    _log.info(line)


def say_refused(source: Source, error: ConfigError) -> None:
    """Log why a configuration cannot be served."""
    for fault in error.faults:
        _log.error(fault, extra=notice(Event.CONFIG_NOT_TAKEN))
    line = (
        f"{source.path} was not taken over: the configuration before it goes on until it is mended"
    )
    if error.is_of_environment:
        line += f"; {OWN_ENVIRONMENT}"
    _log.error(line, extra=notice(Event.CONFIG_NOT_TAKEN))
