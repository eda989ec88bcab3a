"""What an upstream's account has left, as its answers say in `anthropic-ratelimit-*` headers. Pure."""

import re
from collections.abc import Mapping

import msgspec

_KINDS = {
    "requests": "requests",
    "tokens": "tokens",
    "input_tokens": "input-tokens",
    "output_tokens": "output-tokens",
}
_COUNT = re.compile(r"[0-9]{1,15}", re.ASCII)
_TIME = re.compile(r"[0-9T:.+-]{10,40}Z?", re.ASCII)


class Headroom(msgspec.Struct):
    """One limit of an account.

    Attributes:
        limit: how much there is. `remaining`: of which is left.
        reset: when it is whole again, in RFC 3339 as the upstream says it; None: it does not.
    """

    limit: int
    remaining: int
    reset: str | None = None


def headroom(fields: Mapping[str, str]) -> dict[str, Headroom]:
    """Return the limits that the headers of an answer tell of, by kind; what cannot be read is left out."""
    found = {}
    for kind, name in _KINDS.items():
        limit, remaining, reset = (
            fields.get(f"anthropic-ratelimit-{name}-{each}", "")
            for each in ("limit", "remaining", "reset")
        )
        if _COUNT.fullmatch(limit) and _COUNT.fullmatch(remaining):
            at = reset if _TIME.fullmatch(reset) else None
            found[kind] = Headroom(int(limit), int(remaining), at)
    return found
