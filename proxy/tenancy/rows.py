"""From an ended exchange and its bill to the ledger's row. Pure."""

from proxy.exchange import Exchange
from proxy.ledger.row import Row
from proxy.money.bill import Bill
from proxy.progress import Progress
from proxy.protocol.hints import Hints
from proxy.protocol.told import Told

_MAX_ID_CHARS = 100
_MAX_CLIENT_CHARS = 48
_NOTHING_TOLD = Told()
_NOTHING_SAID = Hints()


def row_of(exchange: Exchange, bill: Bill, now_s: float, would_refuse: str | None = None) -> Row:
    """Return the ledger's row.

    Args:
        exchange: of a known key, though that may be refused; ended, or in flight as if it ended now.
        bill: what it cost.
        now_s: `time.monotonic()`.
        would_refuse: the rule that would have refused it, were it not in shadow mode.

    Raises:
        ValueError: nobody knows whose it is.
    """
    key, pooled = exchange.key or exchange.refused_key, exchange.pooled
    received, route = exchange.received, exchange.route
    if key is None:
        raise ValueError("a request without a key has no row")
    hints, told = exchange.hints or _NOTHING_SAID, exchange.told or _NOTHING_TOLD
    started_s, first_byte_s, gateway_s = (
        received.started_s,
        exchange.first_byte_s,
        exchange.gateway_s,
    )
    sums = bill.sums
    # In the order of its fields: by their names it would take five times as long, 3 us of each request.
    return Row(
        received.id,
        int(received.at_unix_s * 1000),  # at_ms
        key.name,  # key
        exchange.endpoint,
        key.owner,
        exchange.model,
        None if route is None else route.upstream,
        None if route is None else route.upstream_model[:_MAX_ID_CHARS],  # upstream_model
        None if told.model is None else told.model[:_MAX_ID_CHARS],  # served_model
        _upstream_id(exchange),  # upstream_request_id
        exchange.status,
        exchange.cause,
        told.stop_reason,
        int(exchange.stream),  # stream
        exchange.queued_ms,
        None if first_byte_s is None else _ms(first_byte_s - started_s),  # first_byte_ms
        _ms(now_s - started_s),  # total_ms
        exchange.bytes_in,
        exchange.bytes_out,
        sums.input_tokens,
        sums.output_tokens,
        sums.cache_write_5m_tokens,
        sums.cache_write_1h_tokens,
        sums.cache_read_tokens,
        sums.web_searches,
        bill.cost_micros,
        bill.usage_source,
        bill.price,
        bill.speed,
        bill.geo,
        bill.service_tier,
        exchange.session_id,
        exchange.agent_id,
        hints.parent_agent_id,
        hints.request_class,
        would_refuse,
        1,  # requests
        hints.prompt_id,
        hints.agent_type,
        _client(exchange),  # client
        hints.tag,
        hints.client_retry,
        None if gateway_s is None else int(gateway_s * 1e6) if gateway_s > 0 else 0,  # gateway_us
        1 if hints.compacted else 0,  # compacted
        int(pooled is not None and route is not None and route.upstream != pooled.home),  # away
        (len(pooled.attempts) if pooled else 0)
        or int(exchange.progress is not Progress.UNSENT),  # attempts
        len(bill.billed) or None,  # billed_entries
        told.cache_miss,  # cache_miss_reason
        hints.trace_id,
        None,  # span_id
        hints.parent_span_id,
    )


def _upstream_id(exchange: Exchange) -> str | None:
    """Return the upstream's id of the request: that of the response, unless it is ours."""
    if exchange.upstream_request_id is not None:
        return exchange.upstream_request_id
    return exchange.request_id if exchange.request_id != exchange.received.id else None


def _client(exchange: Exchange) -> str | None:
    product, version = exchange.client
    if product is None:
        return None
    return (f"{product}/{version}" if version else product)[:_MAX_CLIENT_CHARS]


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
