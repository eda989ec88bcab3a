"""Which connections are open, which of them are idle and since when, and how many each client has. Pure."""

import collections
import ipaddress
from typing import Generic, TypeVar

_IPV6_HOST_BITS = 64

T = TypeVar("T")


class Registry(Generic[T]):
    """Counts connections.

    Attributes:
        open: those not yet closed, each with its client; None: the client is not counted.
    """

    def __init__(self) -> None:
        self.open: dict[T, str | None] = {}
        # A dict keeps the order in which they became idle.
        self._idle: dict[T, None] = {}
        self._per_client: collections.Counter[str] = collections.Counter()

    def add(self, connection: T, client: str | None) -> None:
        """Count a new connection, idle until its first byte."""
        self.open[connection] = client
        self._idle[connection] = None
        if client is not None:
            self._per_client[client] += 1

    def remove(self, connection: T) -> None:
        """Forget a connection that is closed."""
        self._idle.pop(connection, None)
        client = self.open.pop(connection, None)
        if client is not None:
            self._per_client[client] -= 1
            if not self._per_client[client]:
                del self._per_client[client]

    def replace(self, old: T, new: T) -> None:
        """Count a connection in the place of one that it was until now."""
        client = self.open[old]
        self.remove(old)
        self.add(new, client)

    def of(self, client: str) -> int:
        """Return how many connections a client has."""
        return self._per_client[client]

    def rests(self, connection: T) -> None:
        """Count a connection as idle from now on."""
        self._idle[connection] = None

    def wakes(self, connection: T) -> None:
        """Count a connection as idle no more."""
        self._idle.pop(connection, None)

    def longest_idle(self) -> T | None:
        """Take out the connection that has been idle longest; None when none is."""
        connection = next(iter(self._idle), None)
        if connection is not None:
            del self._idle[connection]
        return connection


def client_of(address: str) -> str:
    """Return whose an address is: an IPv4 address stands for itself, an IPv6 address for its network of 64 bits.

    A host has a whole such network, and could come from a new address each time.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.version == 6 and ip.ipv4_mapped is not None:  # noqa: PLR2004 - the version of IP
        return str(ip.ipv4_mapped)
    if ip.version == 6:  # noqa: PLR2004 - the version of IP
        return str(ipaddress.ip_network((ip, _IPV6_HOST_BITS), strict=False))
    return address
