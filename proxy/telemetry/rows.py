"""A request, or a line of the log, as a row of text for a person. Pure.

`20:18:52 200 POST messages claude-sonnet-4.6 laptop 1.8 s 9→4 tok`: what holds nothing is left out. A row of a request
has 120 columns at most, and what is longer ends in `…`; one that failed says why, and has the id that the client shows.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from proxy.pooled import Attempt

MAX_COLUMNS = 120

_RED, _GREEN, _YELLOW, _DIM, _PLAIN = "31", "32", "33", "2", ""
_COLOURS = {"debug": _DIM, "info": _GREEN, "warning": _YELLOW, "error": _RED, "critical": _RED}
_TIME_OF_DAY = slice(11, 19)
_MAX_NAME_CHARS = 32
# Clients and upstreams choose some texts: nothing in them may look like another field, or move the cursor.
_ODD = re.compile(r"[^!-~]")
# Up to the last /v1/.
_BASE = re.compile(r"/(?:.*/)?v1/(?=[a-z])")
_INPUTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_MINUTE_MS = 100_000.0


class Record(Protocol):
    """What a row shows of an access record; `proxy.telemetry.access_log` says what the fields mean."""

    time: str
    level: str
    request_id: str
    method: str
    path: str
    status: int | None
    total_ms: float
    key: str | None
    model: str | None
    usage: dict[str, Any] | None
    cost_micros: int | None
    client_product: str | None
    client_version: str | None
    upstream: str | None
    away: bool
    attempts: list[Attempt] | None
    cause: str | None
    error_type: str | None
    detail: str | None


def row_of(record: Record, *, coloured: bool) -> str:
    """Return the row of a request."""
    left = MAX_COLUMNS
    words: list[str] = []
    for text, colour in _words(record):
        if len(text) > left:
            words.append(_paint(f"{text[: left - 1]}…", colour, coloured=coloured))
            break
        words.append(_paint(text, colour, coloured=coloured))
        left -= len(text) + 1
        if left < len("…"):
            break
    return " ".join(words)


def log_row(time: str, level: str, text: str, *, coloured: bool) -> str:
    """Return a line of the log: whole, for it says what to do."""
    clock = _paint(time[_TIME_OF_DAY], _DIM, coloured=coloured)
    return f"{clock} {_paint(level, _COLOURS.get(level, _PLAIN), coloured=coloured)} {text}"


def _words(record: Record) -> Iterator[tuple[str, str]]:
    """Yield the words of a row, each with its colour."""
    yield record.time[_TIME_OF_DAY], _DIM
    colour = _COLOURS[record.level]
    yield "---" if record.status is None else str(record.status), colour
    yield _show(record.method), _PLAIN
    yield _show(_BASE.sub("", record.path, 1)), _PLAIN
    if record.model is not None:
        yield _show(record.model.removeprefix("anthropic/")), _PLAIN
    if record.key is not None:
        yield _show(record.key), _PLAIN
    yield _duration(record.total_ms), _PLAIN
    if record.usage and (tokens := _tokens(record.usage)):
        yield tokens, _PLAIN
    if record.cost_micros:
        yield _cost(record.cost_micros), _PLAIN
    if way := _way(record):
        yield f"via {way}", _PLAIN
    if record.cause is None:
        return
    yield record.cause, colour
    if record.error_type is not None and record.cause == "upstream_error":
        yield _show(record.error_type), colour
    yield _show(record.request_id), _DIM
    if record.detail is not None:
        yield " ".join(_ODD.sub("?", word) for word in record.detail.split()), _PLAIN
    if record.client_product is not None:
        version = f"/{record.client_version}" if record.client_version else ""
        yield _show(record.client_product + version), _DIM


def _way(record: Record) -> str:
    """Return which upstreams were asked, when it was not the conversation's own alone."""
    if record.attempts:
        *failed, last = record.attempts
        said = [f"{_show(each.upstream)}:{each.cause or each.status}" for each in failed]
        return ">".join((*said, _show(last.upstream)))
    return _show(record.upstream or "") if record.away else ""


def _show(text: str) -> str:
    plain = _ODD.sub("?", text)
    return plain if len(plain) <= _MAX_NAME_CHARS else f"{plain[: _MAX_NAME_CHARS - 1]}…"


def _paint(text: str, colour: str, *, coloured: bool) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if coloured and colour else text


def _duration(total_ms: float) -> str:
    if total_ms < 1000:  # noqa: PLR2004 - a second
        return f"{total_ms:.0f} ms"
    return f"{total_ms / 1e3:.1f} s" if total_ms < _MINUTE_MS else f"{total_ms / 1e3:.0f} s"


def _cost(micros: int) -> str:
    """Return dollars with four decimals; what is not nothing never looks like it, as on the pages."""
    rounded = (micros + 50) // 100
    return f"${rounded // 10_000}.{rounded % 10_000:04}" if rounded else "<$0.0001"


def _tokens(usage: Mapping[str, Any]) -> str:
    """Return the tokens in and out; nothing where the upstream's are no numbers."""
    taken = [count for name in _INPUTS if isinstance(count := usage.get(name), int)]
    given = usage.get("output_tokens")
    if not taken or not (given is None or isinstance(given, int)):
        return ""
    return f"{sum(taken)}→{given or 0} tok"
