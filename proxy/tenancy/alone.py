"""A process that counts limits for itself must be the only one: two of them let twice as much through, in silence."""

import asyncio
import fcntl
import os
from pathlib import Path

from proxy.config import Config

_WITHIN_S = 5.0
_EVERY_S = 0.1
_PID_BYTES = 20


class Alone:
    """The lock of the one process that counts.

    Args:
        state_dir: of the store, which other processes of the same gateway would have, too.
    """

    def __init__(self, state_dir: str) -> None:
        self._folder = Path(state_dir)
        self._file = -1

    async def acquire(self) -> None:
        """Take the lock; one that is just ending is waited for.

        Raises:
            RuntimeError: another process has it, or nothing can be written there.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self._folder / "limits.lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise unwritable(self._folder, error) from None
        ends_s = asyncio.get_running_loop().time() + _WITHIN_S
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if asyncio.get_running_loop().time() >= ends_s:
                    holder = os.pread(self._file, _PID_BYTES, 0)
                    self.release()
                    raise RuntimeError(_taken(self._folder, holder)) from None
                await asyncio.sleep(_EVERY_S)
            else:
                # Who is in the way, for whoever comes next.
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, b"%d" % os.getpid(), 0)
                return

    def release(self) -> None:
        """Let the next one count."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _taken(folder: Path, holder: bytes) -> str:
    """Return what to say of a folder that another process counts in, by what its lock's file holds."""
    who = f"process {int(holder)}" if holder.isdigit() else "another gateway"
    return (
        f"{who} counts its limits in {folder}: it may be what a killed gateway has left, which ends with its streams,"
        " after `timeouts.drain_s` at most; wait for it, end it with SIGTERM, give this gateway another"
        " `store.state_dir`, or give both `redis`; that of an application which runs in several processes says in how"
        " many: `listen.workers`"
    )


def unwritable(state_dir: str | Path, error: OSError) -> RuntimeError:
    """Return what to say of a folder that nothing can be kept in."""
    return RuntimeError(
        f"store.state_dir: {state_dir} cannot be written: {error.strerror}; name a folder that is this user's: a path"
        " that does not begin with / is relative to the folder of the configuration"
    )


async def refuse_another(state_dir: str) -> None:
    """Raise as `Alone.acquire` does, and leave the lock to the one that is to count."""
    alone = Alone(state_dir)
    await alone.acquire()
    alone.release()


def doubt_of_limits(config: Config) -> str | None:
    """Return what may be wrong when a host has limits, since this process cannot know in how many it runs."""
    if config.redis is not None:
        return None
    if (processes := config.listen.workers) > 1:
        return (
            f"there are limits or budgets, and each of {processes} processes counts for itself: together they let "
            "through as many times as much; give `redis`, or one process"
        )
    if config.store is None:
        return (
            "there are limits or budgets, and neither `store` nor `redis`: what was spent is forgotten when the process"
            " ends, and another process of the application would count for itself"
        )
    return None
