"""A gateway before a pool of upstreams, each of which follows a script."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from proxy import Auth, Config, Member, Model, Pool, Upstream
from tests.support.gateways import MODEL, STREAM_BODY, Running, config_for, running
from tests.support.raw import (
    EVENTS,
    MESSAGE,
    SSE_HEAD,
    STREAM,
    RawUpstream,
    Script,
    UpstreamSide,
    answer,
    chunk,
    raw_upstream,
)

START, CONTENT, PING, *_ = EVENTS
BOTH_AT_HOME = (Member("a"), Member("b", priority=2))
"""So that `a` is every conversation's home, and `b` its detour."""


@dataclasses.dataclass(frozen=True)
class Pooled:
    """A gateway, and its upstreams by name."""

    gateway: Running
    upstreams: dict[str, RawUpstream]

    def asked(self) -> dict[str, int]:
        """Count the requests that have reached each upstream."""
        return {name: len(each.requests) for name, each in self.upstreams.items()}

    async def ask(self, body: bytes, **options: Any) -> tuple[int, bytes]:
        """Send a request, and return what comes."""
        async with self.gateway.post(body, **options) as response:
            return response.status, await response.read()

    @property
    def last(self) -> dict[str, Any]:
        """Return the last access line."""
        return self.gateway.log[-1]


@contextlib.asynccontextmanager
async def pooled(
    *scripts: Script,
    members: tuple[Member, ...] = BOTH_AT_HOME,
    upstreams: dict[str, dict[str, Any]] | None = None,
    pool: dict[str, Any] | None = None,
    **changes: Any,
) -> AsyncIterator[Pooled]:
    """Serve a gateway before a pool of upstreams `a`, `b`, …, one for each script.

    Args:
        scripts: what each does.
        members: of the pool.
        upstreams: further fields of each.
        pool: further fields of the pool.
        changes: of the rest of the configuration.
    """
    async with contextlib.AsyncExitStack() as stack:
        raw = {
            name: await stack.enter_async_context(raw_upstream(script))
            for name, script in zip("abcd", scripts, strict=False)
        }
        config = config_of({name: each.url for name, each in raw.items()}, members, upstreams, pool)
        gateway = await stack.enter_async_context(running(dataclasses.replace(config, **changes)))
        yield Pooled(gateway, raw)


def config_of(
    urls: dict[str, str],
    members: tuple[Member, ...] = BOTH_AT_HOME,
    upstreams: dict[str, dict[str, Any]] | None = None,
    pool: dict[str, Any] | None = None,
) -> Config:
    """Configure a gateway before a pool."""
    return dataclasses.replace(
        config_for(""),
        upstreams=tuple(
            Upstream(
                name,
                url,
                **{
                    "auth": Auth("x-api-key", f"sk-{name}-0123456789"),
                    **(upstreams or {}).get(name, {}),
                },
            )
            for name, url in urls.items()
        ),
        models=(Model(id=MODEL, upstream="pool"), Model(id="anthropic/*", upstream="pool")),
        pools=(Pool("pool", members, **(pool or {})),),
    )


def error(status: bytes, *head: bytes, kind: bytes = b"api_error", text: bytes = b"x") -> Script:
    """Answer with an error of the API."""
    body = b'{"type":"error","error":{"type":"%b","message":"%b"}}' % (kind, text)
    whole = answer(body, status, *head)

    async def script(upstream: UpstreamSide) -> None:
        await upstream.send(whole)

    return script


async def good(upstream: UpstreamSide) -> None:
    """Answer as the API does, with a message or a stream."""
    if b'"stream": true' in upstream.body:
        await upstream.send(SSE_HEAD + chunk(STREAM) + chunk(b""))
    else:
        await upstream.send(answer(MESSAGE))


async def cut(upstream: UpstreamSide) -> None:
    """Close without an answer."""
    upstream.writer.close()


def one_after_the_other(*scripts: Script) -> Script:
    """Follow one script for each request; the last for all that come after it."""
    left = list(scripts)

    async def script(upstream: UpstreamSide) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(upstream)

    return script


def costly(body: bytes = STREAM_BODY) -> bytes:
    """Return a request with a long cached prompt."""
    system = [{"type": "text", "text": "x" * 70_000, "cache_control": {"type": "ephemeral"}}]
    return body[:-1] + b', "system": %b}' % msgspec.json.encode(system)


Fails = Callable[[UpstreamSide], Awaitable[None]]
