"""A gateway in front of an upstream that answers every request with one message."""

from collections.abc import AsyncIterator

import pytest

from tests.support.gateways import Running, config_for, running
from tests.support.raw import RawUpstream, UpstreamSide, answer, raw_upstream


@pytest.fixture
async def upstream() -> AsyncIterator[RawUpstream]:
    """Return an upstream that records requests and answers each."""

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(answer())

    async with raw_upstream(script) as listening:
        yield listening


@pytest.fixture
async def gateway(upstream: RawUpstream) -> AsyncIterator[Running]:
    """Return a gateway with default settings."""
    async with running(config_for(upstream.url)) as started:
        yield started
