"""The unit of systemd is one that systemd takes, and what it starts does what it says."""

import asyncio
import configparser
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import proxy
from tests.deploy.proxies import DEPLOY, changed
from tests.ledger.rows import until
from tests.support.commands import environment, started
from tests.support.gateways import KEY, UPSTREAM_KEY

UNIT = "anyrouter.service"
PROGRAM = "/opt/anyrouter/bin/anyrouter"
CONFIG = """\
listen: {port: 0}
upstreams:
  anthropic:
    base_url: http://127.0.0.1:1
    auth: {scheme: x-api-key, key: "${credential:anthropic-api-key}"}
models: [{id: "anthropic/*", upstream: anthropic}]
keys: [{name: tester, key: "${CLIENT_KEY}"}]
"""


def service() -> dict[str, str]:
    """Return the settings of the service."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # as the standard library documents
    unit.read(DEPLOY / UNIT, "utf-8")
    return dict(unit["Service"])


def analyzed(folder: Path, *command: str) -> str:
    """Let systemd look at the unit, with a program that exists here; return what it says."""
    path = folder / UNIT
    path.write_text(changed(UNIT, (f"ExecStart={PROGRAM}", f"ExecStart={sys.executable}")), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", *command, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    assert analyzed(tmp_path, "verify") == ""


def test_it_is_exposed_to_little(tmp_path: Path) -> None:
    said = analyzed(tmp_path, "security", "--offline=true", "--threshold=20")
    assert "OK" in said.splitlines()[-1]


def test_its_end_takes_longer_than_a_drain_and_its_reload_is_a_signal_that_it_knows() -> None:
    settings = service()
    workers_s = 5
    assert int(settings["TimeoutStopSec"]) > proxy.Timeouts().drain_s + workers_s
    assert settings["KillMode"] == "mixed"
    assert settings["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert int(settings["LimitNOFILE"]) > 2 * proxy.Limits().max_connections


def line_of_the_store(state: Path) -> str:
    """Return the unit's line of a store, with its folder elsewhere."""
    text = (DEPLOY / UNIT).read_text("utf-8")
    (line,) = re.findall(r"^#   (store: .*\n)", text, re.MULTILINE)
    folder = f"/var/lib/{service()['StateDirectory']}"
    assert line.count(folder) == 2
    return str(line.replace(folder, str(state)))


async def test_what_it_starts_reads_its_credential_keeps_its_store_and_says_when_it_is_ready(
    tmp_path: Path,
) -> None:
    settings = service()
    state = tmp_path / "state"
    state.mkdir()
    etc = tmp_path / "etc"
    etc.mkdir()
    program, *args = shlex.split(settings["ExecStart"])
    assert program == PROGRAM
    config = etc / "anyrouter.yaml"
    config.write_text(CONFIG + line_of_the_store(state), "utf-8")
    args[args.index("/etc/anyrouter/anyrouter.yaml")] = str(config)
    name, _, source = settings["LoadCredential"].partition(":")
    assert Path(source).is_absolute()
    (tmp_path / name).write_text(UPSTREAM_KEY + "\n", "utf-8")
    told = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(told))
        manager.setblocking(False)
        env = environment(
            CLIENT_KEY=KEY, CREDENTIALS_DIRECTORY=str(tmp_path), NOTIFY_SOCKET=str(told)
        )
        async with started(*args, env=env) as command, asyncio.timeout(30):
            assert settings["Type"] == "notify"
            loop = asyncio.get_running_loop()
            assert await loop.sock_recv(manager, 100) == b"READY=1"
            await until((state / "anyrouter.db").exists)
            command.tell()
            assert await command.ended() == 0
    assert [each.name for each in etc.iterdir()] == [config.name]
