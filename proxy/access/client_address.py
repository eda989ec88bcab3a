"""Which client a request comes from, when it came through proxies that are trusted to say so. Pure.

Each proxy adds the address that it was reached from at the end of `X-Forwarded-For`, or of `Forwarded` (RFC 7239).
What stands before that a client may have written itself. So the addresses are read from the end, as long as they are
those of trusted proxies; the first other one is the client's.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# The elements of a list, the parameters of an element: quoted strings may hold what separates them. One that is not
# closed goes to the end: else each quote in it would be tried as the first one, in 600 ms for 8 kB.
_ELEMENTS = re.compile(r'(?:[^",]|"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z))+')
_FOR = re.compile(r'(?i)(?:^|;)[ \t]*for[ \t]*=[ \t]*("[^"\\]*(?:\\.[^"\\]*)*"|[^";]*)')
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\w*)?|([^:]*)(?::\w*)?")


class TrustedProxies:
    """The networks whose word on the client is taken.

    Args:
        networks: addresses and networks, such as `10.0.0.0/8`.

    Raises:
        ValueError: one is neither.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(each, strict=False) for each in networks]

    def trusts(self, peer: str | None) -> bool:
        """Return whether a peer is one of the proxies."""
        address = _parse(peer or "") if self._networks else None
        return address is not None and self._has(address)

    def client_of(
        self, peer: str | None, forwarded: Sequence[str], x_forwarded_for: Sequence[str]
    ) -> str | None:
        """Return the client's address; the peer's own when it is not trusted, or nothing better is known.

        Args:
            peer: who has connected.
            forwarded: the values of `Forwarded`, in their order.
            x_forwarded_for: the values of `X-Forwarded-For`, in their order.
        """
        if not self.trusts(peer):
            return peer
        said = {
            self._client(chain) or peer
            for chain in (_of_forwarded(forwarded), _of_x_forwarded_for(x_forwarded_for))
            if chain is not None
        }
        # A proxy writes one of the two and passes the other on: when they differ, either may be the client's invention.
        return said.pop() if len(said) == 1 else peer

    def _client(self, from_end: Iterable[str]) -> str | None:
        """Return the last address that is no proxy's; else the first one before something that is no address."""
        client = None
        for text in from_end:
            address = _parse(text)
            if address is None:
                return client
            client = str(address)
            if not self._has(address):
                return client
        return client

    def _has(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)


def _of_x_forwarded_for(values: Sequence[str]) -> Iterator[str] | None:
    texts = ",".join(values).split(",")
    return (_without_port(each.strip()) for each in reversed(texts)) if values else None


def _of_forwarded(values: Sequence[str]) -> Iterator[str] | None:
    if not values:
        return None
    elements = reversed(_ELEMENTS.findall(",".join(values)))
    found = (_FOR.search(element) for element in elements)
    return (_without_port(each[1].strip().strip('"')) if each else "" for each in found)


def _without_port(text: str) -> str:
    match = _WITH_PORT.fullmatch(text)
    return (match[1] or match[2] or "") if match else text


def _parse(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # As an IPv6 socket shows an IPv4 peer.
    return getattr(address, "ipv4_mapped", None) or address
