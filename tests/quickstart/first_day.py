"""Type the README's shell blocks into fresh terminals, in order, and compare what they say.

Replaced in them: the keys that only a reader has, the address of the API, and the port 8080 where it is taken.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from tests.docs.snippets import ROOT, snippets
from tests.quickstart.terminal import Terminal

_INSTALLED_WITHIN_S = 600.0
_SHOWN_WITHIN_S = 30.0
_API_KEY = "sk-ant-made-up-0123456789"
# By their first line: typed by CI itself; by tests/stack.
_NOT_TYPED = ("make test", "docker compose")
# Says what it was started with, and asks the gateway as Claude Code does.
_CLAUDE = """#!/bin/sh
echo "arguments: $*"
env | grep -E '^(CLAUDE_CODE|ENABLE)_' | sort | sed 's/^/has /'
curl -s "$ANTHROPIC_BASE_URL/v1/models" -w '\\n' \\
  -H "authorization: Bearer $ANTHROPIC_AUTH_TOKEN" -H 'anthropic-version: 2023-06-01'
"""
_PASSED_ON = ("PIP_", "HTTP_", "HTTPS_", "ALL_", "NO_", "SSL_", "LANG", "LC_")


def main() -> None:
    """Run the first day; say each step."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as opened:
        day = Day(Path(scratch), opened)
        day.run()
    _say(f"{day.passed} passed, 0 failed")


class Day:
    """The first day of a new user: a fresh copy, an empty home, a `claude` on the path."""

    def __init__(self, scratch: Path, opened: contextlib.ExitStack) -> None:
        self._opened = opened
        self._clone = scratch / "clone"
        self._home = scratch / "home"
        self._home.mkdir()
        _copy_tracked(self._clone)
        programs = scratch / "programs"
        programs.mkdir()
        (programs / "claude").write_text(_CLAUDE, "utf-8")
        (programs / "claude").chmod(0o755)
        self._path = f"{programs}:{_path_without_environments()}"
        self._port = _port()
        self.passed = 0

    def run(self) -> None:
        """Type every block."""
        blocks = [each for each in snippets("README.md", "sh") if not each.startswith(_NOT_TYPED)]
        demo, for_real, look, curl, claude, by_hand = blocks
        self._demo(demo)
        server, key = self._for_real(for_real)
        client = self._terminal()
        for line in self._lines(look, key):
            status, said = client.type(line)
            assert status == 0, said
        assert "all good" in said, said
        self._ok("the second terminal: doctor finds all good")
        status, said = client.type(curl.strip().replace("8080", self._port))
        assert status == 0, said
        assert '"You said: say hi' in said, said
        self._ok("the curl")
        status, said = client.type(claude.strip())
        assert f"Claude Code through http://127.0.0.1:{self._port}/api as laptop" in said, said
        assert '"anthropic/claude-sonnet-4.6"' in said, said
        ours = _had(said)
        self._ok("anyrouter claude")
        for line in self._lines(by_hand, key):
            status, said = client.type(line)
            assert status == 0, said
        assert '"anthropic/claude-sonnet-4.6"' in said, said
        assert _had(said) == ours, said
        self._ok("claude by hand has what anyrouter claude gives it")
        status, said = client.type("anyrouter keys new phone --write anyrouter.yaml")
        assert status == 0, said
        assert "a running gateway takes it within seconds" in said, said
        self._ok("a key more")
        assert "stopped" in server.interrupt()
        self._ok("Ctrl-C ends the gateway")

    def _demo(self, block: str) -> None:
        demo = self._terminal()
        line = block.strip()
        line = line if self._port == "8080" else f"{line} PORT={self._port}"
        credential = demo.start(line, "Sign in there with:", _INSTALLED_WITHIN_S).strip()
        printed = demo.said.decode().replace("\r\n", "\n")
        curl = printed[printed.index("  curl ") : printed.index("Claude Code (")].strip()
        status, said = self._terminal().type(curl)
        assert status == 0, said
        assert '"You said: say hi' in said, said
        self._ok("make run, and the printed curl in another terminal")
        page = re.findall(r"what it costs: +(\S+)", printed)[0]
        _wait_for_a_cost(page, credential)
        self._ok("the printed page says what that has cost")
        demo.interrupt()

    def _for_real(self, block: str) -> tuple[Terminal, str]:
        sandbox = self._terminal()
        sandbox_url = sandbox.start(".venv/bin/anyrouter sandbox --port 0", "sandbox on ")
        server = self._terminal()
        *lines, last = self._lines(block, "")
        key = ""
        for line in lines:
            status, said = server.type(line, _INSTALLED_WITHIN_S)
            assert status == 0, said
            if line.startswith("anyrouter init"):
                key = re.findall(r"^ar-\S+$", said, re.MULTILINE)[0]
                self._redirect(sandbox_url)
            if line.startswith("anyrouter check"):
                assert "anyrouter.yaml: good: 1 upstream, " in said, said
        said = server.start(last, "base URL ")
        assert f"http://127.0.0.1:{self._port}/api" in said, said
        ignored = ["git", "-C", str(ROOT), "check-ignore", "--quiet", "anyrouter.yaml"]
        subprocess.run(ignored, check=True)
        self._ok("for real: installed, configured, checked, served")
        return server, key

    def _redirect(self, sandbox_url: str) -> None:
        """Put the sandbox in the API's place, which a made-up key does not open."""
        file = self._clone / "anyrouter.yaml"
        text = file.read_text("utf-8")
        assert "https://api.anthropic.com" in text
        text = text.replace("https://api.anthropic.com", sandbox_url)
        file.write_text(text.replace("port: 8080", f"port: {self._port}"), "utf-8")

    def _lines(self, block: str, key: str) -> list[str]:
        """Return a block's lines with what the reader fills in."""
        text = block.replace("sk-ant-…", _API_KEY).replace("ar-…", key)
        assert "…" not in text, text
        return text.replace("8080", self._port).strip().splitlines()

    def _terminal(self) -> Terminal:
        environ = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
        environ |= {"HOME": str(self._home), "PATH": self._path, "TERM": "dumb", "PS1": "$ "}
        if self._port != "8080":
            environ["ANYROUTER_URL"] = f"http://127.0.0.1:{self._port}/api"
        terminal = Terminal(self._clone, environ)
        self._opened.callback(terminal.close)
        return terminal

    def _ok(self, what: str) -> None:
        self.passed += 1
        _say(f"ok   {what}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _wait_for_a_cost(page: str, credential: str) -> None:
    """Sign in to the page as a browser does, and look until it shows an amount of money."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    form = urllib.parse.urlencode({"key": credential}).encode()
    ends = time.monotonic() + _SHOWN_WITHIN_S
    shown = ""
    while re.search(r"\$0\.\d{4}", shown) is None:
        if time.monotonic() > ends:
            raise TimeoutError(f"no cost on {page}: {shown}")
        time.sleep(0.2)  # another process
        # Until its store is made, it says so with a 503.
        with contextlib.suppress(urllib.error.HTTPError):
            browser.open(f"{page}sign-in", form, timeout=10).close()
            shown = browser.open(page, timeout=10).read().decode()


def _copy_tracked(folder: Path) -> None:
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)


def _path_without_environments() -> str:
    """Return the path without what a virtual environment has put there."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(
        each for each in folders if not (Path(each).parent / "pyvenv.cfg").exists()
    )


def _port() -> str:
    """Return the README's port, or a free one where it is taken."""
    for port in (8080, 0):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)) as one:
            return str(one.getsockname()[1])
    raise RuntimeError("no port is free")


def _had(said: str) -> set[str]:
    return set(re.findall(r"^has (\S+)", said, re.MULTILINE))


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, TimeoutError) as error:
        sys.exit(f"FAIL {error}\n0 passed, 1 failed")
