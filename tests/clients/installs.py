"""The clients, installed from the registries into a temporary place, with the machine's own settings."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from tests.clients import programs

# The last release line that sends its key as x-api-key.
OLD_PYTHON_SDK = "anthropic==0.125.0"
NEW_PYTHON_SDK = "anthropic"
TYPESCRIPT_SDK = "@anthropic-ai/sdk"
CLAUDE_CODE = "@anthropic-ai/claude-code"

_INSTALL_S = 170.0
_VERSION_S = 20.0
_NODE_MAJOR = 20
_NODE_NEEDED = "install Node.js 20 or newer with npm, for the TypeScript SDK and Claude Code"


class NotInstalledError(Exception):
    """A client could not be installed; the text says why, and what is missing."""


def python_sdk(requirement: str) -> Callable[[Path], str]:
    """Give the installation of a Python SDK: it makes an environment in a directory and returns the version."""

    def install(place: Path) -> str:
        _run([sys.executable, "-m", "venv", place], place.parent)
        pip: list[str | Path] = [
            place / "bin/python",
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
        ]
        _run([*pip, "--quiet", requirement], place)
        asked = "import importlib.metadata as m; print(m.version('anthropic'))"
        return _run([place / "bin/python", "-c", asked], place).strip()

    return install


def npm_package(package: str) -> Callable[[Path], str]:
    """Give the installation of an npm package: it goes into a directory; the version is returned."""

    def install(place: Path) -> str:
        _need_node(place.parent)
        place.mkdir()
        # Its own package.json, or npm would look for one further up.
        (place / "package.json").write_text('{"private": true}')
        quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
        # The tag by name: without it npm takes an older release where this Node is too old for the newest.
        _run(["npm", "install", "--ignore-scripts", *quiet, f"{package}@latest"], place)
        described = json.loads((place / "node_modules" / package / "package.json").read_text())
        return str(described["version"])

    return install


def claude_binary(place: Path) -> Path:
    """Find Claude Code's program in the package npm chose for this machine.

    Raises:
        NotInstalledError: there is none.
    """
    found = sorted(place.glob("node_modules/@anthropic-ai/claude-code-*/claude"))
    if not found:
        raise NotInstalledError("npm installed no @anthropic-ai/claude-code-* for this machine")
    return found[0]


def _need_node(cwd: Path) -> None:
    if absent := programs.missing("node", "npm"):
        raise NotInstalledError(f"{' and '.join(absent)} missing: {_NODE_NEEDED}")
    version = programs.run(
        ["node", "--version"], timeout_s=_VERSION_S, env=os.environ, cwd=cwd
    ).stdout.strip()
    if (major := re.match(r"v(\d+)", version)) is None or int(major[1]) < _NODE_MAJOR:
        raise NotInstalledError(f"node is {version or 'broken'}: {_NODE_NEEDED}")


def _run(command: list[str | Path], cwd: Path) -> str:
    ended = programs.run(command, timeout_s=_INSTALL_S, env=os.environ, cwd=cwd)
    if ended.status != 0:
        raise NotInstalledError(ended.why())
    return ended.stdout
