"""The pages over a socket: what a browser is told, and what a program is."""

import contextlib
import dataclasses
import http.cookies
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from proxy import Admin, AdminKey, Config, Key, Store
from proxy.access.keys import digest
from proxy.access.records import KeyRecord
from proxy.admin.app import create_app
from proxy.admin.workers import Workers
from proxy.store.engine import open_engine
from proxy.store.keys import Keys
from proxy.store.rows import RowStore
from tests.admin.conftest import READER, WRITER
from tests.store.rows import row
from tests.support.gateways import config_for

ANNA, BEN = "ar-anna-0123456789-0123456789", "ar-ben-0123456789-01234567890"
WRONG = "ar-wrong-0123456789"
ADMIN = Admin(keys=(AdminKey("ops", digest(WRITER), "write"), AdminKey("eye", digest(READER))))


@dataclasses.dataclass(frozen=True)
class Told:
    """A response."""

    status: int
    headers: Mapping[str, str]
    text: str
    cookies: http.cookies.SimpleCookie


class Browser:
    """Asks, follows no redirect, and shows the cookie that it was given last."""

    def __init__(self, url: str, app: web.Application, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.app = app
        self.cookie = ""
        self._session = session

    async def __call__(self, path: str, method: str = "GET", **options: Any) -> Told:
        headers = {"cookie": self.cookie} if self.cookie else {}
        headers |= options.pop("headers", {})
        async with self._session.request(
            method, self.url + path, headers=headers, allow_redirects=False, **options
        ) as response:
            return Told(response.status, response.headers, await response.text(), response.cookies)

    async def sign_in(self, key: str, **options: Any) -> Told:
        """Sign in with a key, and keep the cookie."""
        told = await self("/sign-in", "POST", data={"key": key, "next": ""}, **options)
        for name, morsel in told.cookies.items():
            self.cookie = f"{name}={morsel.value}"
        return told


@contextlib.asynccontextmanager
async def viewed(
    url: str | None, *, workers: Workers | None = None, **changes: Any
) -> AsyncIterator[Browser]:
    """Serve the pages of a configuration with the keys of anna and ben, and a store unless `url` is None."""
    config: Config = config_for(
        "http://127.0.0.1:9",
        **{
            "admin": ADMIN,
            "store": None if url is None else Store(url),
            "keys": (Key("anna", digest(ANNA)), Key("ben", digest(BEN))),
            **changes,
        },
    )
    app = create_app(config, workers)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            yield Browser(f"http://{host}:{port}", app, session)
    finally:
        await runner.cleanup()


def managed(url: str, name: str, secret: str, **fields: Any) -> None:
    """Add a key to a store."""
    engine = open_engine(url)
    try:
        Keys(engine, "test").create(KeyRecord(name=name, **fields), digest(secret), 1)
    finally:
        engine.dispose()


def put(url: str, *rows: dict[str, Any]) -> None:
    """Store requests of now."""
    now_ms = int(time.time() * 1000)
    engine = open_engine(url)
    try:
        RowStore(engine).put(
            [
                row(number, **{"at_ms": now_ms, "key": "anna", **fields})
                for number, fields in enumerate(rows, 1)
            ]
        )
    finally:
        engine.dispose()


async def model(browser: Browser, path: str) -> Any:
    """Return the model of a page, as JSON."""
    told = await browser(path)
    assert told.status == 200, told.text
    return msgspec.json.decode(told.text)
