"""What is wrong between a client and its gateway: in one sentence each, with what to do."""

import errno
import ipaddress
import re
import ssl

import aiohttp
import msgspec
from multidict import CIMultiDictProxy
from yarl import URL

UNKNOWN_KEY = (
    "the gateway does not know this key, or it has expired: `anyrouter keys new NAME` "
    "prints another, and the entry for its configuration"
)

_MAX_QUOTED_CHARS = 300
# OpenSSL's numbers for why a certificate is not good.
_EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 10, 62, 64
_NGINX = "in nginx: `proxy_buffering off;` and `gzip off;`"
_HAPROXY = "in HAProxy: `option http-no-delay`, and no compression"
_OTHERS = "in any other proxy: no buffering and no compression of responses"


def wrong_url(url: str) -> str | None:
    """Return what is wrong with a base URL; None: nothing."""
    scheme, colon, _ = url.partition("://")
    if not colon:
        return f"the URL needs http:// in front: http://{url.lstrip('/')}"
    if scheme.lower() not in ("http", "https"):
        return f"the URL needs http:// or https:// in front, not {scheme}://"
    try:
        parsed = URL(url)
        host = (parsed.host or "").encode("idna")
    except ValueError as error:
        return f"the URL cannot be read: {error}"
    if not host:
        return "the URL names no host"
    if parsed.query_string or parsed.fragment:
        return "the URL must end with its path: clients put theirs behind it"
    return None


def why_unreached(error: Exception, url: URL) -> str:
    """Describe why nothing answers, or nothing that can be understood."""
    place = f"{url.host}:{url.port}"
    other = "https" if url.scheme == "http" else "http"
    match error:
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            said = (
                f"the proxy that the environment names does not lead to {place}: put {url.host} into "
                "NO_PROXY if it is to be reached directly"
            )
        case aiohttp.ClientConnectorCertificateError():
            said = _distrusted(error.certificate_error, place)
        case aiohttp.ClientConnectorSSLError():
            said = f"{place} does not speak TLS: the URL needs http:// in front, not https://"
        case aiohttp.ClientConnectorDNSError():
            said = f"there is no host {url.host}: is it spelled right, and known to this machine?"
        case aiohttp.ClientConnectorError() if error.os_error.errno == errno.ECONNREFUSED:
            said = f"nothing listens on {place}: start it with `anyrouter serve`"
            if not _is_here(url.host or ""):
                said += " there, with `listen.host` set to an address that others reach"
        case aiohttp.ClientConnectorError():
            said = f"{place} cannot be reached: {error.os_error.strerror or error.os_error}"
        case TimeoutError():
            said = f"{place} does not answer: a firewall, another service, or one that hangs"
        case _:
            said = f"{place} does not speak HTTP: does the URL need {other}:// in front?"
    return said


def _distrusted(error: Exception, place: str) -> str:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    if code == _EXPIRED:
        return f"the certificate of {place} has expired: renew it"
    if code in (_OTHER_NAME, _OTHER_ADDRESS):
        return f"the certificate of {place} is for another name: use that one in the URL"
    return (
        f"the certificate of {place} is not trusted: name that of its authority by --ca FILE "
        "(for other clients: SSL_CERT_FILE, NODE_EXTRA_CA_CERTS)"
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def not_the_gateway(url: URL, status: int, headers: CIMultiDictProxy[str], body: bytes) -> str:
    """Describe what answers in the gateway's place, or where in the gateway no API is."""
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        to = headers.get("location", "elsewhere")[:_MAX_QUOTED_CHARS]
        return f"the URL redirects to {to}: use where that leads, since clients do not follow it"
    if status in (502, 503, 504):
        return f"a proxy answers, and does not reach the gateway (HTTP {status}): see its log"
    if (own := re.search(rb"the base URL of this gateway is ([^\s,\"]+)", body)) is not None:
        return f"no API is there: the base URL of this gateway is {own[1].decode(errors='replace')}"
    return (
        f"what answers is not this gateway (HTTP {status}): its base URL is "
        f"{url.origin()}/api unless `listen.base_path` or a proxy in front says otherwise"
    )


def quote_error(status: int, headers: CIMultiDictProxy[str], body: bytes) -> str:
    """Quote an error, and say where the gateway tells more about it."""
    try:
        error = msgspec.json.decode(body)["error"]
        said = f"{error['type']}: {error['message']}"
    except (LookupError, TypeError, ValueError):
        said = body.decode(errors="replace")
    said = " ".join(said.split())[:_MAX_QUOTED_CHARS]
    request_id = headers.get("request-id")
    where = f"; the access log has the cause, see {request_id}" if request_id else ""
    return f"HTTP {status}, {said}{where}"


def held_back(came: str, front: str) -> str:
    """Describe that a stream is held back until it is whole, and by what setting it is let go.

    Args:
        came: when its bytes came.
        front: `Server` and `Via` of what answers in front.
    """
    return f"{came}: something on the way holds streams back; {_settings(front)}"


def gathered(came: str, front: str) -> str:
    """Describe that the events of a stream come in bunches; as `held_back`."""
    return f"{came}: something on the way gathers events; {_settings(front)}"


def _settings(front: str) -> str:
    if "nginx" in front.lower():
        return _NGINX
    if "haproxy" in front.lower():
        return _HAPROXY
    return f"{_NGINX}; {_HAPROXY}; {_OTHERS}"
