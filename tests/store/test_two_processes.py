"""SQLite shared by processes: its locks are of a process and a file; the close of any descriptor of it drops them."""

import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

from proxy.ledger.first_file import make_file
from proxy.store.engine import open_engine, reading
from tests.store.rows import opened
from tests.support.commands import environment

_ADDS = """
import sys, sqlalchemy as sa
from proxy.store.engine import open_engine
engine = open_engine(sys.argv[1])
with engine.begin() as connection:
    connection.execute(sa.text("INSERT INTO t VALUES (2)"))
engine.dispose()
"""


def test_what_another_process_commits_is_seen_and_nothing_is_lost_however_many_connections_are_open(
    tmp_path: Path,
) -> None:
    make_file(tmp_path / "a.db")
    url = f"sqlite:///{tmp_path / 'a.db'}"
    with opened(url) as first, opened(url) as second:
        with first.begin() as connection:
            connection.execute(sa.text("CREATE TABLE t (n INTEGER)"))
        with second.begin() as connection:
            connection.execute(sa.text("INSERT INTO t VALUES (1)"))
        # Its end is the end of the store's last connection, if no lock says that these two are there.
        subprocess.run(
            [sys.executable, "-c", _ADDS, url], env=environment(), timeout=60, check=True
        )
        with first.begin() as connection:
            connection.execute(sa.text("INSERT INTO t VALUES (3)"))
        for engine in (first, second):
            assert _numbers(engine) == [1, 2, 3]
        engine = open_engine(url)
        assert _numbers(engine) == [1, 2, 3]
        engine.dispose()


def _numbers(engine: sa.Engine) -> list[int]:
    with reading(engine) as connection:
        return list(connection.execute(sa.text("SELECT n FROM t ORDER BY n")).scalars())
