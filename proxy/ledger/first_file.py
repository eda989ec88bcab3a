"""Where a store in SQLite is, and the one place that makes its file: who starts a gateway, or a command that may.

Whoever else opens a store finds it, or says that it is not there: one that is made in place of one that was moved away
has no keys and no sums.
"""

import contextlib
import os
from pathlib import Path

from proxy.config import Store

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


def make_first(store: Store | None) -> None:
    """Make the file of a store at the start of a gateway; what cannot be made is told by who then opens it."""
    if store is not None and (file := file_of(store.url)) is not None:
        with contextlib.suppress(OSError):
            make_file(file)
