"""What holds for all tests: the event loop they run on, which of them are slow, how many examples properties get.

The loop is uvloop, which the product runs on; in `server` and `relay` asyncio's own as well.
"""

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import coverage
import coverage.patch
import pytest
import uvloop
from hypothesis import is_hypothesis_test, settings

from proxy.aiohttp_fast import IS_FAST
from tests.support.commands import COVERAGE
from tests.support.fast_only import FAST_ONLY, NEWER_ONLY
from tests.support.postgres import Postgres, find_binaries
from tests.support.redis_server import RedisServer, find_server
from tests.support.stores import empty_tables, make_store

# No deadline, since a slow machine is no defect. `--hypothesis-profile` chooses another than "whole".
settings.register_profile("whole", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=15)
settings.load_profile("whole")

# pytest-xdist gives its workers a width; a command would take it for the terminal's.
os.environ.pop("COLUMNS", None)

_UVLOOP = {"uvloop": uvloop.new_event_loop}
_SECOND_LOOP = asyncio.new_event_loop
_BOTH = {**_UVLOOP, "asyncio": _SECOND_LOOP}
_ON_BOTH = {"relay", "server"}
_PROCESSES = "cli"
_SHOWN = "docs"


def pytest_configure() -> None:
    """Have no child of this process begin to measure before it is another program.

    uvloop runs what `os.register_at_fork` knows in each child, and coverage takes seconds there to begin; the program
    that it becomes measures itself.
    """
    patch = pytest.MonkeyPatch()
    patch.setattr("coverage.control._start_process_coverage", lambda _config: None)
    # Each test without coverage has it begin again afterwards, and wrap `os._exit` once more: a thousand of them, and a
    # child can end no more.
    apply, patched = coverage.patch.apply_patches, set[int]()

    def apply_once(measuring: coverage.Coverage, *rest: Any) -> None:
        if id(measuring) not in patched:
            patched.add(id(measuring))
            apply(measuring, *rest)

    patch.setattr("coverage.control.apply_patches", apply_once)


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Choose the loops that a test runs on."""
    return _BOTH if item.path.parent.name in _ON_BOTH else _UVLOOP


def _is_left_out(item: pytest.Item) -> bool:
    test = getattr(item, "originalname", "")
    release = tuple(int(number) for number in re.findall(r"\d+", aiohttp.__version__)[:3])
    return (not IS_FAST and bool({item.path.name, test} & FAST_ONLY)) or any(
        release < first and test == name and case in item.name for first, name, case in NEWER_ONLY
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark as slow what starts processes or runs on the second loop; leave out what cannot be done here.

    What runs lines of the package that others run too, only more often, goes without coverage, which
    would double its time: what is slow but the commands, properties, and what the pages show.
    """
    left_out = {item for item in items if _is_left_out(item)}
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        callspec = getattr(item, "callspec", None)  # of tests with parameters
        second = callspec is not None and _SECOND_LOOP in callspec.params.values()
        if second or item.path.parent.name == _PROCESSES:
            item.add_marker(pytest.mark.slow)
        is_slow = item.get_closest_marker("slow") is not None
        is_property = is_hypothesis_test(getattr(item, "obj", None))
        folder = item.path.parent.name
        if is_property or folder == _SHOWN or (is_slow and folder != _PROCESSES):
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(autouse=True)
def _processes_without_coverage(request: pytest.FixtureRequest) -> None:
    """Start the processes of a test that goes without coverage without it, too."""
    if request.node.get_closest_marker("no_cover") is not None:
        patch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        for name in COVERAGE:
            patch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL server."""
    binaries = find_binaries()
    if binaries is None:
        missing = "NOT TESTED: no PostgreSQL server on this machine; install Debian's postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    server = Postgres(binaries)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres_again(postgres: Postgres) -> Iterator[Postgres]:
    """Return the server, which is started again whatever a test does with it."""
    yield postgres
    if not postgres.runs:
        postgres.start()


@pytest.fixture(scope="session")
def redis_process() -> Iterator[RedisServer]:
    """Run a Redis server."""
    command = find_server()
    if command is None:
        missing = "NOT TESTED: no Redis server on this machine; install Debian's redis-server"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    server = RedisServer(command)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def redis_server(redis_process: RedisServer) -> RedisServer:
    """Return a running, empty server, whatever the last test did to it."""
    redis_process.revive()
    with redis_process.client() as client:
        client.flushall()
    return redis_process


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty store, of each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.database()


@pytest.fixture(scope="session")
def sqlite_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "store.db"
    make_store(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres_made(postgres: Postgres) -> str:
    url = postgres.database()
    make_store(url)
    return url


@pytest.fixture
def postgres_store(postgres_made: str) -> str:
    """Return the URL of a store in PostgreSQL with its tables and without rows."""
    empty_tables(postgres_made)
    return postgres_made


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a store with its tables and without rows, of each engine in turn."""
    if request.param == "sqlite":
        made: Path = request.getfixturevalue("sqlite_made")
        return f"sqlite:///{shutil.copy(made, tmp_path / 'store.db')}"
    url: str = request.getfixturevalue("postgres_store")
    return url
