"""The configuration of what the gateway tells by itself: alerts, traces. Pure."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True, slots=True)
class Receiver:
    """Whom alerts are sent to. `repr` never shows `url` and `secret`: whoever has them may post.

    Attributes:
        url: a POST is sent there.
        format: `slack`: an object with `text`, which others read as well; `json`: every field.
        secret: of the signature of a `json` body; None: it is not signed.
    """

    url: str = dataclasses.field(repr=False)
    format: Literal["slack", "json"] = "slack"
    secret: str | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Alerts:
    """Alerts by webhook.

    Attributes:
        to: who gets each of them; nobody: nothing is looked for.
        session_micros_in_10_min: what a session may spend in ten minutes, in micro-dollars; more is told.
    """

    to: tuple[Receiver, ...] = ()
    session_micros_in_10_min: int = 25_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Otel:
    """Traces by OpenTelemetry; where they go is said by the standard variables `OTEL_...`.

    Attributes:
        sample: which share of traces is sent, from 0 to 1. Requests that failed, and slow ones, always are.
        propagate: the upstreams whose `traceparent` names the gateway's span; all others get the client's.
    """

    sample: float = 1.0
    propagate: tuple[str, ...] = ()
