"""Which proxy leads to an upstream: the one of its own, or else by the environment's variables.

As curl and Go read them: `https_proxy` for https, `http_proxy` for http, `all_proxy` for both, `no_proxy` for neither;
the lower-case name counts before the upper-case one, and one that is set and empty means no proxy. As with Go, an
upstream on this machine is never reached through one: loopback means another machine there. Pure.
"""

import base64
import ipaddress
from collections.abc import Mapping

import msgspec
from yarl import URL

from proxy.config import Upstream

_DEFAULT_PORTS = {"http": 80, "https": 443}


class ProxyUnusableError(RuntimeError):
    """The environment names a proxy that the gateway cannot use."""


class Proxy(msgspec.Struct, frozen=True):
    """A proxy.

    Attributes:
        url: without credentials.
        authorization: the value of `Proxy-Authorization`; None: it wants none.
        variable: that named it.
    """

    url: URL
    authorization: str | None
    variable: str

    def __repr__(self) -> str:
        """Return it without its credentials."""
        return f"Proxy({self.url}, from {self.variable})"


def proxy_of(upstream: Upstream, environ: Mapping[str, str]) -> Proxy | None:
    """Find the proxy on the way to an upstream: its own, or the environment's; None when there is none.

    Raises:
        ProxyUnusableError: it is no HTTP proxy.
    """
    if upstream.proxy is not None:
        return _parse(upstream.proxy, f"upstreams.{upstream.name}.proxy")
    return proxy_for(URL(upstream.base_url, encoded=True), environ)


def proxy_for(url: URL, environ: Mapping[str, str]) -> Proxy | None:
    """Find the environment's proxy on the way to a URL; None when there is none.

    Raises:
        ProxyUnusableError: it is no HTTP proxy.
    """
    host = url.host or ""
    if _is_loopback(host) or _is_excepted(host, url.port, _value("no_proxy", environ)[0]):
        return None
    for scheme in (url.scheme, "all"):
        text, variable = _value(f"{scheme}_proxy", environ)
        if variable:
            return _parse(text, variable) if text else None
    return None


def _value(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return a variable's value, and which spelling of it is set, empty when none is."""
    for variable in (name, name.upper()):
        if (value := environ.get(variable)) is not None:
            return value.strip(), variable
    return "", ""


def _parse(text: str, variable: str) -> Proxy:
    try:
        url = URL(text if "://" in text else f"http://{text}")
        usable = url.scheme in _DEFAULT_PORTS and bool(url.host) and url.port is not None
    except ValueError:
        usable = False
    if not usable:
        # Its text is not shown: there may be a password in it.
        raise ProxyUnusableError(
            f"{variable} names no HTTP proxy: write http://HOST:PORT, or except the upstream's host in NO_PROXY"
        )
    authorization = None
    if url.user is not None:
        pair = f"{url.user}:{url.password or ''}".encode()
        authorization = "Basic " + base64.b64encode(pair).decode("ascii")
    return Proxy(url.with_user(None).origin(), authorization, variable)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")


def _is_excepted(host: str, port: int | None, no_proxy: str) -> bool:
    return any(_matches(entry.strip(), host, port) for entry in no_proxy.split(","))


def _matches(entry: str, host: str, port: int | None) -> bool:
    """Return whether an entry of `no_proxy` means a host: `*`, a network, or a name or address, perhaps with a port."""
    if entry == "*":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is not None:
        try:
            return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
        except ValueError:
            pass
    name, colon, entry_port = entry.rpartition(":")
    if not colon or not entry_port.isdecimal():
        name, entry_port = entry, ""
    if entry_port and int(entry_port) != port:
        return False
    name = name.strip("[]").removeprefix("*").strip(".").lower()
    host = host.strip(".").lower()
    if not name:
        return False
    return host == name or (address is None and host.endswith(f".{name}"))
