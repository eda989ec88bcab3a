"""Connections that wait for their next request, in pools of those that may be used for each other's requests.

A connector has such pools, too; its way to them, and back, takes eleven calls a request and works out three hashes of
nine fields. Here a template knows its pool, and the connector only makes connections.
"""

import asyncio
import collections
import time
import weakref
from collections.abc import Hashable

from aiohttp.connector import Connection


class Pool:
    """The idle connections of one kind, longest idle first.

    Args:
        idle_s: how long one may be idle.
        filled: pools that are not empty; this one adds itself.
    """

    def __init__(self, idle_s: float, filled: "set[Pool]") -> None:
        self._idle_s = idle_s
        self._filled = filled
        self._idle: collections.deque[tuple[Connection, float]] = collections.deque()

    def put(self, connection: Connection) -> None:
        """Keep a connection for the next request."""
        if not self._idle:
            self._filled.add(self)
        self._idle.append((connection, time.monotonic()))

    def take(self) -> Connection | None:
        """Take out a connection that can be used; None: there is none."""
        while self._idle:
            connection, since_s = self._idle.popleft()
            if not self._idle:
                self._filled.discard(self)
            if not connection.closed and time.monotonic() - since_s <= self._idle_s:
                return connection
            connection.close()
        return None

    def close_idle(self, until_s: float) -> None:
        """Close the connections that have been idle since then, or are closed by their peer."""
        idle, self._idle = self._idle, collections.deque()
        for connection, since_s in idle:
            if connection.closed or since_s <= until_s:
                connection.close()
            else:
                self._idle.append((connection, since_s))
        if not self._idle:
            self._filled.discard(self)


class Pools:
    """The pools of one client, each there for as long as anybody knows it or a connection is in it.

    Args:
        idle_s: how long a connection may be idle.
    """

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._pools: weakref.WeakValueDictionary[Hashable, Pool] = weakref.WeakValueDictionary()
        self._filled: set[Pool] = set()
        self._timer: asyncio.TimerHandle | None = None

    def of(self, kind: Hashable) -> Pool:
        """Return the pool of the connections that are alike in this."""
        found = self._pools.get(kind)
        if found is None:
            found = self._pools[kind] = Pool(self._idle_s, self._filled)
        if self._timer is None:
            self._look()
        return found

    def close(self) -> None:
        """Close every idle connection, and look no more."""
        if self._timer is not None:
            self._timer.cancel()
        for pool in tuple(self._filled):
            pool.close_idle(time.monotonic())

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._idle_s, self._look)
        until_s = time.monotonic() - self._idle_s
        for pool in tuple(self._filled):
            pool.close_idle(until_s)
