"""A flood of failures is a few lines, each with the id of a request and what to do, and their numbers add up."""

import asyncio
import io
import json
import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.telemetry.log import LogHandler
from proxy.telemetry.looks import Look
from tests.support.gateways import Running, config_for, running


class Log:
    """What a gateway writes to standard error."""

    def __init__(self) -> None:
        self._stream = io.BytesIO()
        self._handler = LogHandler(self._stream, Look.JSON)
        logging.getLogger("proxy").addHandler(self._handler)

    def close(self) -> None:
        """Write no more."""
        logging.getLogger("proxy").removeHandler(self._handler)
        self._handler.close()

    def closed(self) -> list[dict[str, Any]]:
        """Return the lines, once all are written."""
        self.close()
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    made = Log()
    yield made
    made.close()


async def _status(gateway: Running) -> int:
    async with gateway.post() as response:
        await response.read()
        return response.status


@pytest.mark.parametrize("requests", [200, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_many_failures_of_an_upstream_are_few_lines_whose_numbers_add_up(
    log: Log, requests: int
) -> None:
    began_s = time.monotonic()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with running(config_for(f"http://127.0.0.1:{closed.getsockname()[1]}")) as gateway:
            statuses: set[int] = set()
            for _ in range(requests // 20):
                statuses |= set(await asyncio.gather(*(_status(gateway) for _ in range(20))))
        ids = {line["request_id"] for line in gateway.log}
    assert statuses == {502}
    lines = log.closed()
    # The first, one in ten seconds, and one when it is over.
    assert 2 <= len(lines) <= 3 + (time.monotonic() - began_s) / 10
    assert sum(line.get("repeated", 1) for line in lines if "total" not in line) == requests
    for line in lines:
        assert (line["event"], line["subject"]) == ("upstream_unreachable", "first")
        assert line["id"] in ids
        assert line["do"].startswith("check the name, the route")
