"""Which client sent a request, by what it calls itself in `User-Agent`. Pure.

`claude-cli/2.1.330 (external, cli)`, `Anthropic/Python 2.12.0`, `curl/8.5.0`: a product, its version, and then whatever
its makers like. Whoever calls it what it is not is believed: this is for the log.
"""

import functools
import re
from typing import NamedTuple

# From the first digit behind a slash or a space on it is the version.
_PRODUCT = re.compile(r"([!-~ ]{1,40}?)(?:[/ ]v?([0-9][\w.+-]{0,30}))?(?:[ ;,(]|\Z)", re.ASCII)
_MAX_READ_CHARS = 200
_CACHED = 512


class Client(NamedTuple):
    """A client's product and its version; None where it does not say."""

    product: str | None
    version: str | None


NOBODY = Client(None, None)


def client_of(user_agent: str | None) -> Client:
    """Return the product that a `User-Agent` names first, and its version."""
    return NOBODY if user_agent is None else _read(user_agent[:_MAX_READ_CHARS])


@functools.lru_cache(_CACHED)
def _read(user_agent: str) -> Client:
    found = _PRODUCT.match(user_agent.strip())
    return Client(found[1].strip() or None, found[2]) if found else NOBODY
