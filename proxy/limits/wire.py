"""A connection to Redis or Valkey: a command, its reply, and only then the next. Imported when it is needed.

redis-py knows what a URL means and how its TLS is set up, `hiredis` writes commands and reads replies. What redis-py
puts between the two is for many users of a connection. Here there is one, who waits for each reply: a call takes half
as much CPU.
"""

import asyncio
import socket
from typing import Any

import hiredis
import redis.asyncio
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection

FAILURES = (hiredis.HiredisError, redis.RedisError)
"""What a server says or sends, and what a URL makes of it, beside the failures of sockets."""


class Wire(asyncio.Protocol):
    """An open connection, or one that was."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Any] | None = None

    @property
    def is_open(self) -> bool:
        """Whether anything can be asked."""
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be told of the connection."""
        # uvloop's transports are none of asyncio's.
        self._transport = transport  # type: ignore[assignment] # of a stream, though

    def connection_lost(self, exc: Exception | None) -> None:
        """Be told of its end."""
        self._break(exc or ConnectionResetError("the server has closed it"))

    def data_received(self, data: bytes) -> None:
        """Take a reply, or a part of one."""
        try:
            self._reader.feed(data)
            reply = self._reader.gets()
        except hiredis.ProtocolError as error:
            self._break(error)
            return
        if reply is False:
            return  # the rest is to come
        if self._reply is None or self._reply.done() or self._reader.has_data():
            self._break(hiredis.ProtocolError("more replies than commands"))
        else:
            self._reply.set_result(reply)

    def _break(self, error: Exception) -> None:
        """Close it, and tell who waits why."""
        self.close()
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)

    async def ask(self, *command: str | bytes | int) -> Any:
        """Send a command, and return its reply.

        Who stops waiting ends the connection: a reply that comes late would be taken for that of the next command.

        Raises:
            OSError: the connection is lost.
            HiredisError: the server refuses the command, or speaks another protocol.
        """
        if self._transport is None:
            raise ConnectionResetError("the connection is closed")
        self._reply = asyncio.get_running_loop().create_future()
        try:
            self._transport.write(hiredis.pack_command(command))  # type: ignore[arg-type] # typed as of one argument
            reply = await self._reply
        except BaseException:
            self.close()
            raise
        finally:
            self._reply = None
        if isinstance(reply, hiredis.HiredisError):
            raise reply
        return reply

    def close(self) -> None:
        """Close it at once."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()


def place_of(url: str) -> Any:
    """Return what redis-py makes of a URL: where, as whom, and over what.

    Raises:
        ValueError, TypeError, RedisError: it has an option that there is not, or a value that is none.
    """
    pool = redis.asyncio.ConnectionPool.from_url(url)
    return pool.make_connection()  # type: ignore[no-untyped-call] # as redis-py has it


async def connect(url: str) -> Wire:
    """Return a connection to the database that a URL names, signed in there.

    Raises:
        OSError, HiredisError, RedisError: there is none.
    """
    there = place_of(url)
    loop = asyncio.get_running_loop()
    if isinstance(there, UnixDomainSocketConnection):
        _, wire = await loop.create_unix_connection(Wire, there.path)
    else:
        tls = there.ssl_context.get() if isinstance(there, SSLConnection) else None
        transport, wire = await loop.create_connection(Wire, there.host, there.port, ssl=tls)
        _keep_alive(transport.get_extra_info("socket"), there)
    try:
        if there.username or there.password:
            user = (there.username,) if there.username else ()
            await wire.ask("AUTH", *user, there.password or "")
        if there.client_name:
            await wire.ask("CLIENT", "SETNAME", there.client_name)
        if there.db:
            await wire.ask("SELECT", int(there.db))
    except BaseException:
        wire.close()
        raise
    return wire


def _keep_alive(connected: socket.socket, there: Any) -> None:
    """Have the system ask now and then whether a server is there: a firewall forgets connections that say nothing."""
    if there.socket_keepalive:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in there.socket_keepalive_options.items():
            connected.setsockopt(socket.IPPROTO_TCP, option, value)
