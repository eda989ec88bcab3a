"""Where a store in SQLite is, and the one place that makes its file: who starts a gateway, or a command that may.

Whoever else opens a store finds it, or says that it is not there: one that is made in place of one that was moved away
has no keys and no sums. A start does not make one either where `state_dir` knows that there was one.
"""

import contextlib
import logging
import os
from pathlib import Path

from proxy.config import Store
from proxy.notices.events import Event
from proxy.notices.notice import notice

_log = logging.getLogger(__name__)
_SQLITE = "sqlite:///"


def file_of(url: str) -> Path | None:
    """Return the file of a store's URL; None: it is not in SQLite."""
    path = url.removeprefix(_SQLITE).partition("?")[0] if url.startswith(_SQLITE) else ""
    return Path(path) if path and path != ":memory:" else None


def make_file(file: Path) -> None:
    """Make the file, empty and private, unless it is there: SQLite gives its other files the mode of this one.

    A file that is there is not opened: the close would drop the locks of this process's other connections, and the
    next process to leave would take the log from them.

    Raises:
        OSError: it cannot be made.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def was_there(store: Store, file: Path) -> bool:
    """Return whether `state_dir` knows that a gateway has had this store."""
    return _mark(store, file).exists()


def told_away(file: Path, command: str) -> str:
    """Return what to say of a store that was there, and is not: a start that serves without it, and commands alike.

    Args:
        file: where it was.
        command: that makes an empty one.
    """
    return (
        f"the store is not there: {file.absolute()}: put it back if it was moved; or have an empty one made, "
        f"without its keys and sums, by `{command}`"
    )


def is_to_be_made(store: Store | None) -> bool:
    """Return whether a start makes the file of a store: it is not there, and was not before, as far as is known."""
    file = None if store is None else file_of(store.url)
    if store is None or file is None:
        return False
    return not file.exists() and not was_there(store, file)


def make_first(store: Store | None) -> None:
    """Make the file of a store at the start of a gateway; what cannot be made is told by who then opens it."""
    file = None if store is None else file_of(store.url)
    if store is None or file is None:
        return
    with contextlib.suppress(OSError):
        if is_to_be_made(store):
            make_file(file)
            _log.warning(
                "there was no store, and an empty one is made: %s",
                file.absolute(),
                extra=notice(Event.STORE_MADE),
            )
        if file.exists():
            mark = _mark(store, file)
            mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            mark.touch(mode=0o600)


def _mark(store: Store, file: Path) -> Path:
    """Return the file whose being there says that there was a store: whoever moves `FILE*` leaves it."""
    return Path(store.state_dir) / f"was-there.{file.name}"
