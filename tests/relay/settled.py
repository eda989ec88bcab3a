"""Wait until a gateway has let go of everything."""

import asyncio

from tests.support.gateways import Running
from tests.support.raw import RawUpstream

_SOON_S = 5.0


async def settled(gateway: Running, upstream: RawUpstream | None, tasks_before: int) -> None:
    """Wait until no request is in flight, no upstream connection open, no task left over.

    Raises:
        AssertionError: it does not come to that; the message names what is left.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _SOON_S
    while True:
        in_flight = len(gateway.gateway.deadlines.in_flight)
        open_upstream = upstream.open if upstream else 0
        tasks = asyncio.all_tasks()
        if not in_flight and not open_upstream and len(tasks) <= tasks_before:
            return
        assert loop.time() < deadline, (in_flight, open_upstream, tasks_before, tasks)
        await asyncio.sleep(0.005)
