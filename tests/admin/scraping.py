"""A gateway whose metrics are read as Prometheus does."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families as read_text

from proxy import Admin, AdminKey
from proxy.access.keys import digest
from proxy.admin.app import create_app
from proxy.admin.metric_list import METRICS
from proxy.admin.workers import OwnGateway
from proxy.sandbox import Knobs, serve_sandbox
from tests.admin.conftest import READER, WRITER
from tests.support.gateways import Running, config_for, running

METRICS_KEY = "ara-metrics-0123456789-abcdefghij"
KEYS = (
    AdminKey("ops", digest(WRITER), "write"),
    AdminKey("eye", digest(READER)),
    AdminKey("prometheus", digest(METRICS_KEY), "metrics"),
)


class Scraped:
    """A gateway, and its metrics."""

    def __init__(self, gateway: Running, url: str) -> None:
        self.gateway = gateway
        self.url = url

    async def get(
        self, path: str = "/metrics", key: str | None = None, **headers: str
    ) -> tuple[int, str, str]:
        """Return status, media type and text."""
        given = headers if key is None else {**headers, "authorization": f"Bearer {key}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.url + path, headers=given) as response,
        ):
            return response.status, response.headers["Content-Type"], await response.text()

    async def samples(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Return values by name and labels, the worker's left out."""
        found: dict[str, dict[tuple[str, ...], float]] = {}
        listed = {metric.name.removesuffix("_total"): metric.labels for metric in METRICS}
        for family in read_text((await self.get())[2]):
            order = [name for name in (*listed[family.name], "le") if name != "worker"]
            for each in family.samples:
                labels = tuple(each.labels[name] for name in order if name in each.labels)
                found.setdefault(each.name.removeprefix("anyrouter_"), {})[labels] = each.value
        return found


@contextlib.asynccontextmanager
async def scraped(*, is_open: bool = True, **changes: Any) -> AsyncIterator[Scraped]:
    async with contextlib.AsyncExitStack() as stack:
        sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
        stack.push_async_callback(sandbox.cleanup)
        config = config_for(
            f"http://127.0.0.1:{sandbox.addresses[0][1]}", admin=Admin(keys=KEYS), **changes
        )
        gateway = await stack.enter_async_context(running(config))
        gateway.gateway.begin_counting()
        app = create_app(config, OwnGateway(gateway.gateway), open_metrics=is_open)
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Scraped(gateway, f"http://127.0.0.1:{runner.addresses[0][1]}")
