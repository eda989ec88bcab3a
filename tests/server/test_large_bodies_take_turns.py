"""Large bodies that have arrived together do not hold the event loop together."""

import asyncio

from tests.support.gateways import config_for, running
from tests.support.raw import UpstreamSide, answer, raw_upstream

NOT_PLAIN = b'{"model":"anthropic/claude-sonnet-4.6","max_tokens":1.0,"messages":[%s]}' % b",".join(
    [b'{"role":"user","content":"%s"}' % (b"x" * 2000)] * 400
)


async def test_one_is_checked_after_the_other_and_small_ones_in_between() -> None:
    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(answer())

    async with raw_upstream(script) as upstream, running(config_for(upstream.url)) as gateway:
        decoding = gateway.gateway.turns.long_work
        await decoding.acquire()

        async def ask() -> int:
            async with gateway.post(NOT_PLAIN) as response:
                return response.status

        asked = [asyncio.create_task(ask()) for _ in range(4)]
        async with gateway.post() as small:
            assert small.status == 200  # what is small does not wait
        assert not any(task.done() for task in asked)
        decoding.release()
        assert await asyncio.gather(*asked) == [200] * 4
        assert not decoding.locked()
