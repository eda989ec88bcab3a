"""What tests of commands share."""

import asyncio
import shutil
from pathlib import Path

import pytest

from proxy.__main__ import main
from tests.cli.doctors import VARIABLES, Doctor
from tests.cli.shell import STORE, Typing
from tests.support.commands import write_config
from tests.support.gateways import KEY


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Return what runs it in a thread, and returns its exit status and its lines."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    async def examined(url: str, *more: str, key: str = KEY) -> tuple[int, list[str]]:
        status = await asyncio.to_thread(main, ["doctor", "--url", url, "--key", key, *more])
        out, err = capsys.readouterr()
        assert err == ""
        return status, out.splitlines()

    return examined


@pytest.fixture
def typing(tmp_path: Path, sqlite_made: Path, capsys: pytest.CaptureFixture[str]) -> Typing:
    """Give a configuration with a store that is there; no variable that it names is set."""
    shutil.copy(sqlite_made, tmp_path / "store.db")
    return Typing(write_config(tmp_path, more=STORE), capsys)
