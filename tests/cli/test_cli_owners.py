"""`anyrouter owners` and `store migrate`: limits of several keys together, and the tables they are in."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.__main__ import main
from tests.support.commands import write_config

STORE = 'store: {url: "sqlite:///store.db"}\nowners: [{name: fixed}]\n'


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Give a configuration with a store."""
    return str(write_config(tmp_path, more=STORE))


def asked(config: str, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Return what a command prints for programs."""
    assert main([*words, "--config", config, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_owner_is_made_changed_by_what_is_given_and_deleted(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = asked(config, capsys, "owners", "set", "team-a", "--rpm", "5", "--month-usd", "100")
    assert made["budgets"]["month_micros"] == 100_000_000
    changed = asked(
        config, capsys, "owners", "set", "team-a", "--max-in-flight", "3", "--rpm", "none"
    )
    assert changed["limits"]["requests_per_minute"] is None
    assert changed["limits"]["max_in_flight"] == 3
    assert changed["budgets"] == made["budgets"]
    key = asked(config, capsys, "keys", "new", "ci", "--owner", "team-a")
    assert key["owner"] == "team-a"
    listed = asked(config, capsys, "owners", "list")["data"]
    assert [(each["name"], each["source"]) for each in listed] == [
        ("fixed", "configuration"),
        ("team-a", "store"),
    ]
    assert main(["owners", "list", "--config", config]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert rows[-1] == ["team-a", "3", "in", "flight", "$100.00/month", "store"]
    assert main(["owners", "delete", "team-a", "--config", config]) == 2
    told = capsys.readouterr().err
    assert "would lose its limits and budgets: ci; first" in told
    assert told.count("\n") == 1
    asked(config, capsys, "keys", "delete", "ci")
    assert asked(config, capsys, "owners", "delete", "team-a")["type"] == "owner_deleted"
    assert main(["owners", "delete", "team-a", "--config", config]) == 2
    assert "team-a is not in the store" in capsys.readouterr().err


REFUSED = {
    "an owner of the configuration": (("set", "fixed"), "fixed is an owner of "),
    "its end": (("delete", "fixed"), "fixed is an owner of "),
    "a name with spaces": (("set", "team a"), "name: "),
}


@pytest.mark.parametrize(("words", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_one_line_that_says_why(
    config: str, capsys: pytest.CaptureFixture[str], words: tuple[str, str], said: str
) -> None:
    assert main(["owners", *words, "--config", config]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert said in told.err


def test_a_store_is_migrated_once_and_is_as_it_should_be_after_that(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = asked(config, capsys, "store", "migrate")
    assert (tmp_path / "store.db").stat().st_mode & 0o777 == 0o600
    assert asked(config, capsys, "store", "migrate") == first
    assert main(["store", "migrate", "--config", config]) == 0
    assert "as it should" in capsys.readouterr().out
