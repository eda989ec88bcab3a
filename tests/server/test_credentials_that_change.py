"""What the gateway presents to an upstream changes while it serves: printed anew, read anew, after a 401 at once."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy import Auth, Config, ConfigError, Listen, Upstream
from proxy.access.keys import digest
from proxy.config_file.source import Source
from proxy.protocol.headers import RequestHeaders
from proxy.server.reload import Reloader
from proxy.upstreams.credentials import Credentials
from proxy.upstreams.token_command import TokenError
from tests.support.gateways import KEY, Running, config_for, running
from tests.support.raw import RawUpstream, UpstreamSide, answer, raw_upstream
from tests.support.scripts import gateway_before, says

REFUSAL = answer(b'{"type":"error"}', b"401 Unauthorized")


class Guarded:
    """An upstream that takes one token alone."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.refused = 0

    async def __call__(self, upstream: UpstreamSide) -> None:
        if b"Bearer %b\r\n" % self.token.encode() in upstream.head:
            await upstream.send(answer())
        else:
            self.refused += 1
            await upstream.send(REFUSAL)


def with_command(config: Config, folder: Path) -> Config:
    """Return a configuration whose token is printed, out of a file, and each run noted in another."""
    command = ("sh", "-c", f"echo run >> {folder}/runs; cat {folder}/token")
    (upstream,) = config.upstreams
    auth = Auth("bearer", command=command)
    return dataclasses.replace(config, upstreams=(dataclasses.replace(upstream, auth=auth),))


@contextlib.asynccontextmanager
async def by_command(folder: Path, guarded: Guarded) -> AsyncIterator[tuple[RawUpstream, Running]]:
    (folder / "token").write_text("sk-1\n")
    async with raw_upstream(guarded) as upstream:
        config = with_command(config_for(upstream.url), folder)
        async with running(config) as gateway:
            yield upstream, gateway


def runs(folder: Path) -> int:
    return (folder / "runs").read_text().count("run")


async def status(gateway: Running) -> int:
    async with gateway.post() as response:
        await response.read()
        return response.status


async def test_a_printed_token_is_sent(tmp_path: Path) -> None:
    async with by_command(tmp_path, Guarded("sk-1")) as (_, gateway):
        assert await status(gateway) == 200
        assert runs(tmp_path) == 1


async def test_a_hundred_refusals_at_once_run_the_command_once_and_all_are_answered(
    tmp_path: Path,
) -> None:
    guarded = Guarded("sk-1")
    async with by_command(tmp_path, guarded) as (upstream, gateway):
        assert await status(gateway) == 200
        guarded.token = "sk-2"
        (tmp_path / "token").write_text("sk-2\n")
        assert set(await asyncio.gather(*(status(gateway) for _ in range(100)))) == {200}
        assert runs(tmp_path) == 2
        assert len(upstream.requests) == 1 + 100 + guarded.refused
        assert {line["status"] for line in gateway.log} == {200}


async def test_the_connection_of_a_refusal_may_be_closed_behind_it(tmp_path: Path) -> None:
    """The newer token then goes out on a connection of its own, as any request does."""
    guarded = Guarded("sk-1")

    async def script(upstream: UpstreamSide) -> None:
        if upstream.writer in refused:
            upstream.writer.close()
            return
        before = guarded.refused
        await guarded(upstream)
        if guarded.refused > before:
            refused.append(upstream.writer)

    refused: list[asyncio.StreamWriter] = []
    (tmp_path / "token").write_text("sk-1\n")
    async with (
        raw_upstream(script) as upstream,
        running(with_command(config_for(upstream.url), tmp_path)) as gateway,
    ):
        guarded.token = "sk-2"
        (tmp_path / "token").write_text("sk-2\n")
        assert await status(gateway) == 200
        assert len(refused) == 1
        assert gateway.log[-1]["status"] == 200


async def test_a_refusal_that_no_new_token_follows_is_passed_after_one_request(
    tmp_path: Path,
) -> None:
    async with by_command(tmp_path, Guarded("sk-other")) as (upstream, gateway):
        assert await status(gateway) == 502
        assert gateway.log[-1]["cause"] == "upstream_auth"
        assert await status(gateway) == 502
        assert len(upstream.requests) == 2
        # At the start, and once for both.
        assert runs(tmp_path) == 2


async def test_a_request_that_is_refused_with_a_new_token_too_is_not_sent_a_third_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tokens may be printed faster than an upstream comes to know them."""
    async with gateway_before(says(REFUSAL)) as (upstream, gateway):
        tokens = iter(("sk-2", "sk-3", "sk-4"))

        async def renew(*_: object) -> RequestHeaders | None:
            token = next(tokens, None)
            return None if token is None else RequestHeaders([("x-api-key", token)])

        monkeypatch.setattr(gateway.gateway.connections, "_renew", renew)
        assert await status(gateway) == 502
        assert gateway.log[-1]["cause"] == "upstream_auth"
        assert b"x-api-key: sk-2\r\n" in upstream.requests[1].head
        assert len(upstream.requests) == 2


async def test_a_403_asks_for_no_other_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sk-1\n")
    async with (
        raw_upstream(says(answer(b"{}", b"403 Forbidden"))) as upstream,
        running(with_command(config_for(upstream.url), tmp_path)) as gateway,
    ):
        assert await status(gateway) == 403
        assert runs(tmp_path) == 1


async def test_a_command_that_fails_keeps_a_gateway_from_its_start_and_from_a_reload(
    tmp_path: Path,
) -> None:
    said = "upstreams.first.auth.command: it ended with status 1"
    bad = with_command(config_for("http://127.0.0.1:1"), tmp_path)
    with pytest.raises(RuntimeError, match=said):
        async with running(bad):
            pass
    async with gateway_before(says(answer())) as (_, gateway):
        config = gateway.gateway.snapshot.config
        with pytest.raises(ConfigError, match=said):
            await gateway.gateway.reload(with_command(config, tmp_path))
        assert await status(gateway) == 200
        (tmp_path / "token").write_text("sk-1\n")
        await gateway.gateway.reload(with_command(config, tmp_path))
        assert await status(gateway) == 200


async def test_a_token_is_printed_anew_in_time_and_an_old_one_serves_while_that_fails() -> None:
    auth = Auth("bearer", command=("print",), refresh_s=0.01)
    printed = asyncio.Queue[str]()
    seen: list[str] = []
    changed = asyncio.Event()

    async def run(_command: tuple[str, ...]) -> str:
        token = await printed.get()
        if token == "fail":
            raise TokenError("it ended with status 1")
        return token

    def renewed(_name: str, token: str) -> None:
        seen.append(token)
        changed.set()

    credentials = Credentials(renewed, run)
    upstream = Upstream("first", "http://127.0.0.1:1", auth)
    printed.put_nowait("sk-1")
    credentials.follow([upstream], await credentials.prepare([upstream]))
    begun_s = credentials.printed_s["first"]
    for each in ("fail", "sk-1", "fail", "sk-2"):
        printed.put_nowait(each)
    async with asyncio.timeout(10):
        await changed.wait()
    assert seen == ["sk-2"]
    assert credentials.tokens == {"first": "sk-2"}
    assert credentials.printed_s["first"] > begun_s
    await credentials.close()


async def test_a_refused_reload_leaves_every_token_before_and_its_renewal() -> None:
    renewed = asyncio.Event()
    times = 0

    async def run(command: tuple[str, ...]) -> str:
        nonlocal times
        if command == ("fail",):
            raise TokenError("it ended with status 1")
        times += 1
        return f"sk-{command[0]}-{times}"

    def upstreams(*commands: str) -> list[Upstream]:
        return [
            Upstream(name, "http://127.0.0.1:1", Auth("bearer", command=(each,), refresh_s=0.05))
            for name, each in zip("ab", commands, strict=True)
        ]

    credentials = Credentials(lambda name, _: renewed.set() if name == "a" else None, run)
    before = upstreams("old", "same")
    credentials.follow(before, await credentials.prepare(before))
    with pytest.raises(TokenError):
        await credentials.prepare(upstreams("new", "fail"))
    renewed.clear()
    assert credentials.tokens["a"].startswith("sk-old-")
    async with asyncio.timeout(10):
        await renewed.wait()
    assert credentials.tokens["a"].startswith("sk-old-")
    await credentials.close()


FILE = """\
upstreams: {{first: {{base_url: "{url}", auth: {{scheme: bearer, key: "${{file:secret}}"}}}}}}
models: [{{id: "anthropic/*", upstream: first}}]
keys: [{{name: tester, sha256: "{sha256}"}}]
"""


async def test_a_refusal_has_a_rotated_key_read_at_once_and_nothing_else(tmp_path: Path) -> None:
    guarded = Guarded("sk-1")
    (tmp_path / "secret").write_text("sk-1")
    async with raw_upstream(guarded) as upstream:
        file = tmp_path / "config.yaml"
        file.write_text(FILE.format(url=upstream.url, sha256=digest(KEY)))
        source = Source(
            str(file), lambda config: dataclasses.replace(config, listen=Listen(port=0))
        )
        async with running(source.read().config) as gateway:
            reloader = Reloader(source, gateway.gateway.take_over, lambda: False)
            gateway.gateway.credentials.reread = lambda name: reloader.read_key(
                name, lambda: gateway.gateway.snapshot.config
            )
            assert await status(gateway) == 200
            guarded.token = "sk-2"
            (tmp_path / "secret").write_text("sk-2")
            # This waits for a reload: without its client's key nobody would be served.
            file.write_text(FILE.format(url=upstream.url, sha256=digest("ar-another-0123456789")))
            assert set(await asyncio.gather(*(status(gateway) for _ in range(20)))) == {200}
            assert source.differs()
