"""An exchange records its phase, and tells an interruption of ours from a client that left."""

import asyncio

import pytest

from proxy.errors import Draining, InvalidRequest, ProxyError, UpstreamTimeout
from proxy.exchange import Exchange, Phase
from proxy.received import Received


def an_exchange() -> Exchange:
    return Exchange(Received("POST", "/", None))


class Waiting:
    """A task that waits as a relay does; `reason` is what its interruption was."""

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.reason: ProxyError | None = None
        self.begun = asyncio.Event()
        self.task = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        self.exchange = an_exchange()
        try:
            with self.exchange.waiting(Phase.RESPONSE_BODY):
                self.begun.set()
                await asyncio.Event().wait()
        except ProxyError as reason:
            self.reason = reason

    async def interrupted(self, *reasons: ProxyError) -> None:
        await self.begun.wait()
        assert self.exchange is not None
        for reason in reasons:
            self.exchange.interrupt(reason)


async def test_an_interruption_raises_its_reason_and_the_task_goes_on() -> None:
    waiting = Waiting()
    reason = UpstreamTimeout("slow")
    await waiting.interrupted(reason)
    await waiting.task
    assert waiting.reason is reason
    assert not waiting.task.cancelling()


async def test_the_first_reason_counts() -> None:
    waiting = Waiting()
    reason = Draining()
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
    await waiting.interrupted(Draining())
    if not client_first:
        waiting.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting.task


async def test_outside_a_task_nothing_is_interrupted() -> None:
    made: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: made.set_result(an_exchange()))
    exchange = await made
    exchange.interrupt(Draining())
    with exchange.waiting(Phase.CLIENT):
        await asyncio.sleep(0)


async def test_its_phase_lasts_as_long_as_the_context_however_it_ends() -> None:
    exchange = an_exchange()
    before = exchange.since_s
    phases = []
    with exchange.waiting(Phase.REQUEST_BODY):
        phases.append(exchange.phase)
        assert exchange.since_s > before
    phases.append(exchange.phase)
    assert phases == [Phase.REQUEST_BODY, Phase.NOTHING]
    with pytest.raises(OSError, match="lost"), exchange.waiting(Phase.CLIENT):
        raise OSError("lost")
    assert exchange.phase is Phase.NOTHING


async def test_it_records_status_first_byte_and_cause() -> None:
    exchange = an_exchange()
    assert (exchange.status, exchange.first_byte_s, exchange.cause) == (None, None, None)
    exchange.response_started(400)
    exchange.fail(InvalidRequest("m"))
    assert (exchange.status, exchange.cause) == (400, "invalid_request")
    assert exchange.first_byte_s is not None
    assert exchange.first_byte_s >= exchange.received.started_s


async def test_each_has_an_id_of_its_own_that_stays() -> None:
    exchanges = [an_exchange() for _ in range(100)]
    assert len({each.received.id for each in exchanges}) == 100
    for exchange in exchanges:
        assert exchange.request_id == exchange.received.id
        assert exchange.request_id.startswith("req_")
