"""Brings a store to the version that this code knows.

The version is read first. Only when it is another is a lock taken, and a child process migrates: many processes may
start at once on one store, one of them starts the child, and none keeps Alembic's memory.
"""

import contextlib
import fcntl
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from proxy.ledger.first_file import make_file
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.store.engine import reading, sqlite_file

_log = logging.getLogger(__name__)

# The versions there were, oldest first: the names of migrations/versions.
VERSIONS = ("0001", "0002", "0003", "0004", "0005")
HEAD = VERSIONS[-1]
_CHILD_WITHIN_S = 600
_LOCK = int.from_bytes(b"anyrout", "big")


class MigrationFailed(Exception):
    """The store could not be brought to this version; the message says why, and what to do."""


def ensure_current(engine: sa.Engine, *, is_made: bool = True) -> bool:
    """Migrate the store unless it is current; return whether it was empty before.

    Args:
        engine: of the store.
        is_made: whether a file that is not there is made; only who begins with a store may.

    Raises:
        MigrationFailed: it is newer than this code, or a migration failed; it is as it was before.
        sqlalchemy.exc.DBAPIError: it cannot be reached, or is not there.
        OSError: its file cannot be made.
    """
    file = sqlite_file(engine)
    if is_made and file is not None:
        make_file(file)
    if is_current(engine):
        return False
    with _alone(engine):
        is_empty = read_version(engine) is None
        if not is_current(engine):  # nobody else was faster
            _migrate(engine)
        return is_empty


def is_current(engine: sa.Engine) -> bool:
    """Return whether the store has this code's version.

    Raises:
        MigrationFailed: it has a newer one.
        sqlalchemy.exc.DBAPIError: it cannot be reached.
    """
    version = read_version(engine)
    if version is not None and version not in VERSIONS:
        raise MigrationFailed(
            f"the store has version {version}, made by a newer release than this one, which knows {HEAD}:"
            " start that release, or restore a backup from before"
        )
    return version == HEAD


def read_version(engine: sa.Engine) -> str | None:
    """Return the store's version; None: it is empty.

    Raises:
        sqlalchemy.exc.DBAPIError: it cannot be reached, or is not there.
    """
    file = sqlite_file(engine)
    if file is not None and file.exists() and not file.stat().st_size:
        return None  # to open it would write to it, outside of the lock
    with reading(engine) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


@contextlib.contextmanager
def _alone(engine: sa.Engine) -> Iterator[None]:
    """Hold the store's lock, for which other processes wait."""
    file = sqlite_file(engine)
    if file is None:
        # Of the session, on a connection of its own: one of a transaction is lost by what ends transactions.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.select(sa.func.pg_advisory_lock(_LOCK)))
            try:
                yield
            finally:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(_LOCK)))
        return
    with file.with_name(file.name + ".migrate-lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _migrate(engine: sa.Engine) -> None:
    package = Path(__file__).parents[2]
    path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
    child = subprocess.run(
        # The URL may hold a password: no argument, which others could read.
        [sys.executable, "-m", "proxy.store.upgrade"],
        input=engine.url.render_as_string(hide_password=False),
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=_CHILD_WITHIN_S,
        # Ctrl-C in a terminal is for the gateway: a migration that has begun is finished.
        process_group=0,
        check=False,
    )
    if child.returncode:
        *before, last_line = child.stderr.strip().splitlines() or [f"status {child.returncode}"]
        if before:
            _log.error("a defect of a migration:\n%s", child.stderr, extra=notice(Event.DEFECT))
        raise MigrationFailed(f"the store could not be migrated to version {HEAD}: {last_line}")
