"""What a browser may be made to send here by another's page, and what its pages may load. Pure.

A page of another origin can point a name of its own to this address (DNS rebinding), and can send forms here with this
one's cookie. So a request is for a name that is known, and one that changes something is from a page of this origin:
browsers say so in `Sec-Fetch-Site`, older ones in `Origin`. Whoever shows a credential in a header that opens something
is no browser that was tricked, and need not pass.
"""

import ipaddress
import re

from multidict import MultiMapping

from proxy.config import Admin
from proxy.errors import ForeignHost, OriginForbidden

# No user, path or backslash: programs differ in what such a text names.
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+))(?::[0-9]*)?")
_SAFE = ("GET", "HEAD", "OPTIONS")

# Of every response. No script, style, image or form but this origin's own, and no exception to that.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def check(method: str, inbound: MultiMapping[str], admin: Admin) -> None:
    """Refuse what another's page may have had sent.

    Args:
        method: of the request.
        inbound: its headers.
        admin: of the configuration.

    Raises:
        ForeignHost: it is for a name that is not known.
        OriginForbidden: it would change something, and comes from a page of another origin.
    """
    host = inbound.get("Host", "")
    if not _is_known(host, admin):
        raise ForeignHost(
            "this is not known by the name of the Host header: add the name to `admin.hosts` if it is right"
        )
    if method not in _SAFE and not _is_of_this_origin(host, inbound):
        raise OriginForbidden("only a page of this origin may send this")


def _is_known(host: str, admin: Admin) -> bool:
    """Return whether a `Host` is an address, which nobody can point elsewhere, or a name that was given."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = (match[1] or match[2]).lower().rstrip(".")
    if name in ("localhost", admin.host.lower(), *admin.hosts) or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_of_this_origin(host: str, inbound: MultiMapping[str]) -> bool:
    if (site := inbound.get("Sec-Fetch-Site")) is not None:
        return site in ("same-origin", "none")
    if (origin := inbound.get("Origin")) is not None:
        return origin.partition("://")[2] == host
    return True
