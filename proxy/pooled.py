"""What a request did in a pool of upstreams: whom it asked, and what came of it. Pure."""

from typing import Any

import msgspec


class Attempt(msgspec.Struct, omit_defaults=True):
    """One upstream that was asked.

    Attributes:
        upstream: its name.
        ms: until it had answered, or failed.
        status: that it answered; None: it did not.
        cause: why there is no answer that could be passed on; None: there is one.
        request_id: the upstream's.
        usage: of an answer that began, and was thrown away.
    """

    upstream: str
    ms: float
    status: int | None = None
    cause: str | None = None
    request_id: str | None = None
    usage: dict[str, Any] | None = None


class Pooled(msgspec.Struct):
    """What a request did in a pool.

    Attributes:
        home: the upstream that its conversation belongs to.
        affinity: how the conversation was known: `session`, `user`, `prompt`, `key`; None: all have one home.
        is_thread: whether later requests may refer to its answer by its id.
        attempts: whom it has asked so far; none when the first has answered.
        is_noted: whether what came of the last of them has been noted of the upstream.
    """

    home: str
    affinity: str | None = None
    is_thread: bool = False
    attempts: list[Attempt] = []
    is_noted: bool = False
