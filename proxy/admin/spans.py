"""From rows of the ledger to spans: of each request one, and below it one of the upstream that served it. Pure.

OpenTelemetry's package is loaded with this module, which only `traces` loads, when spans are wanted. There is never any
content in a span: a row has none.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from proxy.admin import span_names as names
from proxy.ledger.row import Row
from proxy.protocol import traceparent
from proxy.version import __version__

SLOW_MS = 60_000
_NS_PER_MS = 1_000_000
_MICROS = 1_000_000
_SERVER_ERROR, _CLIENT_ERROR = 500, 400
_ROUTES = {
    "messages": ("POST", "/v1/messages"),
    "count_tokens": ("POST", "/v1/messages/count_tokens"),
    "models": ("GET", "/v1/models"),
}
_OPERATIONS = {"messages": "chat"}
_SAMPLED_BITS = 64
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope("anyrouter", __version__)


class Spans:
    """Makes spans.

    Args:
        sample: the share of traces to keep.
        hosts: of the upstreams.
        shows_sessions: whether sessions and agents may be shown.
    """

    def __init__(self, sample: float, hosts: Mapping[str, str], *, shows_sessions: bool) -> None:
        self._below = int(sample * 2**_SAMPLED_BITS)
        self._hosts = hosts
        self._shows_sessions = shows_sessions
        said = OTELResourceDetector().detect().attributes.get("service.name") or "anyrouter"
        self._resource = Resource.create({"service.name": said, "service.version": __version__})

    def of(self, row: Row) -> list[ReadableSpan]:
        """Return the spans of a request; none: it is not in the sample."""
        trace_id = row.trace_id or traceparent.begun_by(row.id)
        is_chosen = int(trace_id[16:], 16) < self._below
        if not (is_chosen or row.is_failed or row.is_refused or (row.total_ms or 0) > SLOW_MS):
            return []
        return list(self._make_spans(row, int(trace_id, 16)))

    def _make_spans(self, row: Row, trace_id: int) -> Iterator[ReadableSpan]:
        own = _context(trace_id, traceparent.span_of(row.id))
        parent = None
        if row.trace_id is not None and row.parent_span_id is not None:
            parent = _context(trace_id, row.parent_span_id, is_remote=True)
        begin_ns = row.at_ms * _NS_PER_MS
        end_ns = begin_ns + (row.total_ms or 0) * _NS_PER_MS
        method, route = _ROUTES.get(row.endpoint, ("GET", row.endpoint))
        status = row.status or 0
        # As the conventions want it: a 4xx is a failure of whoever asked.
        has_failed = status >= _SERVER_ERROR or (row.is_failed and status < _CLIENT_ERROR)
        yield self._span(
            f"{method} {route}",
            own,
            parent,
            SpanKind.SERVER,
            {names.METHOD: method, names.ROUTE: route, **self._of_request(row)},
            time_ns=(begin_ns, end_ns),
            has_failed=has_failed,
        )
        if row.upstream is None or not row.attempts:
            return
        sent_ns = begin_ns + (row.queued_ms or 0) * _NS_PER_MS + (row.gateway_us or 0) * 1000
        operation = _OPERATIONS.get(row.endpoint, row.endpoint)
        yield self._span(
            f"{operation} {row.upstream_model or ''}".rstrip(),
            _context(trace_id, traceparent.span_of(row.id, row.attempts)),
            own,
            SpanKind.CLIENT,
            {names.OPERATION: operation, **self._of_attempt(row, row.upstream)},
            time_ns=(min(sent_ns, end_ns), end_ns),
            has_failed=has_failed or status >= _CLIENT_ERROR,
        )

    def _of_request(self, row: Row) -> dict[str, Any]:
        client, _, version = (row.client or "").partition("/")
        told = {
            names.STATUS: row.status,
            names.ERROR: row.cause,
            names.CLIENT: client or None,
            names.CLIENT_VERSION: version or None,
            names.ID: row.id,
            names.KEY: row.key,
            names.OWNER: row.owner,
            names.TAG: row.tag,
            names.COST_USD: row.cost_micros / _MICROS,
            names.USAGE_SOURCE: row.usage_source,
            names.REQUEST_CLASS: row.request_class,
            names.ATTEMPTS: row.attempts,
            names.QUEUED_MS: row.queued_ms,
            names.GATEWAY_MS: None if row.gateway_us is None else row.gateway_us / 1000,
            names.REQUESTS: row.requests if row.requests > 1 else None,
        }
        if self._shows_sessions:
            told |= {names.AGENT_ID: row.agent_id, names.AGENT_TYPE: row.agent_type}
        return told

    def _of_attempt(self, row: Row, upstream: str) -> dict[str, Any]:
        first_byte = row.first_byte_ms
        return {
            names.PROVIDER: "anthropic",
            names.REQUEST_MODEL: row.upstream_model,
            names.REQUEST_STREAM: bool(row.stream),
            names.RESPONSE_MODEL: row.served_model,
            names.FINISH_REASONS: None if row.stop_reason is None else (row.stop_reason,),
            names.FIRST_CHUNK: None if first_byte is None or not row.stream else first_byte / 1000,
            names.CONVERSATION: row.session_id if self._shows_sessions else None,
            names.COMPACTED: True if row.compacted else None,
            names.SERVER: self._hosts.get(upstream),
            names.UPSTREAM: upstream,
            names.UPSTREAM_REQUEST_ID: row.upstream_request_id,
            names.STATUS: row.status,
            names.ERROR: row.cause,
            **_usage(row),
        }

    def _span(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        *,
        time_ns: tuple[int, int],
        has_failed: bool,
    ) -> ReadableSpan:
        return ReadableSpan(
            name,
            context,
            parent,
            self._resource,
            {name: value for name, value in attributes.items() if value is not None},
            kind=kind,
            status=Status(StatusCode.ERROR if has_failed else StatusCode.UNSET),
            start_time=time_ns[0],
            end_time=time_ns[1],
            instrumentation_scope=_SCOPE,
        )


def _context(trace_id: int, span_id: str, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(trace_id, int(span_id, 16), is_remote, _SAMPLED)


def _usage(row: Row) -> dict[str, int | None]:
    """Return the tokens; as the conventions want it, those of the cache are input, too."""
    kinds = (row.cache_write_5m_tokens, row.cache_write_1h_tokens)
    writes = None if kinds == (None, None) else sum(each or 0 for each in kinds)
    whole = (row.input_tokens, row.cache_read_tokens, writes)
    has_input = row.input_tokens is not None
    return {
        names.INPUT_TOKENS: sum(each or 0 for each in whole) if has_input else None,
        names.OUTPUT_TOKENS: row.output_tokens,
        names.CACHE_READ_TOKENS: row.cache_read_tokens,
        names.CACHE_WRITE_TOKENS: writes,
    }
