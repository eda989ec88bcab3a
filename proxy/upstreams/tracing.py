"""The line of a request to an upstream that names the gateway's own span. Pure."""

from multidict import MultiMapping

from proxy.exchange import Exchange
from proxy.protocol import traceparent


def own_span(exchange: Exchange, inbound: MultiMapping[str]) -> bytes:
    """Return it, with its end, for the attempt that begins now.

    Args:
        exchange: knows of earlier attempts.
        inbound: the client's headers, which may name the trace.
    """
    attempt = 1 if exchange.pooled is None else 1 + len(exchange.pooled.attempts)
    return traceparent.line(inbound.get(traceparent.HEADER), exchange.received.id, attempt)
