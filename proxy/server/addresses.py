"""The addresses that `listen.host` means, and sockets bound to them."""

import contextlib
import errno
import logging
import socket
from collections.abc import Iterable, Iterator
from typing import Any

from proxy.notices.events import Event
from proxy.notices.notice import notice

_log = logging.getLogger("anyrouter")

# Every address of both families: two sockets, so that no IPv4 client is seen as `::ffff:192.0.2.1`.
_EVERYWHERE = {"::": ("::", "0.0.0.0")}  # noqa: S104 - only when the configuration says `::`
_NOT_OURS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


@contextlib.contextmanager
def bound(
    hosts: Iterable[str], port: int, *, reuse_port: bool = False
) -> Iterator[list[socket.socket]]:
    """Bind a socket to each address of the hosts, all to one port, inside the context. None listens yet.

    Args:
        hosts: addresses or names; `::` is every address of both families.
        port: 0 takes one that is free.
        reuse_port: whether other processes may bind the same addresses.

    Raises:
        OSError: an address is in use; or none of a host's is this machine's.
    """
    with contextlib.ExitStack() as opened:
        sockets: dict[str, socket.socket] = {}
        for host in hosts:
            missing: OSError | None = None
            found = [each for one in _EVERYWHERE.get(host, (host,)) for each in _look_up(one)]
            for family, address in found:
                if address[0] in sockets:
                    continue
                try:
                    one = _bind(family, (address[0], port, *address[2:]), reuse_port=reuse_port)
                except OSError as error:
                    missing = error
                    if error.errno not in _NOT_OURS:
                        raise
                    continue
                sockets[address[0]] = opened.enter_context(one)
                port = one.getsockname()[1]
            if missing is not None:
                if not any(address[0] in sockets for _, address in found):
                    raise missing
                _log.warning(
                    "%s: %s; its other addresses are served",
                    host,
                    missing.strerror,
                    extra=notice(Event.ADDRESS_NOT_SERVED, host),
                )
        yield list(sockets.values())


def _look_up(host: str) -> list[tuple[int, tuple[Any, ...]]]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OSError(f"listen.host: {host}: {error.strerror}") from None
    return [(family, address) for family, _, _, _, address in found]


def _bind(family: int, address: tuple[Any, ...], *, reuse_port: bool) -> socket.socket:
    try:
        one = socket.socket(family, socket.SOCK_STREAM)
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
        except OSError:
            one.close()
            raise
    except OSError as error:
        where = f"cannot listen on {address[0]}, port {address[1]}: {error.strerror}"
        raise OSError(error.errno, where) from None
    one.setblocking(False)
    return one
