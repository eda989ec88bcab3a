"""What becomes of a key of the store is so in every process, within seconds: here four gateways on one store.

Elsewhere a rotated key is dead at once, or alive for ever: BerriAI/litellm#27193.
"""

import asyncio
import contextlib
import time
from pathlib import Path

from proxy import Store
from proxy.access.keys import digest
from proxy.access.records import KeyRecord
from proxy.sandbox import Knobs, serve_sandbox
from proxy.store.keys import Keys
from tests.store.rows import opened
from tests.support.gateways import Running, config_for, running

PROCESSES = 4
HOUR_MS = 3_600_000
WITHIN_S = 60
OLD, NEW, NEWEST = "ar-old-0123456789", "ar-new-0123456789", "ar-newest-0123456789"


async def _status(gateway: Running, key: str) -> int:
    async with gateway.post(headers={"x-api-key": key}) as response:
        await response.read()
        return response.status


async def _everywhere(gateways: list[Running], **wanted: int) -> None:
    """Wait until each key is answered so by every gateway."""
    keys = {"old": OLD, "new": NEW, "newest": NEWEST}
    async with asyncio.timeout(WITHIN_S):
        for gateway in gateways:
            for name, status in wanted.items():
                while await _status(gateway, keys[name]) != status:  # noqa: ASYNC110 - each follows the store by itself
                    await asyncio.sleep(0.02)  # as above


async def test_a_rotated_key_works_in_its_grace_and_no_longer_in_all_processes(
    store_url: str, tmp_path: Path
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
        stack.push_async_callback(sandbox.cleanup)
        upstream = f"http://127.0.0.1:{sandbox.addresses[0][1]}"
        gateways = [
            await stack.enter_async_context(
                running(config_for(upstream, store=Store(store_url, str(tmp_path / str(number)))))
            )
            for number in range(PROCESSES)
        ]
        with opened(store_url) as engine:
            keys, now_ms = Keys(engine, "test"), time.time_ns() // 1_000_000
            keys.create(KeyRecord(name="laptop"), digest(OLD), now_ms)
            await _everywhere(gateways, old=200)
            keys.rotate("laptop", digest(NEW), HOUR_MS, now_ms)
            await _everywhere(gateways, new=200, old=200)
            # No grace: whatever came before is over.
            keys.rotate("laptop", digest(NEWEST), 0, now_ms)
            await _everywhere(gateways, newest=200, new=401, old=401)
