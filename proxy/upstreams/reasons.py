"""Why an exchange with an upstream failed, for the operator: what it is, and what to do.

Never the text of an exception: aiohttp quotes URLs and bytes of the upstream there.
"""

import errno
import os
import socket
import ssl
from http import HTTPStatus

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from proxy.aiohttp_fast import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_INTERIM_HEADS,
    MAX_LINE_BYTES,
    HeadTooLargeError,
    TooManyInterimHeadsError,
)

_BY_ERRNO = {
    errno.EACCES: "forbidden by this machine: look at its firewall",
    errno.EADDRNOTAVAIL: "no local port is free: too many connections to one address",
    errno.ECONNABORTED: "connection aborted",
    errno.ECONNREFUSED: "connection refused: nothing listens there, or a firewall is in the way",
    errno.ECONNRESET: "connection reset by the other side",
    errno.EHOSTUNREACH: "no route to the host: look at this machine's network",
    errno.EMFILE: "no more open files: raise the process's limit (ulimit -n)",
    errno.ENETUNREACH: "no route to its network: look at this machine's network",
    errno.ENFILE: "no more open files on this machine",
    errno.EPERM: "forbidden by this machine: look at its firewall",
    errno.EPIPE: "connection closed by the other side",
    errno.ETIMEDOUT: "no answer from the host: it is down, or a firewall is in the way",
}
# Of OpenSSL's `X509_V_ERR_…`; all others mean that nobody vouches for the certificate.
_BY_VERIFY_CODE = {
    9: "its certificate is not valid yet: look at this machine's clock",
    10: "its certificate has expired: it has to be renewed there",
    23: "its certificate has been revoked",
    62: "its certificate is for another name: look at base_url",
    64: "its certificate is for another address: look at base_url",
}
_WANTS_A_CERTIFICATE = (
    "it wants a client certificate, and the gateway has none: put a proxy that has one before it"
)
_CLOSED = (
    "it closed the connection without an answer: if it always does, look at the scheme and port of base_url, "
    "and whether it wants a client certificate"
)
# By OpenSSL's name of the reason.
_BY_TLS_REASON = {
    "HTTP_REQUEST": "it does not speak TLS there: look at the scheme and port of base_url",
    "SSLV3_ALERT_BAD_CERTIFICATE": _WANTS_A_CERTIFICATE,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "it refuses the TLS handshake: it has no cipher in common with OpenSSL here, or wants a client certificate"
    ),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _WANTS_A_CERTIFICATE,
    "TLSV1_ALERT_PROTOCOL_VERSION": "it has no TLS version in common with OpenSSL here",
    "TLSV1_UNRECOGNIZED_NAME": "it does not serve this name: look at base_url",
    "UNSUPPORTED_PROTOCOL": "it has no TLS version in common with OpenSSL here",
    "WRONG_VERSION_NUMBER": "it does not speak TLS there: look at the scheme and port of base_url",
}


def describe(error: BaseException) -> str:
    """Return what went wrong, and what to do about it."""
    match error:
        case aiohttp.ClientHttpProxyError():
            words = _describe_refusal(error.status)
        case aiohttp.ClientConnectorError():
            words = f"{_place(error)}: {_describe_socket(error.__cause__ or error)}"
        case aiohttp.ConnectionTimeoutError():
            words = "no connection within timeouts.connect_s"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientConnectionResetError():
            words = _CLOSED
        case HttpProcessingError():
            words = _describe_head(error)
        case OSError(__cause__=OSError() as cause):
            words = _describe_socket(cause)
        case _:
            words = _describe_socket(error)
    return words


def _name(error: BaseException) -> str:
    return " from ".join(type(each).__name__ for each in (error, error.__cause__) if each)


def _describe_refusal(status: int) -> str:
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        advice = "write them into the proxy's URL, http://USER:PASSWORD@HOST:PORT"
        return f"the proxy wants other credentials (407): {advice}"
    return f"the proxy refused the way to it ({status}): ask who runs the proxy"


def _place(error: aiohttp.ClientConnectorError) -> str:
    host = f"[{error.host}]" if ":" in error.host else error.host
    is_proxy = isinstance(error, aiohttp.ClientProxyConnectionError)
    return f"{'the proxy ' if is_proxy else ''}{host}:{error.port}"


def _describe_socket(error: BaseException) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return _BY_VERIFY_CODE.get(error.verify_code, _untrusted(error))
        case ssl.SSLError():
            reason = error.reason or "no reason given"
            return _BY_TLS_REASON.get(reason, f"TLS failed ({reason})")
        case socket.gaierror(errno=socket.EAI_NONAME | socket.EAI_NODATA):
            return "name not found: look at base_url, and at this machine's DNS"
        case socket.gaierror():
            return "the name could not be looked up: look at this machine's DNS"
        case OSError(errno=int() as number):
            name = errno.errorcode.get(number, str(number))
            return f"{_BY_ERRNO[number]} ({name})" if number in _BY_ERRNO else name
    return _name(error)


def _untrusted(error: ssl.SSLCertVerificationError) -> str:
    bundle = os.environ.get("SSL_CERT_FILE")
    where = f"{bundle}, which SSL_CERT_FILE names," if bundle else "the file SSL_CERT_FILE names"
    return (
        f"its certificate is not trusted ({error.verify_message}): if it should be, put its CA into {where} "
        "or into the system's store, and start again"
    )


def _describe_head(error: HttpProcessingError) -> str:
    if isinstance(error, TooManyInterimHeadsError):
        return f"more than {MAX_INTERIM_HEADS} interim (1xx) heads before the response"
    if isinstance(error, HeadTooLargeError):
        return f"its head, with the interim ones before it, is longer than {MAX_HEAD_BYTES} bytes"
    if isinstance(error.__cause__, LineTooLong):
        return f"a line of its head is longer than {MAX_LINE_BYTES} bytes"
    if error.message == "Too many headers received":
        return f"its head has more than {MAX_HEADERS} headers"
    return "what it sends is not HTTP: look at the scheme and port of base_url"
