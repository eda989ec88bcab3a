"""Someone at a shell, in a folder with a configuration."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.__main__ import main

STORE = 'store: {url: "sqlite:///store.db", state_dir: state}\nowners: [{name: team-a}]\n'
FOLLOWS = "a running gateway follows within seconds"
APART = "Each worker counts its limits and budgets for itself"


class Typing:
    """Someone at a shell, in a folder with a configuration."""

    def __init__(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._config = str(config)
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Run a command; return its status, output and errors."""
        self._capsys.readouterr()
        try:
            status = main([*words, "--config", self._config])
        except SystemExit as ended:
            status = int(ended.code or 0)
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def json(self, *words: str) -> Any:
        """Run a command that is to succeed; return what it prints for programs."""
        status, out, err = self(*words, "--json")
        assert (status, err) == (0, "")
        return json.loads(out)

    def refused(self, *words: str) -> str:
        """Run a command that is wrong; return the one line that says so."""
        status, out, err = self(*words)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1
        return err
