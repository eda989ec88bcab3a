"""What is known of an exchange that has ended, for its bill."""

import time

from proxy.causes import Cause
from proxy.exchange import Exchange
from proxy.money.bill import Facts
from proxy.money.estimate import START_RATIO
from proxy.protocol.told import Told

# What ends a request early that is no fault of the upstream's.
_NOT_THE_UPSTREAM = (Cause.CLIENT_CLOSED, Cause.CLIENT_STALLED, Cause.DRAINING)
_NOTHING_TOLD = Told()


def facts_of(exchange: Exchange, ratio: float = START_RATIO) -> Facts:
    """Return the facts.

    Args:
        exchange: that has ended; or one in flight, as if it broke now.
        ratio: counted input tokens a byte of body, as was expected of it.
    """
    route, told = exchange.route, exchange.told or _NOTHING_TOLD
    return Facts(
        exchange.progress,
        upstream=route.upstream if route is not None else "",
        upstream_model=route.native if route is not None else "",
        usage=exchange.usage,
        served_model=told.model,
        stop_reason=told.stop_reason,
        refusal=told.refusal,
        stream=exchange.stream,
        opaque=exchange.opaque,
        deltas=told.deltas,
        delta_bytes=told.delta_bytes,
        bytes_out=exchange.bytes_out,
        client_left=exchange.cause in _NOT_THE_UPSTREAM,
        waited_s=time.monotonic() - exchange.sent_s,
        body_bytes=exchange.body_bytes,
        max_tokens=exchange.max_tokens,
        ratio=ratio,
        speed=exchange.speed,
        geo=exchange.geo,
    )
