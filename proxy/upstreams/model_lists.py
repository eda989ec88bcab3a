"""What the upstreams of wildcards list, fetched when somebody asks: a list that cannot be had is an empty one."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec
from aiohttp import hdrs
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from proxy.aiohttp_fast import Resolver
from proxy.config import Pool, Upstream
from proxy.config_file.tls import context_of
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.routing.model_ids import OwnIds
from proxy.upstreams.credentials import own_headers
from proxy.upstreams.proxies import proxy_of
from proxy.upstreams.reasons import describe

_log = logging.getLogger(__name__)

_FRESH_S = 600.0
_RETRY_AFTER_S = 30.0
_FETCH_WITHIN_S = 10.0
# Claude Code waits three seconds for a list.
_PATIENCE_S = 2.0
# Of a thousand models it is 200 kB.
_MAX_BYTES = 1 << 20
_VERSION = "2023-06-01"


class _Listed(msgspec.Struct):
    data: list[dict[str, Any]]


class ModelLists:
    """The lists of some upstreams, renewed when somebody asks and they are old. Lives in one event loop.

    Args:
        upstreams: whose lists.
        tokens: returns those that commands have printed, by upstream.

    Attributes:
        listed: the entries of each upstream that has answered, by its name, under their native ids; of a pool those of
            its members.
    """

    def __init__(
        self,
        upstreams: Iterable[Upstream],
        pools: Iterable[Pool] = (),
        tokens: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._upstreams = tuple(upstreams)
        self._pools = tuple(pools)
        self._tokens = tokens
        self._fetching: asyncio.Task[None] | None = None
        self._due_s = 0.0
        self.listed: dict[str, list[dict[str, Any]]] = {}

    def change(self, upstreams: Iterable[Upstream], pools: Iterable[Pool] = ()) -> None:
        """Follow other upstreams; what was listed by those that stay as they were is kept."""
        upstreams, pools = tuple(upstreams), tuple(pools)
        if (upstreams, pools) == (self._upstreams, self._pools):
            return
        self._pools = pools
        kept = {each.name for each in upstreams if each in self._upstreams}
        self.listed = {name: entries for name, entries in self.listed.items() if name in kept}
        self._upstreams, self._due_s = upstreams, 0.0
        self._list_pools()
        if self._fetching is not None:
            self._fetching.cancel()
            self._fetching = None

    def _list_pools(self) -> None:
        """List what the members of a pool list; of several that list one model, the first one's entry."""
        for pool in self._pools:
            found: dict[str, dict[str, Any]] = {}
            for member in pool.members:
                for entry in self.listed.get(member.upstream, ()):
                    found.setdefault(entry["id"], entry)
            if found:
                self.listed[pool.name] = list(found.values())

    async def current(self) -> Mapping[str, list[dict[str, Any]]]:
        """Return the lists; wait a little for the first ones, and never for later ones."""
        if not self._upstreams:
            return self.listed
        if time.monotonic() >= self._due_s and self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch_all())
        if not self.listed and self._fetching is not None:
            await asyncio.wait((self._fetching,), timeout=_PATIENCE_S)
        return self.listed

    async def close(self) -> None:
        """Fetch no more."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait((self._fetching,))

    async def _fetch_all(self) -> None:
        timeout = aiohttp.ClientTimeout(total=_FETCH_WITHIN_S)
        try:
            async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=Resolver()),
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
            ) as session:
                # Side by side: one that does not answer holds no other's list up.
                fetches = [self._fetch(session, each) for each in self._upstreams]
                is_fresh = all(await asyncio.gather(*fetches))
            self._list_pools()
            self._due_s = time.monotonic() + (_FRESH_S if is_fresh else _RETRY_AFTER_S)
        finally:
            if self._fetching is asyncio.current_task():
                self._fetching = None

    async def _fetch(self, session: aiohttp.ClientSession, upstream: Upstream) -> bool:
        """Return whether the upstream has given its list."""
        url = URL(upstream.base_url + "/v1/models?limit=1000", encoded=True)
        headers = {"anthropic-version": _VERSION}
        credential = own_headers(upstream, self._tokens().get(upstream.name))
        headers |= {name: value for name, value in credential if value is not None}
        proxy = proxy_of(upstream, os.environ)
        to_proxy: dict[str, str] = {}
        if proxy is not None and proxy.authorization is not None:
            to_proxy[hdrs.PROXY_AUTHORIZATION] = proxy.authorization
        try:
            async with session.get(
                url,
                # A tunnel is asked for with headers of its own; without TLS there is none.
                headers=headers if url.scheme == "https" else {**headers, **to_proxy},
                allow_redirects=False,
                proxy=None if proxy is None else proxy.url,
                proxy_headers=to_proxy,
                ssl=context_of(upstream.tls),
            ) as response:
                if response.status != HTTPStatus.OK:
                    raise aiohttp.ClientResponseError(
                        response.request_info, (), status=response.status
                    )
                data = msgspec.json.decode(await _body_of(response), type=_Listed).data
        except (
            aiohttp.ClientError,
            TimeoutError,
            OSError,
            ValueError,
            RecursionError,
        ) as error:
            _log.info(
                "upstream %s (%s:%s) gave no model list, so what stands behind its wildcard is not listed: %s",
                upstream.name,
                url.host_subcomponent,
                url.port,
                _why(error),
                extra=notice(Event.MODELS_NOT_LISTED, upstream.name),
            )
            return False
        own_ids = OwnIds(upstream.model_ids)
        self.listed[upstream.name] = [
            {**each, "id": native}
            for each in data
            if isinstance(own := each.get("id"), str)
            and (native := own_ids.native(own)) is not None
        ]
        return True


async def _body_of(response: aiohttp.ClientResponse) -> bytes:
    """Read a list.

    Raises:
        ValueError: it is longer than any.
    """
    body = b""
    async for part in response.content.iter_any():
        body += part
        if len(body) > _MAX_BYTES:
            raise ValueError
    return body


def _why(error: Exception) -> str:
    match error:
        case aiohttp.ClientHttpProxyError():
            return describe(error)
        case aiohttp.ClientResponseError(__cause__=HttpProcessingError() as cause):
            return describe(cause)
        case aiohttp.ClientResponseError():
            return f"it answered {error.status}"
        case aiohttp.ConnectionTimeoutError() | TimeoutError():
            return f"no answer within {_FETCH_WITHIN_S:g} s"
        case ValueError() | RecursionError():
            return "what it sent is none"
    return describe(error)
