"""The sandbox's knobs: what each one means, and the two ways to turn them.

A knob is a field of `Knobs`. The command line's flags, the `x-sandbox` header and the bounds that
both obey are derived from the fields, so a knob is described in one place.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from proxy.sandbox.knob_values import MANY, json_object, pairs, switch
from proxy.sandbox.knob_values import knob as _knob

_DAY_S = 86_400.0
_LONGEST_TEXT = 1 << 25
_CHARACTERS_PER_WORD = 6
DEFAULT_EVENTS = 8
"""Deltas of an answer when `events` is off: at most this many."""


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """How the sandbox answers. `None` means off; every default is a healthy, immediate API.

    Raises:
        ValueError: a value is out of its bounds; the text names the knob.
    """

    ttfb: float = _knob(0.0, float, "seconds before anything is answered", low=0, high=_DAY_S)
    events: int | None = _knob(
        None,
        int,
        "exact number of content_block_delta events, filler added as needed; "
        "off: up to 8, as the text allows",
        low=1,
        high=1_000_000,
    )
    interval: float = _knob(
        0.0, float, "seconds between two content_block_delta events", low=0, high=_DAY_S
    )
    event_bytes: int | None = _knob(
        None, int, "characters of text in each delta, filler added as needed", low=1, high=1 << 20
    )
    cut: int | None = _knob(
        None,
        int,
        "abort the connection after this many bytes of the body; -1: before the status line",
        low=-1,
    )
    stall: int | None = _knob(
        None,
        int,
        "send nothing more after this many events of the stream (message_start is the first) "
        "and keep the connection open",
        low=0,
    )
    status: int | None = _knob(
        None, int, "answer every API request with this error status", low=400, high=599
    )
    error: str | None = _knob(
        None, str, "error type of `status`, or alone: an error with the status that belongs to it"
    )
    retry_after: int | None = _knob(
        None, int, "seconds in the retry-after header of `status` and `fail_rate` errors", low=0
    )
    fail_rate: float = _knob(
        0.0, float, "share of API requests answered 529 overloaded_error, 0 to 1", low=0, high=1
    )
    seed: int | None = _knob(
        None, int, "seed of `fail_rate`; off: different in each run; only at the start"
    )
    encoding: str | None = _knob(
        None,
        str,
        "compress answers of /v1/messages, whatever the client accepts: gzip or deflate",
        choices=("gzip", "deflate"),
    )
    overloaded_at: int | None = _knob(
        None,
        int,
        "end the stream with `event: error` overloaded_error after this many events "
        "(message_start is the first)",
        low=0,
    )
    wrong_length: int = _knob(
        0,
        int,
        "bytes by which the Content-Length of a JSON answer is wrong, as +N or -N",
        low=-MANY,
    )
    split: int | None = _knob(
        None,
        int,
        "write the stream in pieces of this many bytes, `interval` apart, not event by event",
        low=1,
    )
    no_stop: bool = _knob(False, switch, "end the stream cleanly, but without message_stop")
    ping: float = _knob(
        0.0,
        float,
        "seconds between pings while a paced stream runs; 0: only the first one",
        low=0,
        high=_DAY_S,
    )
    think: bool = _knob(False, switch, "put a thinking block with a signature first")
    stamp: bool = _knob(
        False, switch, "each text delta holds `t=<time.monotonic_ns() when sent> ` and filler"
    )
    echo: int = _knob(
        0,
        int,
        "answer with the request as JSON: 1: method, path_qs, headers, body_sha256, body_bytes; "
        "2: also body, as latin-1",
        low=0,
        high=2,
    )
    usage: str | None = _knob(
        None, json_object, "a JSON object, merged into the usage that an answer reports"
    )
    refuse: str | None = _knob(
        None,
        str,
        "refuse with this category (none: without one); before any output, but with `events` after it",
    )
    key: str | None = _knob(None, str, "the only credential that is accepted; off: any")
    record: bool = _knob(
        False, switch, "keep the last requests, for tests in its process; only at the start"
    )
    serve_record: bool = _knob(
        False,
        switch,
        "keep what each answer told and delivered, shown at /sandbox/served; only at the start",
    )

    def __post_init__(self) -> None:
        for name in METADATA:
            _check(name, getattr(self, name))
        if self.error is not None and self.status is None and self.error not in STATUSES:
            raise ValueError(f"error: {self.error!r} needs a status")
        if self.text_size > _LONGEST_TEXT:
            raise ValueError(f"events, event_bytes: more than {_LONGEST_TEXT} characters together")

    @property
    def text_size(self) -> int:
        """Return about how many characters `events` and `event_bytes` ask for; 0: they do not."""
        if self.events is None and self.event_bytes is None:
            return 0
        return (self.events or DEFAULT_EVENTS) * (self.event_bytes or _CHARACTERS_PER_WORD)

    @classmethod
    def parse(cls, text: str, base: "Knobs | None" = None) -> "Knobs":
        """Read `name=value,name=value`; knobs that are not named keep their value in `base`.

        A switch may stand without a value (`think`). Answers are cached: the same header costs
        one look-up.

        Raises:
            ValueError: an unknown knob, a knob given twice, a value that is wrong for it.
        """
        return _parse(text, base if base is not None else cls())


STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
METADATA: Mapping[str, Mapping[str, Any]] = {
    field.name: field.metadata for field in dataclasses.fields(Knobs)
}
"""By knob: how it is read, what it is about, its bounds."""


@lru_cache(maxsize=512)
def _parse(text: str, base: Knobs) -> Knobs:
    values: dict[str, Any] = {}
    for name, assigned, value in pairs(text):
        if name not in METADATA:
            raise ValueError(f"unknown knob {name!r}")
        if name in values:
            raise ValueError(f"{name}: given twice")
        is_bare = not assigned and METADATA[name]["read"] is switch
        values[name] = read_knob(name, "1" if is_bare else value)
    return dataclasses.replace(base, **values)


def _check(name: str, value: Any) -> None:
    if value is None or isinstance(value, bool):
        return
    low, high, choices = (METADATA[name][bound] for bound in ("low", "high", "choices"))
    if low is not None and not low <= value <= high:
        raise ValueError(f"{name}: {value} is not between {low} and {high}")
    if choices and value not in choices:
        raise ValueError(f"{name}: {value!r} is none of {', '.join(choices)}")


def read_knob(name: str, value: str) -> object:
    """Return a knob's value from text.

    Raises:
        ValueError: it is not a value of this knob.
    """
    if not value:
        raise ValueError(f"{name}: a value is expected")
    try:
        found: object = METADATA[name]["read"](value)
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}") from exc
    _check(name, found)
    return found
