"""The clients, installed from the registries into a temporary place, with the machine's own settings."""

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.clients import programs
from tests.clients.table import AI_SDK, GO, JAVA, RUST, Client

SOURCES = Path(__file__).parent
ESBUILD = "esbuild@0.28.2"
AI = "ai@7.0.173"

_INSTALL_S = 600.0
_VERSION_S = 20.0
_NODE_MAJOR = 20

Install = Callable[[Path], None]


class NotInstalledError(Exception):
    """A client could not be installed; the text says why, and what is missing."""


def python(client: Client, extra: str = "") -> Install:
    """Return the installation of a Python package into an environment of its own."""

    def install(place: Path) -> None:
        run([sys.executable, "-m", "venv", place], place.parent)
        pip(place, "install", f"{client.package}{extra}=={client.version}")

    return install


def pip(place: Path, command: str, *arguments: str | Path) -> None:
    """Have an environment's pip do something."""
    quiet = ("--quiet", "--disable-pip-version-check")
    run([place / "bin/python", "-m", "pip", command, *quiet, *arguments], place)


def npm(client: Client, *others: str) -> Install:
    """Return the installation of npm packages into a directory, beside our scripts."""

    def install(place: Path) -> None:
        _need_node(place.parent)
        # Beside its node_modules, so that a script imports the client the way everybody does.
        shutil.copytree(SOURCES / "javascript", place)
        # Its own package.json, or npm would look for one further up.
        (place / "package.json").write_text('{"private": true}')
        quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
        wanted = (f"{client.package}@{client.version}", *others)
        run(["npm", "install", "--ignore-scripts", *quiet, *wanted], place)

    return install


ai_sdk = npm(AI_SDK, AI)


def go(place: Path) -> None:
    """Build the Go checks; the module's version decides all others."""
    need("go", "Go 1.24 or newer (Debian: golang-go)")
    shutil.copytree(SOURCES / "go", place)
    wanted = f"module checks\n\ngo 1.24\n\nrequire {GO.package} v{GO.version}\n"
    (place / "go.mod").write_text(wanted)
    run(["go", "build", "-mod=mod", "-o", "checks", "."], place)


def java(place: Path) -> None:
    """Fetch the Java SDK; the checks run from their source."""
    need("mvn", "Maven (Debian: maven)")
    need("java", "a JDK, 17 or newer (Debian: default-jdk-headless)")
    shutil.copytree(SOURCES / "java", place)
    group, artifact = JAVA.package.split(":")
    (place / "pom.xml").write_text(
        "<project><modelVersion>4.0.0</modelVersion>"
        "<groupId>checks</groupId><artifactId>checks</artifactId><version>1</version>"
        f"<dependencies><dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{JAVA.version}</version></dependency></dependencies></project>"
    )
    fetch = "dependency:copy-dependencies"
    run(["mvn", "--batch-mode", "--quiet", fetch, "-DoutputDirectory=lib"], place)


def rust(place: Path) -> None:
    """Build the Rust checks, without TLS: the gateway is on loopback."""
    need("cargo", "Rust (Debian: cargo)")
    shutil.copytree(SOURCES / "rust", place / "src")
    (place / "Cargo.toml").write_text(
        '[package]\nname = "checks"\nversion = "0.0.0"\nedition = "2021"\n\n'
        '[[bin]]\nname = "checks"\npath = "src/checks.rs"\n\n[profile.dev]\ndebug = false\n\n'
        "[dependencies]\n"
        f'{RUST.package} = {{ version = "={RUST.version}", default-features = false }}\n'
        'tokio = { version = "1", features = ["macros", "rt-multi-thread", "time"] }\n'
        'tokio-stream = "0.1"\nserde_json = "1"\n'
    )
    run(["cargo", "build", "--quiet", "--target-dir", "target"], place)


def claude_binary(place: Path) -> Path:
    """Find Claude Code's program in the package npm chose for this machine.

    Raises:
        NotInstalledError: there is none.
    """
    found = sorted(place.glob("node_modules/@anthropic-ai/claude-code-*/claude"))
    if not found:
        raise NotInstalledError("npm installed no @anthropic-ai/claude-code-* for this machine")
    return found[0]


def need(program: str, what: str) -> None:
    """Require a program.

    Raises:
        NotInstalledError: it is missing.
    """
    if shutil.which(program) is None:
        raise NotInstalledError(f"{program} is missing: install {what}")


def _need_node(cwd: Path) -> None:
    needed = f"Node.js {_NODE_MAJOR} or newer with npm (Debian: nodejs, npm)"
    need("node", needed)
    need("npm", needed)
    asked = programs.run(["node", "--version"], timeout_s=_VERSION_S, env=os.environ, cwd=cwd)
    version = asked.stdout.strip()
    if (major := re.match(r"v(\d+)", version)) is None or int(major[1]) < _NODE_MAJOR:
        raise NotInstalledError(f"node is {version or 'broken'}: install {needed}")


def run(command: list[str | Path], cwd: Path) -> None:
    """Run a step of an installation.

    Raises:
        NotInstalledError: it fails.
    """
    ended = programs.run(command, timeout_s=_INSTALL_S, env=os.environ, cwd=cwd)
    if ended.status != 0:
        raise NotInstalledError(ended.why())
