"""Who is signed in: by a credential of the admin API, or by a client's key, whose holder sees what is its own.

A signed cookie says which, and nothing that opens anything. Whether that credential or key is still good is looked at
on each request: one that is changed or ended is signed out everywhere.
"""

import datetime
import time

from aiohttp import web

from proxy.access.client_address import TrustedProxies
from proxy.access.keys import digest, read_keys
from proxy.access.records import KeyRecord
from proxy.admin.page.cookies import VALID_S, Cookies
from proxy.admin.page.page import View
from proxy.admin.page.tries import Tries
from proxy.admin.page.viewer import Viewer
from proxy.config import Admin, Config, Key
from proxy.errors import StoreUnavailable, Unauthenticated
from proxy.server.registry import client_of as network_of
from proxy.store.keys import opened_by

_STORE_ANSWERS_WITHIN_S = 2.0
_MOST_REMEMBERED = 10_000
_KEY_CHARS = 500


class SignIn:
    """The sign-in of the pages.

    Args:
        admin: of the configuration.

    Attributes:
        key_holders: whether a client's key signs in, too.
    """

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self.key_holders = admin.key_holders
        self._operators = {key.sha256: key for key in admin.keys if key.role in ("read", "write")}
        self._cookies = Cookies(admin)
        self._tries = Tries(time.monotonic)
        # Managed keys as the store last had them: one can be ended there only, so while it is silent they stay good.
        self._remembered: dict[str, KeyRecord] = {}
        prefix = "__Host-" if admin.behind_https else ""
        # A browser sends cookies to every port of a host.
        self._cookie = f"{prefix}anyrouter-{admin.port}"

    async def viewer_of(self, request: web.Request, view: View) -> Viewer | None:
        """Return who asks, by a header or by the cookie; None: nobody who is signed in.

        Raises:
            Unauthenticated: a header has what opens nothing.
            TooManyTries: too many wrong ones came from there.
        """
        if given := read_keys(request.headers):
            return (await self._opened(request, view, given[0]))[0]
        sha256 = await self._cookies.read(view, request.cookies.get(self._cookie, ""))
        return None if sha256 is None else await self._good(sha256, view)

    async def sign_in(
        self, request: web.Request, view: View, given: str, response: web.Response
    ) -> Viewer:
        """Give a browser its cookie.

        Raises:
            Unauthenticated: the key opens nothing.
            TooManyTries: too many wrong ones came from there.
        """
        viewer, named = await self._opened(request, view, given.strip()[:_KEY_CHARS])
        response.set_cookie(
            self._cookie,
            await self._cookies.sign(view, named),
            max_age=VALID_S,
            path="/",
            httponly=True,
            secure=self._admin.behind_https,
            samesite="Strict",
        )
        return viewer

    def sign_out(self, response: web.Response) -> None:
        """Take a browser's cookie."""
        response.del_cookie(
            self._cookie,
            path="/",
            secure=self._admin.behind_https,
            httponly=True,
            samesite="Strict",
        )

    async def _opened(self, request: web.Request, view: View, given: str) -> tuple[Viewer, str]:
        """Return whose a key is, and its digest."""
        sha256 = digest(given)
        viewer = self._configured(sha256, view)
        if viewer is None and sha256 in self._remembered:
            # Nobody's guess: whatever came from the same address, its holder goes on.
            viewer = await self._stored(sha256, view)
        elif viewer is None:
            viewer = await self._tried(_address(request, view.config), sha256, view)
        if viewer is None:
            raise Unauthenticated("unknown")
        return viewer, sha256

    async def _tried(self, address: str, sha256: str, view: View) -> Viewer | None:
        self._tries.begin(address)
        is_wrong = False
        try:
            viewer = await self._stored(sha256, view)
            is_wrong = viewer is None
        finally:
            # Also when the store is silent: nobody knows what it was.
            if not is_wrong:
                self._tries.take_back(address)
        return viewer

    async def _good(self, sha256: str, view: View) -> Viewer | None:
        """Return whose a credential or key is that is good now; None: it is not, or no longer."""
        return self._configured(sha256, view) or await self._stored(sha256, view)

    def _configured(self, sha256: str, view: View) -> Viewer | None:
        if (operator := self._operators.get(sha256)) is not None:
            return Viewer(operator.name, "write" if operator.role == "write" else "read")
        if not self.key_holders:
            return None
        key = next((each for each in view.config.keys if each.sha256 == sha256), None)
        return None if key is None else _holder(key, datetime.datetime.now(datetime.UTC))

    async def _stored(self, sha256: str, view: View) -> Viewer | None:
        if not self.key_holders or any(key.sha256 == sha256 for key in view.config.keys):
            return None
        record = await self._managed(sha256, view)
        if record is None or any(key.name == record.name for key in view.config.keys):
            return None
        secrets = [each for each in record.secrets if each.sha256 == sha256]
        now = datetime.datetime.now(datetime.UTC)
        return _holder(record.key_of(secrets[0]), now) if secrets else None

    async def _managed(self, sha256: str, view: View) -> KeyRecord | None:
        if not view.has_store:
            return None
        try:
            record = await view.ask(
                lambda engine: opened_by(engine, sha256), _STORE_ANSWERS_WITHIN_S
            )
        except StoreUnavailable:
            if sha256 not in self._remembered:
                raise
            return self._remembered[sha256]
        if record is not None:
            self._remembered[sha256] = record
            if len(self._remembered) > _MOST_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
        else:
            self._remembered.pop(sha256, None)
        return record


def _holder(key: Key, now: datetime.datetime) -> Viewer | None:
    is_over = key.expires_at is not None and key.expires_at <= now
    return None if key.disabled or is_over else Viewer(key.name, "key")


def _address(request: web.Request, config: Config) -> str:
    forwarded = request.headers.getall("Forwarded", ())
    x_forwarded_for = request.headers.getall("X-Forwarded-For", ())
    proxies = TrustedProxies(config.trusted_proxies)
    return network_of(proxies.client_of(request.remote, forwarded, x_forwarded_for) or "")
