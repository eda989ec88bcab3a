"""Workers are asked over connections that stay open; one that was replaced answers all the same."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from proxy.admin.workers import SocketWorkers


class Worker:
    """Tells what waits in it, and counts who connects."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.connections: set[object] = set()

    async def _ledger(self, request: web.Request) -> web.Response:
        self.connections.add(request.protocol)
        return web.json_response({"stored_rows": 7})

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/ledger", self._ledger)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.UnixSite(runner, str(self._path)).start()
            yield
        finally:
            await runner.cleanup()


async def test_a_worker_has_one_connection_and_its_successor_another(tmp_path: Path) -> None:
    worker = Worker(tmp_path / "0")
    workers = SocketWorkers((str(tmp_path / "0"), str(tmp_path / "1")))
    told = [(200, {"stored_rows": 7}), None]
    async with worker.serving():
        assert [await workers.ledgers() for _ in range(3)] == [told] * 3
        assert len(worker.connections) == 1
    assert await workers.ledgers() == [None, None]
    async with worker.serving():
        assert [await workers.ledgers() for _ in range(3)] == [told] * 3
        assert len(worker.connections) == 2
    await workers.close()
