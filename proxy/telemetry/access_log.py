"""One line a request: which client asked for which model, where it went, how it ended. Never a key, never content."""

import re
import time
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from proxy.errors import encodable
from proxy.exchange import Exchange

LineSink = Callable[[bytes], None]


_MAX_ID_CHARS = 100
# Printable ASCII without space and quote.
_PLAIN = re.compile(r"[!#-~]+")


class AccessRecord(msgspec.Struct, omit_defaults=True):
    """The line's fields, in their order; those that hold nothing are left out.

    Times are milliseconds from the request's head. `cause` says why a request failed, in one word.
    """

    time: str
    request_id: str
    client: str | None
    method: str
    path: str
    status: int | None
    total_ms: float
    bytes_in: int
    bytes_out: int
    key: str | None = None
    model: str | None = None
    upstream: str | None = None
    upstream_model: str | None = None
    upstream_request_id: str | None = None
    stream: bool = False
    first_byte_ms: float | None = None
    usage: dict[str, Any] | None = None
    session_id: str | None = None
    agent_id: str | None = None
    cause: str | None = None


class AccessLog:
    """Writes each exchange's line.

    Args:
        line_format: `json`, or `text`: the same fields as `name=value`.
        sink: takes a line, without its end; None: nothing is logged.
    """

    def __init__(self, line_format: Literal["json", "text"], sink: LineSink | None) -> None:
        self._sink = sink
        self._encode = msgspec.json.Encoder().encode if line_format == "json" else _text
        self._second = -1
        self._stamp = ""

    def ended(self, exchange: Exchange) -> None:
        """Write the line of an exchange."""
        if self._sink is None:
            return
        received, key, route = exchange.received, exchange.key, exchange.route
        started_s, first_byte_s = received.started_s, exchange.first_byte_s
        record = AccessRecord(
            time=self._time(received.at_unix_s),
            request_id=exchange.request_id,
            client=received.client,
            method=received.method,
            path=received.path,
            status=exchange.status,
            total_ms=round((time.monotonic() - started_s) * 1e3, 2),
            bytes_in=exchange.bytes_in,
            bytes_out=exchange.bytes_out,
            key=None if key is None else key.name,
            model=exchange.model,
            upstream=None if route is None else route.upstream,
            upstream_model=None if route is None else route.upstream_model[:_MAX_ID_CHARS],
            upstream_request_id=exchange.upstream_request_id,
            stream=exchange.stream,
            first_byte_ms=None
            if first_byte_s is None
            else round((first_byte_s - started_s) * 1e3, 2),
            usage=exchange.usage or None,
            session_id=exchange.session_id,
            agent_id=exchange.agent_id,
            cause=exchange.cause,
        )
        try:
            line = self._encode(record)
        except UnicodeEncodeError:
            line = self._encode(_encodable(record))
        self._sink(line)

    def _time(self, unix_s: float) -> str:
        second = int(unix_s)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{int((unix_s - second) * 1e3):03d}Z"


def _text(record: AccessRecord) -> bytes:
    fields = msgspec.to_builtins(record)
    head = [_shown(fields.pop(name)) for name in ("time", "method", "path", "status")]
    return b" ".join(
        [*head, *(name.encode() + b"=" + _shown(value) for name, value in fields.items())]
    )


def _shown(value: object) -> bytes:
    """Show a value so that it cannot break the line or fake another field: clients and upstreams choose some."""
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) is not None
    return str(value).encode() if plain else msgspec.json.encode(value)


def _encodable(value: Any) -> Any:
    """Return a record, or any part of it, in which every text can be encoded."""
    match value:
        case AccessRecord():
            fields = msgspec.structs.asdict(value).items()
            return AccessRecord(**{name: _encodable(each) for name, each in fields})
        case str():
            return encodable(value)
        case dict():
            return {_encodable(name): _encodable(each) for name, each in value.items()}
        case list():
            return [_encodable(each) for each in value]
        case _:
            return value
