"""A configuration that the first process cannot judge alone: a worker has to take it over before it counts."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from proxy import ConfigError
from proxy.config import Config
from proxy.config_file.faults import NoCredentialError
from proxy.config_file.source import Source
from proxy.server import reload
from proxy.server.reload import ParentReloads, Reloader
from proxy.snapshot import Reloaded
from tests.support.commands import environment

FILE = """\
upstreams: {first: {base_url: "http://127.0.0.1:1", auth: {scheme: bearer, key: sk-1}}}
models: [{id: "anthropic/%s*", upstream: first}]
keys: [{name: tester, key: ar-test-key-0123456789}]
"""


def source_of(folder: Path, model: str) -> Source:
    file = folder / "config.yaml"
    file.write_text(FILE % model)
    return Source(str(file), lambda config: config)


def test_workers_are_started_by_what_one_of_them_has_taken_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "anyrouter")
    source = source_of(tmp_path, "a")
    reloads = ParentReloads(source, source.read().config)
    first = source.name
    assert not reloads.look(is_asked=False)
    (tmp_path / "config.yaml").write_text(FILE % "b")
    assert reloads.look(is_asked=True)
    assert "is served" not in caplog.text
    assert reloads.taken(first) is None
    config = reloads.taken(source.name)
    assert config is not None
    assert config.models[0].id == "anthropic/b*"
    assert f"configuration {source.name} is served: models" in caplog.text
    assert reloads.taken(source.name) is None


# A process of its own forks, for one that runs tests has threads.
TOLD = """
import asyncio, dataclasses, os
from proxy import Listen
from proxy.server.processes import Workers
from tests.support.gateways import config_for

def tell(config, parent, _sockets):
    async def asked():
        told, stop = asyncio.Event(), asyncio.Event()
        parent.follow(stop.set, stop.set, told.set)
        async with asyncio.timeout(5):
            await told.wait()
        parent.took_over(str(config.listen.port))

    asyncio.run(asked())

config = config_for("http://127.0.0.1:1")
workers = Workers(dataclasses.replace(config, listen=Listen(port=1)), 1, silent_s=60)
workers.reload()
workers.spawn(tell, None)
(worker,) = workers.running
os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
print(workers.hear(), [each.status for each in workers.reap()])
"""


def test_a_worker_started_before_a_configuration_counts_is_told_to_try_it() -> None:
    command = [sys.executable, "-c", TOLD]
    said = subprocess.run(command, check=True, timeout=60, env=environment(), capture_output=True)
    assert said.stdout.strip() == b"{'1'} [0]"


def test_a_defect_in_reading_does_not_end_the_first_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = False

    def adjust(config: Config) -> Config:
        if broken:
            raise RecursionError
        return config

    source_of(tmp_path, "a")
    source = Source(str(tmp_path / "config.yaml"), adjust)
    reloads = ParentReloads(source, source.read().config)
    broken = True
    assert not reloads.look(is_asked=True)
    assert "a defect" in caplog.text
    assert "RecursionError" in caplog.text
    broken = False
    assert reloads.look(is_asked=True)


@pytest.mark.parametrize("error", [NoCredentialError("no token"), ConfigError("wrong")])
async def test_what_a_command_kept_from_counting_is_tried_again_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: ConfigError
) -> None:
    monkeypatch.setattr(reload, "AGAIN_FIRST_S", 0.01)
    source = source_of(tmp_path, "a")
    tried = 0
    taken, begun = asyncio.Queue[str](), asyncio.Event()

    async def take_over(_config: Config) -> Reloaded:
        nonlocal tried
        tried += 1
        begun.set()
        if tried < 3:
            raise error
        return Reloaded([], [])

    reloader = Reloader(source, take_over, None, every_s=0.01, taken=taken.put_nowait)
    task = asyncio.create_task(reloader.run())
    reloader.ask()
    if isinstance(error, NoCredentialError):
        async with asyncio.timeout(10):
            assert await taken.get() == source.name
        assert tried == 3
    else:
        async with asyncio.timeout(10):
            await begun.wait()
        await asyncio.sleep(0.1)  # nothing happens: there is no event to wait for
        assert tried == 1
    task.cancel()
    await asyncio.wait((task,))
