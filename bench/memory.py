"""Resident memory: idle, with silent streams open, after large requests, and its slope over a soak."""

import asyncio
import threading
import time

from bench.figures import slope
from bench.http_client import MESSAGES, connect, request_bytes
from bench.paced_client import StreamLoad, run_streams
from bench.processes import Child

SILENT_STREAMS = 1000
_SILENT = f"{MESSAGES}?events=1&interval_ms=600000"
_SETTLE_S = 2.0
_SAMPLE_S = 2.0
_ASKED_STREAMS = 100
_SOAK_STREAMS = 200
_SOAK_WARM_SHARE = 0.2  # of the soak: pools and caches fill, not counted into the slope


async def silent_streams(port: int, child: Child, body: bytes) -> dict[str, float]:
    """Open streams that send their opening and then nothing; close them as a client that leaves."""
    request = request_bytes(body, _SILENT)
    idle_mb = child.rss_mb()
    began: set[int] = set()
    connections = []
    for index in range(SILENT_STREAMS):
        connection = await connect(port)
        connection.on_body = lambda _, index=index: began.add(index)
        connection.send(request)
        connections.append(connection)
        await asyncio.sleep(0.002)
    await asyncio.sleep(_SETTLE_S)
    open_mb = child.rss_mb()
    for connection in connections:
        connection.transport.abort()
    await asyncio.sleep(_SETTLE_S)
    return {
        "idle_mb": idle_mb,
        "open_mb": open_mb,
        "after_mb": child.rss_mb(),
        "kb_per_stream": (open_mb - idle_mb) * 1000 / SILENT_STREAMS,
        "failed": SILENT_STREAMS - len(began),
    }


async def asked(port: int, child: Child, body: bytes) -> float:
    """Open streams one after the other, each asked for with a body; return the memory with all of them open, in MB."""
    request = request_bytes(body, _SILENT)
    connections = []
    for _ in range(_ASKED_STREAMS):
        began = asyncio.Event()
        connection = await connect(port)
        connection.on_body = lambda _, began=began: began.set()
        connection.send(request)
        await asyncio.wait_for(began.wait(), 30)
        connections.append(connection)
    await asyncio.sleep(_SETTLE_S)
    open_mb = child.rss_mb()
    for connection in connections:
        connection.transport.abort()
    return open_mb


async def soak(port: int, child: Child, body: bytes, seconds: float) -> dict[str, float]:
    """Carry paced streams for a while; return the slope of resident memory in kB per minute."""
    times: list[float] = []
    sizes_kb: list[float] = []
    begin = time.monotonic()
    over = threading.Event()

    def sample() -> None:
        while not over.wait(_SAMPLE_S):
            times.append((time.monotonic() - begin) / 60)
            sizes_kb.append(child.rss_mb() * 1000)

    sampler = asyncio.create_task(asyncio.to_thread(sample))
    unfinished = 0.0
    load = StreamLoad(_SOAK_STREAMS, events=64, interval_ms=50)
    try:
        while time.monotonic() - begin < seconds:
            unfinished += (await run_streams(port, load, body))["unfinished"]
    finally:
        over.set()
        await sampler
    warm = int(len(times) * _SOAK_WARM_SHARE)
    return {
        "slope_kb_min": slope(times[warm:], sizes_kb[warm:]),
        "unfinished": unfinished,
    }
