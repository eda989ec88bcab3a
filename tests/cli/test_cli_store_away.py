"""A store whose file is away: no start and no command puts an empty one in its place unasked."""

import asyncio
import re
import shlex
from pathlib import Path

import pytest

from proxy.__main__ import main
from tests.support.commands import ran, serving, started, write_config

STORE = 'store: {url: "sqlite:///var/store.db", state_dir: state}\n'


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Run a command; return its status, and what it says on standard error."""
    capsys.readouterr()
    status = main(list(words))
    return status, capsys.readouterr().err


async def test_with_a_store_that_was_moved_away_a_start_serves_and_commands_say_what_makes_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, more=STORE)
    file = tmp_path / "var" / "store.db"
    async with started("serve", "--config", config) as command:
        await command.says(b"there was no store, and an empty one is made: " + bytes(file))
        await command.says(b"listening on ")
        assert said(capsys, "keys", "new", "a", "--config", str(config))[0] == 0
        command.tell()
        await command.ended()
    file.parent.rename(tmp_path / "away")
    async with started("serve", "--config", config) as command:
        port = (await command.says(b"listening on http://127.0.0.1:")).strip()
        await command.says(b"the store is not there")
        await serving(f"http://127.0.0.1:{port}/readyz")
        assert not file.parent.exists()
        status, err = said(capsys, "keys", "new", "b", "--config", str(config))
        assert (status, err.count("\n")) == (1, 1)
        assert not file.parent.exists()
        typed = re.findall("`anyrouter (.*?)`", err)[0]
        assert said(capsys, *shlex.split(typed)) == (
            0,
            f"there was no store, and an empty one is made: {file}\n",
        )
        await command.says(b"takes rows again")
        assert said(capsys, "keys", "new", "b", "--config", str(config))[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "update", "a", "--rpm", "1"),
        ("keys", "rotate", "a"),
        ("keys", "delete", "a"),
        ("owners", "delete", "a"),
        ("keys", "list"),
    ],
    ids=" ".join,
)
def test_what_needs_something_in_the_store_makes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    config = write_config(tmp_path, more=STORE)
    status, err = said(capsys, *words, "--config", str(config))
    assert (status, "the store is not there" in err) == (1, True)
    assert not (tmp_path / "var").exists()


async def test_a_start_that_finds_its_port_taken_makes_no_store(tmp_path: Path) -> None:
    """The gateway that has the port may be the one whose folder was moved away."""
    config = write_config(tmp_path, more=STORE)
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        status, _, err = await ran("serve", "--config", config, "--port", str(port))
    assert (status, "ddress already in use" in err) == (1, True)
    assert not (tmp_path / "var").exists()
