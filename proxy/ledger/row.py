"""The ledger's row: what is kept of one request. Never content, never a credential. Pure."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

_MAX_TEXT_CHARS = 500
_MAX_LINE_BYTES = 8_000
_MAX_INT = 2**63 - 1
# What one engine stores and another does not: NUL, and halves of surrogate pairs.
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
# Causes: the client's own doing, a failure of the gateway, and rows that are lost. `store.usage` counts by them, too.
CLIENT_LEFT = ("client_closed", "client_stalled")
BROKEN_BY_US = ("gateway_killed", "internal")
BROKEN_BY_UPSTREAM = "upstream_"
LOST = "spool_full"


class Row(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One request, or several alike that were refused.

    None is "not reported" or "not known", which is not 0. A spool written by an older version is read by a newer one:
    fields are only ever added, at the end, with a default. Times are milliseconds; `…_ms` but `at_ms` are durations
    from the head of the request. Flags are 0 or 1.

    Attributes:
        id: ours, whatever the upstream calls it, and never used twice.
        at_ms: when the head of the request had come, in Unix milliseconds: the day it is counted in.
        key, owner: whose it is. `key` is empty in a row that stands for lost ones.
        endpoint: `messages`, `count_tokens`, `models`, `usage`.
        model: as asked for. `upstream`, `upstream_model`: where it went. `served_model`: the response's own.
        upstream_request_id: the upstream's `request-id`.
        status: told to the client.
        cause: a word of `proxy.causes`, or of this folder: `gateway_killed`, `spool_full`.
        queued_ms: waited for its turn. `gateway_us`: what the gateway took from the head of the request until it was
            first sent on, in microseconds, a new connection to the upstream included, without the waiting for its
            body or its turn; None: it was not sent.
        input_tokens, output_tokens, …: as billed.
        cost_micros: in micro-dollars. `usage_source`: how the tokens are known: `reported`, `partial`, `estimated`,
            or `none`, when nothing is owed.
        price: `id@version` of the price row. `speed`, `geo`, `service_tier`: what the price depends on beside.
        session_id, agent_id, …: what Claude Code says of itself, cut.
        would_refuse: the rule that would have refused it, were it not in shadow mode.
        requests: how many the row stands for.
        agent_type, client, tag: as the client says; cut. `client_retry`: which retry of the client's it was.
        compacted: the client has just compacted its context. `away`: 1 when another upstream served it than the one
            its session belongs to. `attempts`: how often it was sent to an upstream; None: unknown.
        billed_entries: of `usage.iterations`.
        cache_miss_reason: the API's own diagnosis.
        trace_id, parent_span_id: of the client's `traceparent`. `span_id`: not used: the ids of the gateway's own spans
            follow from `id`.
    """

    id: str
    at_ms: int
    key: str
    endpoint: str
    owner: str | None = None
    model: str | None = None
    upstream: str | None = None
    upstream_model: str | None = None
    served_model: str | None = None
    upstream_request_id: str | None = None
    status: int | None = None
    cause: str | None = None
    stop_reason: str | None = None
    stream: int = 0
    queued_ms: int | None = None
    first_byte_ms: int | None = None
    total_ms: int | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    cache_read_tokens: int | None = None
    web_searches: int | None = None
    cost_micros: int = 0
    usage_source: str = "none"
    price: str | None = None
    speed: str | None = None
    geo: str | None = None
    service_tier: str | None = None
    session_id: str | None = None
    agent_id: str | None = None
    parent_agent_id: str | None = None
    request_class: str | None = None
    would_refuse: str | None = None
    requests: int = 1
    prompt_id: str | None = None
    agent_type: str | None = None
    client: str | None = None
    tag: str | None = None
    client_retry: int | None = None
    gateway_us: int | None = None
    compacted: int = 0
    away: int = 0
    attempts: int | None = None
    billed_entries: int | None = None
    cache_miss_reason: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None

    @property
    def day(self) -> int:
        """The UTC day it is counted in, as days since 1970."""
        return self.at_ms // 86_400_000

    @property
    def is_refused(self) -> bool:
        """Whether the gateway refused it: a limit, a budget, or a request that cannot be served."""
        return self._ended_badly and not self.is_failed

    @property
    def is_failed(self) -> bool:
        """Whether it failed at the upstream, in the gateway, or after the response had begun."""
        if not self._ended_badly or self.cause is None:
            return False
        has_begun = self.status is not None and self.status < 400  # noqa: PLR2004 - HTTP's own line
        return has_begun or self.cause in BROKEN_BY_US or self.cause.startswith(BROKEN_BY_UPSTREAM)

    @property
    def is_estimated(self) -> bool:
        """Whether its cost is not what the upstream reported."""
        return self.usage_source in ("partial", "estimated")

    @property
    def _ended_badly(self) -> bool:
        return self.cause is not None and self.cause not in CLIENT_LEFT and self.cause != LOST


FIELDS = msgspec.structs.fields(Row)
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Row)


def storable(row: Row) -> Row:
    """Return a row that every engine can store: texts cut and without NUL, integers of 64 bits, flags as integers."""
    return Row(*(_storable(value) for value in msgspec.structs.astuple(row)))


def to_line(row: Row) -> bytes:
    """Return a row as a line of JSON, storable."""
    try:
        line = _ENCODER.encode(row)
    except (UnicodeEncodeError, OverflowError):
        return to_line(storable(row))
    is_storable = b"\\u0000" not in line and len(line) <= _MAX_LINE_BYTES
    return line if is_storable else _ENCODER.encode(storable(row))


def to_lines(rows: Sequence[Row]) -> bytes:
    """Return rows as lines, each with its end."""
    try:
        lines = _ENCODER.encode_lines(rows)
    except (UnicodeEncodeError, OverflowError):
        pass
    else:
        if b"\\u0000" not in lines and max(map(len, lines.split(b"\n"))) <= _MAX_LINE_BYTES:
            return lines
    return b"".join([part for row in rows for part in (to_line(row), b"\n")])


def rows_of(lines: Sequence[bytes]) -> list[Row]:
    """Return the rows of lines, without those that are none."""
    try:
        return _DECODER.decode_lines(b"\n".join(lines))
    except msgspec.MsgspecError:
        return [row for line in lines if (row := from_line(line)) is not None]


def from_line(line: bytes) -> Row | None:
    """Return the row of a line; None: it is none."""
    try:
        return _DECODER.decode(line)
    except msgspec.MsgspecError:
        pass
    try:
        return storable(Row(*msgspec.json.decode(line, type=list[Any])))
    except (msgspec.MsgspecError, TypeError, ValueError):
        return None


def gap(first: Row, requests: int) -> Row:
    """Return the row that stands for requests whose own rows are lost, of which one is given."""
    return Row(first.id, first.at_ms, "", "", cause=LOST, requests=requests)


def folded(first: Row, requests: int) -> Row:
    """Return the row that stands for requests that were refused alike, of which one is given."""
    return Row(
        id=first.id,
        at_ms=first.at_ms,
        key=first.key,
        endpoint=first.endpoint,
        owner=first.owner,
        status=first.status,
        cause=first.cause,
        requests=requests,
    )


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("?", value)[:_MAX_TEXT_CHARS]
    return value if value is None else max(-_MAX_INT, min(int(value), _MAX_INT))
