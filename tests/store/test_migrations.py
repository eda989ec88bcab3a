"""Every process may migrate, one does; the tables are those that the code knows."""

import time
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

import proxy
from proxy.config import Store
from proxy.store import migrate
from proxy.store.engine import open_engine, reading, shown, sqlite_file
from proxy.store.inserts import Insert
from proxy.store.migrate import HEAD, VERSIONS, MigrationFailed, ensure_current, read_version
from proxy.store.migrations.versions import v0001_first
from proxy.store.tables import META, METADATA, REQUEST
from tests.store.processes import act_at_once
from tests.store.rows import opened, row, stored
from tests.support.stores import make_file_of

_PROCESSES = 8
_STARTS = """
engine = open_engine(url)
ensure_current(engine)
assert "alembic" not in sys.modules
"""


def test_the_migrations_make_the_tables_that_the_code_knows(store_url: str) -> None:
    with opened(store_url) as engine, reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(proxy.__file__).parent / "store/migrations"))
    return ScriptDirectory.from_config(config)


def test_the_versions_that_are_known_without_alembic_are_those_there_are() -> None:
    revisions = [each.revision for each in _scripts().walk_revisions()]
    assert tuple(reversed(revisions)) == VERSIONS


@pytest.mark.slow
def test_processes_that_start_at_once_on_an_empty_store_all_find_it_migrated(
    empty_store: str,
) -> None:
    """Elsewhere two replicas migrate at once: rhesis-ai/rhesis#2545."""
    act_at_once(_PROCESSES, empty_store, _STARTS)
    with opened(empty_store) as engine:
        assert read_version(engine) == HEAD


@pytest.mark.parametrize("numbers", [(1, 2), ()], ids=["with rows", "without"])
def test_a_store_of_the_first_release_keeps_its_rows_and_its_processes_may_go_on_for_a_day(
    empty_store: str, numbers: tuple[int, ...]
) -> None:
    """They know nothing of sums of hours, which are not taken to be whole before; also if none has written yet."""
    make_file_of(Store(empty_store))
    with opened(empty_store) as engine:
        with engine.begin() as connection:
            context = MigrationContext.configure(connection)
            with Operations.context(context):
                v0001_first.upgrade()
            context.stamp(_scripts(), "0001")
        with engine.begin() as connection:
            if rows := [msgspec.structs.astuple(row(each)) for each in numbers]:
                Insert(engine, REQUEST).execute(connection, rows)
        ensure_current(engine)
        assert read_version(engine) == HEAD
        assert [each.id for each in stored(engine)] == [row(each).id for each in numbers]
        with reading(engine) as connection:
            assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
            names = connection.scalars(sa.select(META.c.name).order_by(META.c.name))
            assert names.all() == ["breaks_until", "hours_from", "keys_seq", "sweeper"]
            whole_from = connection.scalar(
                sa.select(META.c.value).where(META.c.name == "hours_from")
            )
            assert whole_from is not None
            assert whole_from * 3600 > time.time() + 82_800


def test_a_store_of_a_newer_release_is_refused_and_left_alone(empty_store: str) -> None:
    with opened(empty_store) as engine:
        ensure_current(engine)
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(MigrationFailed, match="9999, made by a newer release"):
            ensure_current(engine)
        assert read_version(engine) == "9999"


def test_a_migration_that_fails_says_why_and_leaves_nothing_behind(empty_store: str) -> None:
    make_file_of(Store(empty_store))
    engine = open_engine(empty_store)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE audit (somebody TEXT)"))
    with pytest.raises(MigrationFailed, match="audit"):
        ensure_current(engine)
    with reading(engine) as connection:
        assert sa.inspect(connection).get_table_names() == ["audit"]
    engine.dispose()


def test_a_defect_of_a_migration_is_logged_with_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The child that migrates is another process: what it says must not be lost."""
    (tmp_path / "alembic").mkdir()
    (tmp_path / "alembic/__init__.py").write_text("raise LookupError('no such thing')")
    package = tmp_path / "proxy"
    package.symlink_to(Path(proxy.__file__).parent)
    monkeypatch.setattr(migrate, "__file__", str(package / "store/migrate.py"))
    with (
        opened(f"sqlite:///{tmp_path / 'store.db'}") as engine,
        pytest.raises(MigrationFailed, match="LookupError: no such thing"),
    ):
        ensure_current(engine)
    assert "Traceback" in caplog.text


def test_a_store_in_sqlite_is_private_durable_and_can_shrink(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'new/store.db'}") as engine:
        ensure_current(engine)
        file = sqlite_file(engine)
        assert file is not None
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700
        with reading(engine) as connection:
            names = ("journal_mode", "synchronous", "auto_vacuum", "foreign_keys")
            found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
        full, incremental = 2, 2
        assert found == ["wal", full, incremental, 1]


@pytest.mark.parametrize("url", ["", "no url", "sqlite://", "sqlite:///:memory:", "mysql://a@b/c"])
def test_another_kind_of_store_is_refused_in_words(url: str) -> None:
    with pytest.raises(ValueError, match=r"^store\.url: "):
        open_engine(url)


SHOWN = {
    "a file": ("sqlite:////var/lib/a.db", "/var/lib/a.db"),
    "a password": ("postgresql://me:secret@db:5433/x", "postgresql://me:***@db:5433/x"),
    "a password behind it": ("postgresql://db/x?password=secret", "postgresql://db/x"),
}


@pytest.mark.parametrize(("url", "said"), SHOWN.values(), ids=SHOWN)
def test_a_store_is_named_without_its_secrets(url: str, said: str) -> None:
    engine = open_engine(url)
    assert shown(engine) == said
    engine.dispose()
