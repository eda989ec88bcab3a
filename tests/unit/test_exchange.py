"""An exchange notes what it waits for, and tells an interruption of ours from a client that left."""

import asyncio

import pytest

from proxy.errors import InvalidRequest, UpstreamTimeout
from proxy.exchange import Exchange, PingDueError, Wait


class Waiting:
    """A task that waits as a relay does; `reason` is what its interruption was."""

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.reason: Exception | None = None
        self.begun = asyncio.Event()
        self.task = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        self.exchange = Exchange(method="POST", path="/", client=None)
        self.exchange.waits_for(Wait.RESPONSE_BODY)
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.reason = self.exchange.interruption()

    async def interrupted(self, *reasons: Exception) -> None:
        await self.begun.wait()
        assert self.exchange is not None
        for reason in reasons:
            self.exchange.interrupt(reason)


async def test_an_interruption_gives_its_reason_and_the_task_goes_on() -> None:
    waiting = Waiting()
    reason = UpstreamTimeout("slow")
    await waiting.interrupted(reason)
    await waiting.task
    assert waiting.reason is reason
    assert not waiting.task.cancelling()


async def test_the_first_reason_counts() -> None:
    waiting = Waiting()
    reason = PingDueError()
    await waiting.interrupted(reason, UpstreamTimeout("later"))
    await waiting.task
    assert waiting.reason is reason


async def test_a_client_that_leaves_is_a_cancellation() -> None:
    waiting = Waiting()
    await waiting.begun.wait()
    waiting.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting.task
    assert waiting.reason is None


@pytest.mark.parametrize("client_first", [True, False])
async def test_a_client_that_leaves_at_the_moment_of_an_interruption_has_left(
    *, client_first: bool
) -> None:
    waiting = Waiting()
    await waiting.begun.wait()
    if client_first:
        waiting.task.cancel()
    await waiting.interrupted(PingDueError())
    if not client_first:
        waiting.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting.task


async def test_outside_a_task_nothing_is_interrupted() -> None:
    made: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(
        lambda: made.set_result(Exchange(method="-", path="-", client=None))
    )
    exchange = await made
    exchange.interrupt(PingDueError())
    with pytest.raises(asyncio.CancelledError):
        exchange.interruption()


async def test_it_notes_status_first_byte_and_cause() -> None:
    exchange = Exchange(method="GET", path="/", client="::1")
    assert (exchange.status, exchange.first_byte, exchange.cause) == (None, None, None)
    exchange.answered(400)
    exchange.fail(InvalidRequest("m"))
    assert (exchange.status, exchange.cause) == (400, "invalid_request")
    assert exchange.first_byte is not None
    assert exchange.first_byte >= exchange.started


async def test_each_has_an_id_of_its_own() -> None:
    ids = {Exchange(method="-", path="-", client=None).request_id for _ in range(100)}
    assert len(ids) == 100
    assert all(request_id.startswith("req_") for request_id in ids)
