"""The callers' keys: made, kept as digests, looked up. Pure but for the randomness of a new key.

A key is looked up by its SHA-256, so neither memory nor configuration holds one that works, and comparing
digests of unknown input in a dict tells an attacker nothing about the keys.
"""

import datetime
import hashlib
import secrets
from collections.abc import Callable, Iterable

from multidict import MultiMapping

from proxy.access.managed_keys import ManagedKeys
from proxy.config import Key
from proxy.errors import KeysUnavailable, Unauthenticated
from proxy.protocol import headers

PREFIX = "ar-"

_BEARER = "bearer "
# No configured key starts so, or is shorter; the configuration's schema says it.
_VENDORS = "sk-ant-"
_MIN_CHARS = 8
# Of those made here.
_CHARS = len(PREFIX) + 43


def new_key() -> str:
    """Make a key: `ar-` and 32 random bytes in URL-safe base64."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """Return the form a key is stored in: its SHA-256 in hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def read_keys(inbound: MultiMapping[str]) -> list[str]:
    """Return what a request carries as keys, none of it blank: by `x-api-key`, then by `Authorization: Bearer`.

    SDKs send an empty `x-api-key` when its variable is set and empty; some send a vendor's key or login beside ours.
    """
    values = list(inbound.getall(headers.X_API_KEY, ()))
    if authorizations := inbound.getall(headers.AUTHORIZATION, ()):
        values += [
            value[len(_BEARER) :]
            for value in authorizations
            if value[: len(_BEARER)].lower() == _BEARER
        ]
    return [key for value in values if (key := value.strip())]


def _flaw(value: str) -> str:
    """Return why a value can be no key of ours; nothing: it can."""
    if value.startswith(_VENDORS):
        return "a model vendor's own key or login does not work here"
    if not (value.isascii() and value.isprintable()) or " " in value:
        return "what was sent has characters that no key has"
    return f"what was sent is cut, with {_length(value)}" if len(value) < _MIN_CHARS else ""


def _doubt(value: str) -> str:
    """Return what can be seen of a value that opens nothing, whether or not it is somebody's."""
    is_short = value.startswith(PREFIX) and len(value) < _CHARS
    return f"what was sent may be cut, with {_length(value)}" if is_short else ""


def _length(value: str) -> str:
    return f"{len(value)} characters, where keys made here have {_CHARS}"


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class KeyRefused(Unauthenticated):
    """A key that is known, and is `expired` or `disabled`; its client is told no more than of an unknown one.

    Args:
        key: that one.
        reason, remark: as of `Unauthenticated`.
    """

    def __init__(self, key: Key, reason: str, remark: str) -> None:
        super().__init__(reason, remark)
        self.key = key


class KeyRing:
    """The keys that open the gateway."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = {key.sha256: key for key in keys}

    def authenticate(
        self,
        inbound: MultiMapping[str],
        managed: ManagedKeys | None = None,
        clock: Callable[[], datetime.datetime] = _now,
    ) -> Key:
        """Return the key a request presents: the first of those it carries that is one of ours.

        Args:
            inbound: the request's headers.
            managed: keys that are looked at after those of the ring; None: there are none.
            clock: returns the current time, timezone-aware.

        Raises:
            Unauthenticated: none, or unknown.
            KeyRefused: disabled, or expired.
            KeysUnavailable: unknown, and what is managed may know it by now.
        """
        reason, remark = "", ""
        for value in read_keys(inbound):
            sha256 = digest(value)
            key = self._keys.get(sha256)
            if key is None and managed is not None:
                key = managed.get(sha256)
            if key is None:
                if reason != "unknown":
                    flaw = _flaw(value)
                    reason, remark = ("malformed", flaw) if flaw else ("unknown", _doubt(value))
                continue
            if key.disabled:
                raise KeyRefused(key, "disabled", _doubt(value))
            if key.expires_at is not None and key.expires_at <= clock():
                raise KeyRefused(key, "expired", _doubt(value))
            return key
        if reason == "unknown" and managed is not None and not managed.is_fresh:
            raise KeysUnavailable
        if not reason:
            scheme = inbound.get(headers.AUTHORIZATION, "").strip().lower()
            is_other = scheme not in ("", _BEARER.strip())
            reason = "malformed" if is_other else "missing"
            remark = "`authorization` holds something else" if is_other else ""
        raise Unauthenticated(reason, remark=remark)
