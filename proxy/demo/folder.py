"""The folder of a demo's store, there for as long as the demo runs."""

import contextlib
import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

DATABASE = "demo.db"


@contextlib.contextmanager
def folder() -> Iterator[str]:
    """Make the folder, and remove it in the end, when nobody makes tables in it any more."""
    with tempfile.TemporaryDirectory(prefix="anyrouter-demo-", ignore_cleanup_errors=True) as path:
        yield path
        # Whoever has just started it ends it while the tables are made, by a child process.
        with Path(path, f"{DATABASE}.migrate-lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
