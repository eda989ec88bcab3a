"""A gateway that watches its configuration and secrets: what changes is taken, and told."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from proxy import (
    Listen,
)
from proxy.access.keys import digest
from proxy.config_file.source import Source
from proxy.server.reload import Reloader
from tests.server.reloading import OTHER_KEY, status
from tests.support.gateways import KEY, Running, running
from tests.support.raw import (
    UpstreamSide,
    answer,
    raw_upstream,
)

FILE = """\
upstreams: {{first: {{base_url: "{url}", auth: {{scheme: x-api-key, key: "${{file:secret}}"}}}}}}
models: [{{id: "anthropic/*", upstream: first}}]
keys: [{{name: tester, sha256: "{sha256}"}}]
"""


@dataclasses.dataclass
class Watched:
    """A gateway that looks at its files every few milliseconds."""

    folder: Path
    gateway: Running
    heads: list[bytes]

    async def until(self, holds: Callable[[bytes], bool]) -> None:
        """Ask until the head that the upstream gets is as it is to be."""
        async with asyncio.timeout(10):
            while not (self.heads and holds(self.heads[-1])):
                assert await status(self.gateway) == 200


@contextlib.asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[Watched]:
    heads: list[bytes] = []

    async def script(upstream: UpstreamSide) -> None:
        heads.append(upstream.head)
        await upstream.send(answer())

    (folder / "secret").write_text("sk-first")
    async with raw_upstream(script) as upstream:
        file = folder / "config.yaml"
        file.write_text(FILE.format(url=upstream.url, sha256=digest(KEY)))
        source = Source(
            str(file), lambda config: dataclasses.replace(config, listen=Listen(port=0))
        )
        async with running(source.read().config) as gateway:
            reloader = Reloader(source, gateway.gateway.take_over, lambda: True, every_s=0.005)
            task = asyncio.create_task(reloader.run())
            try:
                yield Watched(folder, gateway, heads)
            finally:
                task.cancel()
                await asyncio.wait((task,))


async def test_a_rotated_secret_is_used_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "anyrouter")
    async with watched(tmp_path) as each:
        await each.until(lambda head: b"sk-first\r\n" in head)
        (tmp_path / "secret").write_text("sk-second")
        await each.until(lambda head: b"sk-second\r\n" in head)
    assert "is served: upstreams.first.auth changed" in caplog.text
    assert "sk-" not in caplog.text


async def test_limits_that_wait_for_a_restart_are_told_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A gateway that was started without any; what else the file says counts, and what always waits has no reason."""
    async with watched(tmp_path) as each:
        served = (tmp_path / "config.yaml").read_text()
        limited = (
            f"{{name: new, sha256: {digest(OTHER_KEY)}, limits: {{requests_per_minute: 1}}}}, "
        )
        (tmp_path / "config.yaml").write_text(served.replace("keys: [", f"keys: [{limited}"))
        (tmp_path / "secret").write_text("sk-second")
        await each.until(lambda head: b"sk-second\r\n" in head)
        assert await status(each.gateway, OTHER_KEY) == 401
        (tmp_path / "config.yaml").write_text(served + "cors: {origins: [https://a.example]}\n")
        async with asyncio.timeout(10):
            while "cors.origins changed" not in caplog.text:
                assert await status(each.gateway) == 200
    first, second = (line for line in caplog.messages if line.startswith("after a restart only: "))
    assert first == (
        "after a restart only: keys +1; this gateway was started without limits, prices and a store, so nothing is "
        "limited or priced until it is started again, and a key that is new and limited opens nothing"
    )
    assert second == "after a restart only: cors.origins changed"


async def test_a_file_that_is_wrong_is_told_once_and_the_one_before_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched(tmp_path) as each:
        good = (tmp_path / "config.yaml").read_text()
        (tmp_path / "config.yaml").write_text(good.replace("upstream: first", "upstream: frist"))
        async with asyncio.timeout(10):
            while "was not taken over" not in caplog.text:
                assert await status(each.gateway) == 200
        assert (
            "config.yaml:2: models.0.upstream: no upstream has this name; did you mean"
            in caplog.text
        )
        for _ in range(20):
            assert await status(each.gateway) == 200
            await asyncio.sleep(0.002)  # further looks at the files
        assert caplog.text.count("was not taken over") == 1
        (tmp_path / "secret").write_text("sk-second")
        (tmp_path / "config.yaml").write_text(good)
        await each.until(lambda head: b"sk-second\r\n" in head)


async def test_asked_often_it_reads_the_last_state(tmp_path: Path) -> None:
    """As many signals as one likes: what is read after the last of them is what counts."""
    (tmp_path / "secret").write_text("sk-0")
    file = tmp_path / "config.yaml"
    file.write_text(FILE.format(url="http://127.0.0.1:1", sha256=digest(KEY)))
    source = Source(str(file), lambda config: dataclasses.replace(config, listen=Listen(port=0)))
    async with running(source.read().config) as gateway:
        reloader = Reloader(source, gateway.gateway.take_over, lambda: False, every_s=60)
        task = asyncio.create_task(reloader.run())
        for i in range(1, 50):
            (tmp_path / "secret").write_text(f"sk-{i}")
            reloader.ask()
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            while gateway.gateway.snapshot.config.upstreams[0].auth.key != "sk-49":
                await status(gateway)  # a thread reads: there is no event to wait for
        task.cancel()
        await asyncio.wait((task,))
