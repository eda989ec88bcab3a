"""The admin API over a socket, with a store and without workers."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proxy import Admin, AdminKey, Budgets, Config, Key, Owner, Store
from proxy.access.keys import digest
from proxy.admin.app import create_app
from tests.support.gateways import KEY, config_for

WRITER = "ara-writer-0123456789-abcdefghijk"
READER = "ara-reader-0123456789-abcdefghijk"


class Asking:
    """A client of the admin API."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def __call__(
        self, method: str, path: str, body: Any = None, *, key: str | None = WRITER
    ) -> tuple[int, Any]:
        """Return status and body of a response, whatever it is."""
        headers = {} if key is None else {"x-api-key": key}
        given = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with self._session.request(
            method, self._url + path, headers=headers, **(given if body is not None else {})
        ) as response:
            assert response.headers["request-id"].startswith("req_")
            return response.status, await response.json()


Start = Callable[..., contextlib.AbstractAsyncContextManager[Asking]]


@pytest.fixture
def admin(store_url: str) -> Start:
    """Start the admin API of a configuration."""

    @contextlib.asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[Asking]:
        config: Config = config_for(
            "http://127.0.0.1:9",
            **{
                "admin": Admin(
                    keys=(
                        AdminKey("ops", digest(WRITER), "write"),
                        AdminKey("eye", digest(READER)),
                    )
                ),
                "store": Store(store_url),
                "keys": (Key("static", digest(KEY), budgets=Budgets(day_micros=5)),),
                "owners": (Owner("team-s"),),
                **changes,
            },
        )
        runner = web.AppRunner(create_app(config))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            async with aiohttp.ClientSession() as session:
                yield Asking(f"http://{host}:{port}/admin/v1", session)
        finally:
            await runner.cleanup()

    return start
