"""Run a gateway on a loopback port inside a test."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from proxy import Auth, Config, Gateway, Key, Limits, Listen, Model, Timeouts, Upstream
from proxy.access.keys import digest
from proxy.app import assemble
from proxy.gateway import GATEWAY
from proxy.server.serve import listening

KEY = "ar-test-key-0123456789"
UPSTREAM_KEY = "sk-upstream-secret-0123456789"
VERSION = "2023-06-01"
MODEL = "anthropic/claude-sonnet-4.6"
HEADERS = {
    "x-api-key": KEY,
    "anthropic-version": VERSION,
    "content-type": "application/json",
}
BODY = (
    b'{"model": "anthropic/claude-sonnet-4.6", "max_tokens": 64,'
    b' "messages": [{"role": "user", "content": "say hi"}]}'
)
STREAM_BODY = BODY[:-1] + b', "stream": true}'


class AccessLines(list[dict[str, Any]]):
    """Access lines, decoded, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self._has_another = asyncio.Event()

    def write(self, line: bytes) -> None:
        self.append(msgspec.json.decode(line))
        self._has_another.set()

    async def until(self, count: int = 1) -> None:
        """Wait until there are so many."""
        while len(self) < count:
            self._has_another.clear()
            await self._has_another.wait()


@dataclasses.dataclass(frozen=True)
class Running:
    """A gateway that listens. `log` holds its access lines."""

    url: str
    host: str
    port: int
    app: web.Application
    session: aiohttp.ClientSession
    log: AccessLines

    @property
    def gateway(self) -> Gateway:
        return self.app[GATEWAY]

    def post(
        self,
        body: bytes = BODY,
        path: str = "/v1/messages",
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> "aiohttp.client._RequestContextManager":
        """Send a request with good headers, some replaced or added."""
        return self.session.post(
            self.url + path, data=body, headers={**HEADERS, **(headers or {})}, **options
        )


def config_for(upstream_url: str, **changes: Any) -> Config:
    """Configure a gateway in front of one upstream, with timeouts that tests can wait for."""
    config = Config(
        upstreams=(Upstream("first", upstream_url, Auth("x-api-key", UPSTREAM_KEY)),),
        models=(Model(id=MODEL, upstream="first"), Model(id="anthropic/*", upstream="first")),
        keys=(Key("tester", digest(KEY)),),
        listen=Listen(port=0),
        limits=Limits(),
        timeouts=Timeouts(),
    )
    return dataclasses.replace(config, **changes)


@contextlib.asynccontextmanager
async def running(config: Config) -> AsyncIterator[Running]:
    """Serve a gateway the way `anyrouter serve` does."""
    log = AccessLines()
    if config.store is not None:
        # Here, so that tests of what is loaded without a store find nothing of SQLAlchemy.
        from tests.support.stores import make_file_of  # noqa: PLC0415 - see above

        make_file_of(config.store)
    app = assemble(config, log.write)
    async with (
        listening(app, config) as addresses,
        aiohttp.ClientSession(auto_decompress=False) as session,
    ):
        host, port = addresses[0]
        yield Running(
            url=f"http://{host}:{port}{config.listen.base_path}",
            host=host,
            port=port,
            app=app,
            session=session,
            log=log,
        )
