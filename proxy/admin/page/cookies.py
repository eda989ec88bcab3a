"""The sign-in's cookies: signed with the store's secret, which all machines of a store have, also after a restart."""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable

import itsdangerous

from proxy.admin.page.page import View
from proxy.config import Admin
from proxy.errors import StoreUnavailable
from proxy.store.sign_in_secrets import sign_in_secrets

VALID_S = 12 * 3600
_ANSWERED_WITHIN_S = 2.0
_LOOKED_AFTER_S = 3600.0
# A cookie that another machine has signed with a secret of its own making: garbage must not ask the store each time.
_LOOKED_AGAIN_AFTER_S = 5.0
_BYTES = 32


class Cookies:
    """Signs what is in a cookie, and reads it again.

    Without a store, or while it is silent, cookies are signed with a secret of this process.

    Args:
        admin: the digests of its keys are a part of what signs: when one changes, all sign in again; and who reads the
            store, or a backup of it, can make no cookie.
    """

    def __init__(self, admin: Admin) -> None:
        self._digests = ",".join(sorted(key.sha256 for key in admin.keys)).encode()
        self._own = secrets.token_hex(_BYTES)
        self._signer = self._signer_of(())
        # When the store was asked last; all who come meanwhile wait for its answer.
        self._looked_s: float | None = None
        self._looking = asyncio.Lock()
        self._has_stored = False

    async def sign(self, view: View, text: str) -> str:
        """Return a cookie with a text."""
        await self._look(view, _LOOKED_AFTER_S if self._has_stored else _LOOKED_AGAIN_AFTER_S)
        return str(self._signer.dumps(text))

    async def read(self, view: View, cookie: str) -> str | None:
        """Return a cookie's text; None: it is not one of ours, or no longer."""
        if not (cookie and cookie.isascii()):
            return None
        await self._look(view, _LOOKED_AFTER_S if self._has_stored else _LOOKED_AGAIN_AFTER_S)
        try:
            return str(self._signer.loads(cookie, max_age=VALID_S))
        except itsdangerous.SignatureExpired:
            return None
        except itsdangerous.BadData:
            before = self._signer
            await self._look(view, _LOOKED_AGAIN_AFTER_S)
            if self._signer is before:
                return None
        try:
            return str(self._signer.loads(cookie, max_age=VALID_S))
        except itsdangerous.BadData:
            return None

    async def _look(self, view: View, after_s: float) -> None:
        """Ask the store for its secrets, unless that was done lately."""
        if not view.has_store:
            return
        async with self._looking:
            now_s = time.monotonic()
            if self._looked_s is not None and now_s - self._looked_s < after_s:
                return
            now_ms = view.now_ms()
            try:
                stored = await view.ask(
                    lambda engine: sign_in_secrets(engine, now_ms), _ANSWERED_WITHIN_S
                )
                self._signer, self._has_stored = self._signer_of(stored), True
            except StoreUnavailable:
                pass  # what is known goes on, and is asked for again soon
            self._looked_s = time.monotonic()

    def _signer_of(self, stored: Iterable[str]) -> itsdangerous.URLSafeTimedSerializer:
        """Return what signs with the last secret, and knows what all have signed."""
        return itsdangerous.URLSafeTimedSerializer(
            [
                hmac.new(each.encode(), self._digests, hashlib.sha256).digest()
                for each in (self._own, *stored)
            ],
            salt="anyrouter view",
            signer_kwargs={"digest_method": hashlib.sha256},
        )
