"""Wait for a gateway: until a request has come to a phase, until all has been let go."""

import asyncio
import gc

from aiohttp.client_proto import ResponseHandler

from proxy.exchange import Phase
from proxy.gateway import Gateway
from tests.support.gateways import Running
from tests.support.raw import RawUpstream

# More than a loaded machine takes, and less than any bound of a gateway's own that would end a wait in its place.
_SOON_S = 9.0


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
        await asyncio.sleep(0.005)  # a task that is let go, and one that is left over, tell nobody


async def waits_in(gateway: Gateway, phase: Phase) -> None:
    """Wait until a request in flight is in a phase."""
    async with asyncio.timeout(_SOON_S):
        while not any(each.phase is phase for each in gateway.deadlines.in_flight):  # noqa: ASYNC110 - phases have no event
            await asyncio.sleep(0)


def upstream_protocols() -> list[ResponseHandler]:
    """Find the open connections of gateways to upstreams, of whichever twin."""
    return [
        each for each in gc.get_objects() if isinstance(each, ResponseHandler) and each.transport
    ]
