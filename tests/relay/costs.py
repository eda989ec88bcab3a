"""A gateway that tells what each request has cost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from proxy import Quota, RateLimits, Timeouts
from proxy.exchange import Exchange
from proxy.money import price_file
from proxy.money.bill import Bill, Facts, bill
from proxy.tenancy.facts import facts_of
from tests.support.gateways import Running
from tests.support.raw import Script
from tests.support.scripts import gateway_before

TABLE = price_file.load()


class Ended(NamedTuple):
    """What the observer was told last, and its bill."""

    facts: list[Facts]
    left: asyncio.Event

    def ended(self, exchange: Exchange) -> None:
        self.facts.append(facts_of(exchange))
        self.left.set()

    @property
    def bill(self) -> Bill:
        return bill(self.facts[-1], TABLE)


@contextlib.asynccontextmanager
async def observed(script: Script, **changes: float) -> AsyncIterator[tuple[Running, Ended]]:
    # With a limit: what a request costs is read of it when somebody reckons it, and else not.
    quota = Quota(each_key_limits=RateLimits(requests_per_minute=1000))
    timeouts = Timeouts(**changes)
    async with gateway_before(script, timeouts=timeouts, quota=quota) as (_, gateway):
        ended = Ended([], asyncio.Event())
        gateway.gateway._observers += (ended,)
        yield gateway, ended
