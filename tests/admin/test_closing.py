"""The admin API ends at once, whatever it asks of the store just then."""

import asyncio
import threading

import sqlalchemy as sa
from sqlalchemy import event

from proxy.admin.context import AdminContext
from proxy.config import Store
from tests.support.gateways import config_for


async def test_what_is_asked_at_the_end_leaves_no_connection_open(store_url: str) -> None:
    context = AdminContext(config_for("http://127.0.0.1:9", store=Store(store_url)))
    assert context.engine is not None
    opened: list[object] = []
    closed: list[object] = []
    event.listen(context.engine, "connect", lambda connection, _: opened.append(connection))
    event.listen(context.engine, "close", lambda connection, _: closed.append(connection))
    asked, ends = threading.Event(), threading.Event()

    def work(engine: sa.Engine) -> None:
        with engine.connect():
            asked.set()
            ends.wait(30)

    question = asyncio.create_task(context.ask(work))
    await asyncio.to_thread(asked.wait, 30)
    context.close()
    ends.set()
    await question
    assert len(opened) == len(closed) > 0
