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
        exchange: of a known key; ended, or in flight as if it ended now.
        bill: what it cost.
        now_s: `time.monotonic()`.
        would_refuse: the rule that would have refused it, were it not in shadow mode.

    Raises:
        ValueError: nobody knows whose it is.
    """
    key, received, route = exchange.key, exchange.received, exchange.route
    pooled = exchange.pooled
    if key is None:
        raise ValueError("a request without a key has no row")
    hints, told = exchange.hints or _NOTHING_SAID, exchange.told or _NOTHING_TOLD
    started_s, first_byte_s, sums = received.started_s, exchange.first_byte_s, bill.sums
    gateway_s = exchange.gateway_s
    return Row(
        id=received.id,
        at_ms=int(received.at_unix_s * 1000),
        key=key.name,
        endpoint=exchange.endpoint,
        owner=key.owner,
        model=exchange.model,
        upstream=None if route is None else route.upstream,
        upstream_model=None if route is None else route.upstream_model[:_MAX_ID_CHARS],
        served_model=None if told.model is None else told.model[:_MAX_ID_CHARS],
        upstream_request_id=_upstream_id(exchange),
        status=exchange.status,
        cause=exchange.cause,
        stop_reason=told.stop_reason,
        stream=int(exchange.stream),
        queued_ms=exchange.queued_ms,
        first_byte_ms=None if first_byte_s is None else _ms(first_byte_s - started_s),
        total_ms=_ms(now_s - started_s),
        bytes_in=exchange.bytes_in,
        bytes_out=exchange.bytes_out,
        input_tokens=sums.input_tokens,
        output_tokens=sums.output_tokens,
        cache_write_5m_tokens=sums.cache_write_5m_tokens,
        cache_write_1h_tokens=sums.cache_write_1h_tokens,
        cache_read_tokens=sums.cache_read_tokens,
        web_searches=sums.web_searches,
        cost_micros=bill.cost_micros,
        usage_source=bill.usage_source,
        price=bill.price,
        speed=bill.speed,
        geo=bill.geo,
        service_tier=bill.service_tier,
        session_id=exchange.session_id,
        agent_id=exchange.agent_id,
        parent_agent_id=hints.parent_agent_id,
        request_class=hints.request_class,
        would_refuse=would_refuse,
        prompt_id=hints.prompt_id,
        agent_type=hints.agent_type,
        client=_client(exchange),
        tag=hints.tag,
        client_retry=hints.client_retry,
        gateway_us=None if gateway_s is None else int(gateway_s * 1e6) if gateway_s > 0 else 0,
        compacted=1 if hints.compacted else 0,
        away=int(pooled is not None and route is not None and route.upstream != pooled.home),
        attempts=(len(pooled.attempts) if pooled else 0)
        or int(exchange.progress is not Progress.UNSENT),
        billed_entries=len(bill.billed) or None,
        cache_miss_reason=told.cache_miss,
        trace_id=hints.trace_id,
        parent_span_id=hints.parent_span_id,
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
