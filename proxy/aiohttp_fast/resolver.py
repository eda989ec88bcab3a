"""Look names up in threads that nothing waits for.

An event loop's own look-up cannot be broken off: with a DNS server that is silent, the process would end when the last
one does, half a minute late; and four of them, that nobody waits for any more, would hold up those of other hosts.
"""

import asyncio
import contextlib
import encodings.idna  # noqa: F401 - else sockets and TLS import it for the first name: then no file may be left for it
import errno
import socket
import threading
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

_Found = list[tuple[Any, ...]]


class Resolver(AbstractResolver):
    """Asks the system, as aiohttp's default does; the connector asks once for a host, and keeps the answer."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            OSError: there are none, or no thread can be started.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Found] = loop.create_future()

        def settle(found: _Found, error: Exception | None) -> None:
            if answer.done():
                return
            if error is None:
                answer.set_result(found)
            else:
                answer.set_exception(error)

        def tell(found: _Found, error: Exception | None = None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle, found, error)

        def look_up() -> None:
            try:
                found = socket.getaddrinfo(
                    host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
                )
            except (OSError, UnicodeError) as error:
                tell([], error)
            else:
                tell(found)

        try:
            threading.Thread(target=look_up, name="resolver", daemon=True).start()
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, "no thread can be started") from error
        return [_result(host, *each) for each in await answer]

    async def close(self) -> None:
        """Do nothing: what still runs is not waited for."""


def _result(
    host: str, family: int, _type: int, proto: int, _name: str, address: tuple[Any, ...]
) -> ResolveResult:
    scope = address[3] if family == socket.AF_INET6 else 0
    return ResolveResult(
        hostname=host,
        host=f"{address[0]}%{scope}" if scope else address[0],
        port=address[1],
        family=family,
        proto=proto,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
