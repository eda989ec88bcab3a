"""The gateway and the sandbox behind it, as processes on free loopback ports, and what they logged."""

import contextlib
import http
import json
import re
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients import programs

ROOT = Path(__file__).parents[2]
ANYROUTER = Path(sys.executable).with_name("anyrouter")

MAX_BODY_BYTES = 2_000_000
FIRST_BYTE_S = 2
IDLE_S = 3

_START_S = 20.0
_STOP_S = 15.0
_LOG_S = 3.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Stack:
    """A running gateway.

    Attributes:
        url: its base URL, as clients are given it.
        key: opens everything. `narrow_key`: claude-haiku-4.5 only. `wrong_key`: nothing. `spent_key`: everything,
            until it has spent a thousandth of a cent.
        secrets: what no log may hold.
        log: the gateway's access lines; `complaints`: its stderr.
        config: its configuration, in the folder that it runs in.
    """

    url: str
    key: str
    narrow_key: str
    wrong_key: str
    spent_key: str
    secrets: tuple[str, ...]
    log: Path
    complaints: Path
    config: Path

    def environment(self) -> dict[str, str]:
        """Tell a script where the gateway is."""
        return {
            "GATEWAY_URL": self.url,
            "GATEWAY_KEY": self.key,
            "GATEWAY_NARROW_KEY": self.narrow_key,
            "GATEWAY_WRONG_KEY": self.wrong_key,
            "GATEWAY_MAX_BODY_BYTES": str(MAX_BODY_BYTES),
        }

    def mark(self) -> int:
        """Give the place in the access log where the next line will be."""
        return self.log.stat().st_size

    def logged(
        self, since: int, wanted: Callable[[list[dict[str, Any]]], bool]
    ) -> list[dict[str, Any]]:
        """Wait a little until the access lines after a mark are what is wanted; give them in any case."""
        deadline = time.monotonic() + _LOG_S
        while True:
            with self.log.open("rb") as log:
                log.seek(since)
                whole = log.read().rpartition(b"\n")[0]
            lines = [json.loads(line) for line in whole.splitlines()]
            if wanted(lines) or time.monotonic() > deadline:
                return lines
            time.sleep(_POLL_S)  # another process writes them


@contextlib.contextmanager
def running(
    place: Path, env: dict[str, str], **settings: Any
) -> Iterator[tuple[Stack, Callable[[], str]]]:
    """Run both.

    Args:
        place: an existing directory for configuration and logs.
        env: of the processes.
        settings: of the gateway, beside the usual ones.

    Yields:
        The stack, and a function that ends it and says what was wrong with the end.

    Raises:
        RuntimeError: one does not start.
    """
    upstream_key, key, narrow_key, wrong_key, spent_key = (
        prefix + secrets.token_hex(16)
        for prefix in ("upstream-", "ar-", "ar-narrow-", "ar-wrong-", "ar-spent-")
    )
    with contextlib.ExitStack() as open_ones:

        def start(name: str, *arguments: str | Path) -> tuple[str, subprocess.Popen[bytes]]:
            out, err = place / f"{name}.out", place / f"{name}.err"
            command: Sequence[str | Path] = (ANYROUTER, *arguments)
            process = open_ones.enter_context(
                programs.serving(command, env=env, cwd=place, out=out, err=err)
            )
            return _announced(name, process, out, err), process

        sandbox_url, sandbox = start("sandbox", "sandbox", "--port", "0", "--key", upstream_key)
        config = place / "config.yaml"
        # JSON is YAML.
        usual = _config(sandbox_url, upstream_key, key, narrow_key, spent_key)
        config.write_text(json.dumps({**usual, **settings}))
        url, gateway = start("gateway", "serve", "--config", config, "--port", "0")
        _wait_for_keys(f"{url}/api/v1/models")

        def end() -> str:
            found = [
                f"{name}: exit status {status}"
                for name, process in (("gateway", gateway), ("sandbox", sandbox))
                if (status := programs.stop(process, _STOP_S)) != 0
            ]
            return ", ".join(found)

        yield (
            Stack(
                url=f"{url}/api",
                key=key,
                narrow_key=narrow_key,
                wrong_key=wrong_key,
                spent_key=spent_key,
                secrets=(upstream_key, key, narrow_key, wrong_key, spent_key),
                log=place / "gateway.out",
                complaints=place / "gateway.err",
                config=config,
            ),
            end,
        )


def _wait_for_keys(url: str) -> None:
    """Wait until a key that is nowhere is refused: before its store has answered, the gateway does not say so."""
    asking = urllib.request.Request(url, headers={"x-api-key": f"ar-{secrets.token_hex(16)}"})
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(asking).close()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.HTTPStatus.UNAUTHORIZED:
                return
        time.sleep(_POLL_S)  # another process
    raise RuntimeError("the gateway's store does not answer")


def _config(
    sandbox_url: str, upstream_key: str, key: str, narrow_key: str, spent_key: str
) -> dict[str, Any]:
    auth = {"scheme": "x-api-key", "key": upstream_key}
    models = ("anthropic/claude-sonnet-4.6", "anthropic/claude-opus-5.5")
    narrow = "anthropic/claude-haiku-4.5"
    return {
        "upstreams": {"sandbox": {"base_url": sandbox_url, "auth": auth}},
        "models": [
            {"id": model, "upstream": "sandbox"} for model in (*models, narrow, "anthropic/*")
        ],
        "keys": [
            {"name": "clients", "key": key},
            {"name": "narrow", "key": narrow_key, "models": [narrow]},
            {"name": "spent", "key": spent_key, "budgets": {"day_usd": "0.00001"}},
        ],
        "store": {"url": "sqlite:///store.db", "state_dir": "state"},
        "limits": {"max_body_bytes": MAX_BODY_BYTES},
        "timeouts": {"first_byte_s": FIRST_BYTE_S, "idle_s": IDLE_S, "ping_after_s": 1},
    }


def _announced(name: str, process: subprocess.Popen[bytes], out: Path, err: Path) -> str:
    """Wait until a program says where it listens."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        said = out.read_text(errors="replace") + err.read_text(errors="replace")
        if found := re.search(r"\bon (http://127\.0\.0\.1:\d+)[\s\"]", said):
            return found[1]
        time.sleep(_POLL_S)  # another process
    raise RuntimeError(f"the {name} does not start: {err.read_text(errors='replace')[-600:]}")
