"""The credentials that the gateway presents to upstreams: configured ones, and those that commands print."""

import asyncio
import dataclasses
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

from proxy.config import Auth, Upstream
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.protocol import headers
from proxy.upstreams.token_command import TokenError, token_of

_log = logging.getLogger(__name__)

_EARLIEST_PART = 0.9
_RETRY_FIRST_S, _RETRY_AT_LAST_S = 5.0, 60.0
_REFUSED_EVERY_S = 30.0
_REFUSED_PATIENCE_S = 5.0

Run = Callable[[tuple[str, ...]], Awaitable[str]]


def own_headers(upstream: Upstream, token: str | None = None) -> list[tuple[str, str | None]]:
    """Return the headers that the gateway sets for an upstream, or takes off (None), its credential last.

    Args:
        upstream: of the configuration.
        token: that its command has printed; None: none yet.
    """
    own = list(upstream.headers)
    key = upstream.auth.key if upstream.auth.command is None else token
    match upstream.auth.scheme:
        case "x-api-key":
            own.append((headers.X_API_KEY, key))
        case "bearer":
            own.append((headers.AUTHORIZATION, None if key is None else f"Bearer {key}"))
    return own


@dataclasses.dataclass
class Held:
    """What a command has printed, when it did by `time.monotonic()`, and what renews it."""

    auth: Auth
    token: str
    renewing: asyncio.Task[None] | None = None
    printed_s: float = dataclasses.field(default_factory=time.monotonic)


class Credentials:
    """The tokens of commands, renewed in time; and what can be done when an upstream refuses a credential.

    Args:
        renewed: called with an upstream's name and its new token.
        run: runs a command.

    Attributes:
        reread: reads the key of an upstream anew, when a file of the configuration has changed; None: nobody does.
    """

    def __init__(self, renewed: Callable[[str, str], None], run: Run = token_of) -> None:
        self._renewed = renewed
        self._run = run
        self._held: dict[str, Held] = {}
        self._refused: dict[str, tuple[float, asyncio.Task[None]]] = {}
        self.reread: Callable[[str], Awaitable[None]] | None = None

    @property
    def tokens(self) -> Mapping[str, str]:
        """Those that are known, by upstream."""
        return {name: held.token for name, held in self._held.items()}

    @property
    def printed_s(self) -> Mapping[str, float]:
        """When those were printed last, by upstream and `time.monotonic()`."""
        return {name: held.printed_s for name, held in self._held.items()}

    async def prepare(self, upstreams: Iterable[Upstream]) -> dict[str, Held]:
        """Run the commands of which nothing is known yet, side by side; those before are renewed as before.

        Returns:
            What they have printed, by upstream, which counts when it is followed.

        Raises:
            TokenError: there is no token for one of them.
        """
        unknown = [
            each for each in upstreams if each.auth.command is not None and not self._knows(each)
        ]
        found = await asyncio.gather(*map(self._first, unknown), return_exceptions=True)
        new = {}
        for upstream, token in zip(unknown, found, strict=True):
            if isinstance(token, BaseException):
                raise token
            new[upstream.name] = Held(upstream.auth, token)
        return new

    def follow(self, upstreams: Iterable[Upstream], new: Mapping[str, Held]) -> None:
        """Renew the tokens of these upstreams from now on, and no others.

        Args:
            upstreams: of the configuration that counts from now on.
            new: that were prepared for it.
        """
        for name, held in new.items():
            self._forget(name)
            self._held[name] = held
        wanted = {each.name for each in upstreams if self._knows(each)}
        for name in self._held.keys() - wanted:
            self._forget(name)
        for name, held in self._held.items():
            if held.renewing is None:
                held.renewing = asyncio.create_task(self._keep_new(name, held))

    async def close(self) -> None:
        """Renew nothing more."""
        tasks = [held.renewing for held in self._held.values() if held.renewing is not None]
        tasks += [task for _, task in self._refused.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def refused(self, upstream: Upstream) -> None:
        """Look for a newer credential, because an upstream has refused one: for some seconds, and not too often."""
        now = time.monotonic()
        since_s, task = self._refused.get(upstream.name, (-_REFUSED_EVERY_S, None))
        if now - since_s >= _REFUSED_EVERY_S or task is None:
            task = asyncio.create_task(self._look(upstream))
            self._refused[upstream.name] = now, task
        # Whoever leaves does not end what others wait for.
        await asyncio.wait((task,), timeout=_REFUSED_PATIENCE_S)

    async def _look(self, upstream: Upstream) -> None:
        held = self._held.get(upstream.name)
        if held is not None and held.auth == upstream.auth:
            await self._renew(upstream.name, held)
        elif self.reread is not None:
            await self.reread(upstream.name)

    async def _first(self, upstream: Upstream) -> str:
        try:
            return await self._run(upstream.auth.command or ())
        except TokenError as error:
            raise TokenError(f"upstreams.{upstream.name}.auth.command: {error}") from None

    async def _keep_new(self, name: str, held: Held) -> None:
        pause_s = held.auth.refresh_s
        while True:
            # Not all processes, and not all upstreams, at once.
            await asyncio.sleep(pause_s * random.uniform(_EARLIEST_PART, 1.0))  # noqa: S311 - no secret
            if await self._renew(name, held):
                pause_s = held.auth.refresh_s
            elif pause_s == held.auth.refresh_s:
                pause_s = min(_RETRY_FIRST_S, pause_s)
            else:
                pause_s = min(pause_s * 2, _RETRY_AT_LAST_S)

    async def _renew(self, name: str, held: Held) -> bool:
        """Return whether the command has printed a token; otherwise the one before goes on."""
        try:
            token = await self._run(held.auth.command or ())
        except TokenError as error:
            _log.error(
                "upstream %s: no new credential, the one before goes on: %s: look at upstreams.%s.auth.command",
                name,
                error,
                name,
                extra=notice(Event.CREDENTIAL_NOT_RENEWED, name),
            )
            return False
        held.printed_s = time.monotonic()
        if token != held.token and self._held.get(name) is held:
            held.token = token
            self._renewed(name, token)
        return True

    def _knows(self, upstream: Upstream) -> bool:
        held = self._held.get(upstream.name)
        return held is not None and held.auth == upstream.auth

    def _forget(self, name: str) -> None:
        held = self._held.pop(name, None)
        if held is not None and held.renewing is not None:
            held.renewing.cancel()
