"""`anyrouter serve`: start, stop, and what is said when it cannot."""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import proxy
from fuzz.machine import slowness
from proxy.__main__ import main
from proxy.commands.adjustments import refuse_strangers_without_keys, refuse_what_flags_break
from proxy.config import Store, with_listen
from proxy.config_file.faults import ConfigError
from proxy.sandbox import Knobs, serve_sandbox
from tests.cli.listening import LISTENING
from tests.support.client import connected, request
from tests.support.commands import (
    ran,
    readable,
    serving,
    started,
    status_of,
    write_config,
)
from tests.support.gateways import HEADERS, KEY, UPSTREAM_KEY, config_for
from tests.support.raw import RawUpstream

# Within every machine's limit of open files: more would be one line more.
FEW = "limits: {max_connections: 100}\n"


def _cpu_s(pid: int) -> float:
    """Return what a process has taken so far, of user and system."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


async def test_it_answers_soon_after_its_start(
    tmp_path: Path, unused_tcp_port: int, record_property: Callable[[str, object], None]
) -> None:
    """After little CPU time, that is: when a machine gives it that is the machine's to say."""
    url = f"http://127.0.0.1:{unused_tcp_port}/healthz"
    config = write_config(tmp_path)
    async with started("serve", "--config", config, "--port", str(unused_tcp_port)) as command:
        await serving(url)
        record_property("start_s", time.monotonic() - command.started)
        cpu_s = _cpu_s(command.process.pid)
    assert 0 < cpu_s / slowness() < 5  # alone on its machine: under a second


async def test_it_serves_what_config_and_flags_say(tmp_path: Path) -> None:
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
    try:
        url = f"http://127.0.0.1:{sandbox.addresses[0][1]}"
        config = write_config(tmp_path, url)
        async with started("serve", "--config", config, "--host", "127.0.0.1") as command:
            port = int(await command.says(LISTENING))
            async with connected("127.0.0.1", port) as client:
                await client.send(request())
                assert b"You said: say hi" in (await client.answer()).body
            command.tell()
            assert await command.ended() == 0
        assert b'"status":200' in command.out
        assert b'"path":"/api/v1/messages"' in command.out
    finally:
        await sandbox.cleanup()


BAD_CONFIGS = {
    "an unknown key": ("colour: blue\n", "colour: unknown field"),
    "an unset variable": (
        "echo_model: ${NO_SUCH}\n",
        "echo_model: environment variable NO_SUCH is not set",
    ),
    "a wrong type": ("limits: {max_connections: many}\n", "limits.max_connections: "),
    "a doubled key": ("keys: []\n", "keys: written twice"),
    "not YAML": ("a: [\n", "not YAML"),
    "not UTF-8": ("# \udcff\n", "not UTF-8"),
}


@pytest.mark.parametrize("command", ["serve", "check"])
@pytest.mark.parametrize("bad", BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_a_bad_configuration_is_one_line_and_exit_2(
    tmp_path: Path,
    command: str,
    bad: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    more, said = bad
    monkeypatch.setenv("CLIENT_KEY", KEY)
    monkeypatch.setenv("UPSTREAM_KEY", UPSTREAM_KEY)
    config = write_config(tmp_path)
    config.write_bytes(config.read_bytes() + more.encode(errors="surrogateescape"))
    assert main([command, "--config", str(config)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("anyrouter: ")
    assert said in err
    # `check` also says whose variables counted.
    assert err.count("\n") == (2 if command == "check" and "NO_SUCH" in err else 1)


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_port_in_use_is_one_line_and_exit_1(tmp_path: Path, workers: str) -> None:
    config = write_config(tmp_path, more=FEW)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, out, err = await ran(
            "serve", "--config", config, "--port", port, "--workers", workers
        )
    assert (status, out) == (1, "")
    assert readable(err.encode()).decode() == (
        f"cannot listen on 127.0.0.1, port {port}: Address already in use; `ss -ltnp` shows what has it: "
        "end that, or take another with --port or `listen.port`\n"
    )


async def test_a_key_for_one_run_is_not_told_before_that_run_has_begun(tmp_path: Path) -> None:
    config = without_keys(write_config(tmp_path, more=FEW))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        _, _, err = await ran("serve", "--config", config, "--port", port)
    assert "ar-" not in err
    assert "for this run" not in err


async def test_the_start_tells_version_configuration_and_base_url_and_what_is_doubtful(
    tmp_path: Path,
) -> None:
    config = write_config(tmp_path, more='models: [{id: "anthropic/*", upstream: first}]\n')
    text = config.read_text("utf-8").replace(
        "models: [", "  other: {base_url: 'http://h'}\nmodels: [", 1
    )
    config.write_text(text.rpartition("models:")[0], "utf-8")
    async with started("serve", "--config", config, "--host", "0.0.0.0") as command:
        said = await command.says(b"anyrouter %s; " % proxy.__version__.encode())
        port = await command.says(b"listening on http://0.0.0.0:")
    assert said == (
        f"{config}: 2 upstreams, 1 wildcard, 1 key, no store; base URL http://127.0.0.1:{port}/api"
    )
    assert f"{config}:4: upstreams.other: no model is served there" in command.text


async def test_without_a_file_it_says_so(tmp_path: Path) -> None:
    status, _, err = await ran("serve", cwd=tmp_path)
    assert status == 2
    assert err == (
        "anyrouter: no configuration: neither anyrouter.yaml nor config.yaml is here; `anyrouter init` writes one, "
        "`--config FILE` names another\n"
    )


async def test_without_keys_it_prints_one_that_works_and_not_on_stdout(tmp_path: Path) -> None:
    config = without_keys(write_config(tmp_path))
    async with started("serve", "--config", config) as command:
        key = await command.says(b"for this run only, use: ")
        port = await command.says(LISTENING)
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}/v1/models"
            version = {"anthropic-version": "2023-06-01"}
            assert await status_of(session, url, **version, **{"x-api-key": key}) == 200
            assert await status_of(session, url, **version, **{"x-api-key": KEY}) == 401
        command.tell()
        assert await command.ended() == 0
    assert key.startswith("ar-")
    assert key.encode() not in command.out


def without_keys(config: Path) -> Path:
    """Take the keys from a configuration."""
    lines = config.read_text("utf-8").splitlines(keepends=True)
    config.write_text("".join(line for line in lines if "keys" not in line), "utf-8")
    return config


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "gateway.test"])
def test_without_keys_it_serves_no_other_machine(
    tmp_path: Path,
    host: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", UPSTREAM_KEY)
    config = without_keys(write_config(tmp_path))
    assert main(["serve", "--config", str(config), "--host", host]) == 2
    assert capsys.readouterr().err == (
        "anyrouter: keys: at least one is needed to serve other machines: "
        "`anyrouter keys new NAME --write FILE` adds one\n"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_without_keys_it_serves_this_machine(host: str) -> None:
    config = with_listen(config_for("http://127.0.0.1:1", keys=()), host=host)
    refuse_strangers_without_keys(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"quota": proxy.Quota(global_limits=proxy.RateLimits(max_in_flight=1))},
            "--workers: with more than one, limits and budgets need `redis`",
        ),
        ({"admin": proxy.Admin(port=9000)}, "--port: the admin API has this port"),
    ],
    ids=["workers", "port"],
)
def test_what_the_flags_make_of_the_configuration_is_checked_too(
    changes: dict[str, Any], message: str
) -> None:
    config = config_for("http://127.0.0.1:1", **changes)
    refuse_what_flags_break(config)
    with pytest.raises(ConfigError, match=message):
        refuse_what_flags_break(with_listen(config, port=9000, workers=2))


def test_with_a_store_the_keys_may_all_be_there() -> None:
    config = config_for("http://127.0.0.1:1", keys=(), store=Store("sqlite:///x.db"))
    refuse_strangers_without_keys(with_listen(config, host="0.0.0.0"))


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_configured_host_that_cannot_be_looked_up_is_one_line(
    tmp_path: Path, workers: str
) -> None:
    config = write_config(tmp_path, more=FEW)
    config.write_text(config.read_text("utf-8").replace("port: 0", f"port: 0, host: {'a' * 70}"))
    status, _, err = await ran("serve", "--config", config, "--workers", workers)
    assert status in {1, 2}
    assert readable(err.encode()) != err.encode()
    assert err.count("\n") == 1


async def held(upstream: RawUpstream) -> None:
    """Wait until the upstream has a request."""
    async with asyncio.timeout(5):
        await upstream.arrived.wait()


async def test_the_log_can_be_text_and_its_level_be_raised(tmp_path: Path) -> None:
    config = write_config(tmp_path, more="log: {format: text}\n")
    async with started("serve", "--config", config) as command:
        port = await command.says(LISTENING)
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}/v1/models"
            assert await status_of(session, url, **HEADERS) == 200
        assert "tester" in await command.says(b"200 GET models")
    assert not command.text.count("{")
    config = write_config(tmp_path, more=FEW + "log: {level: warning}\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    async with started("serve", "--config", config, "--port", port) as command:
        await serving(f"http://127.0.0.1:{port}/healthz")
        command.tell()
        assert await command.ended() == 0
    assert command.text == ""
