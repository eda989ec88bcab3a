"""A store in SQLite, where what is tested is not the store."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def store_file(sqlite_made: Path, tmp_path: Path) -> Path:
    """Return the file of a store with its tables and without rows."""
    return Path(shutil.copy(sqlite_made, tmp_path / "store.db"))
