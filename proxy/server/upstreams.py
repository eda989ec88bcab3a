"""How the upstreams are, as this process knows it."""

import time

from proxy.exchange import Phase
from proxy.gateway import Gateway
from proxy.upstreams.report import Report, reports


def upstreams_here(gateway: Gateway) -> list[Report]:
    """Return how each upstream is, in the order of the configuration."""
    # A request that still waits for its client, or for its turn, is at none.
    asked = [
        exchange.upstream
        for exchange in gateway.deadlines.in_flight
        if exchange.route is not None
        and (exchange.gateway_s is not None or exchange.phase is Phase.RESPONSE_HEAD)
    ]
    told = reports(
        gateway.snapshot.config,
        gateway.standing,
        asked,
        time.monotonic(),
        int(time.time() * 1000),
        printed_s=gateway.credentials.printed_s,
    )
    times = {} if gateway.counting is None else gateway.counting.tally.times()
    for each in told:
        if each.upstream in times:
            each.first_byte, each.total = times[each.upstream]
    return told
