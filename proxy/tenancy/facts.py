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
    # In the order of its fields: by their names it would take four times as long.
    return Facts(
        exchange.progress,
        route.upstream if route is not None else "",  # upstream
        route.native if route is not None else "",  # upstream_model
        exchange.usage,
        told.model,  # served_model
        told.stop_reason,
        told.refusal,
        exchange.stream,
        exchange.opaque,
        told.output_bytes,
        exchange.bytes_out,
        exchange.cause in _NOT_THE_UPSTREAM,  # client_left
        time.monotonic() - exchange.sent_s,  # waited_s
        exchange.body_bytes,
        exchange.max_tokens,
        ratio,
        exchange.speed,
        exchange.geo,
    )
