"""The callers' keys: made, kept as digests, looked up. Pure but for the randomness of a new key.

A key is looked up by its SHA-256, so neither memory nor configuration holds one that works, and comparing
digests of unknown input in a dict tells an attacker nothing about the keys.
"""

import datetime
import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping

from proxy.config import Key
from proxy.errors import Unauthenticated
from proxy.protocol import headers

PREFIX = "ar-"

_BEARER = "bearer "


def new_key() -> str:
    """Make a key: `ar-` and 32 random bytes in URL-safe base64."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """Give the form a key is stored in: its SHA-256 in hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def presented(inbound: Mapping[str, str]) -> str | None:
    """Read the key a request carries: `x-api-key` when present, else `Authorization: Bearer`."""
    key = inbound.get(headers.X_API_KEY)
    if key is None:
        value = inbound.get(headers.AUTHORIZATION, "")
        key = value[len(_BEARER) :] if value[: len(_BEARER)].lower() == _BEARER else None
    return key.strip() if key is not None else None


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class KeyRing:
    """The keys that open the gateway."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = {key.sha256: key for key in keys}

    def authenticate(
        self, inbound: Mapping[str, str], clock: Callable[[], datetime.datetime] = _now
    ) -> Key:
        """Find the key a request presents.

        Args:
            inbound: the request's headers.
            clock: gives the time expiry is judged at, with its zone.

        Raises:
            Unauthenticated: none, unknown, or expired.
        """
        presented_key = presented(inbound)
        if presented_key is None:
            raise Unauthenticated
        key = self._keys.get(digest(presented_key))
        if key is None or (key.expires_at is not None and key.expires_at <= clock()):
            raise Unauthenticated
        return key
