"""Every way an exchange with an upstream can fail, from its fault to a status; and what must not reach a client."""

import errno
import logging
import ssl
from http import HTTPStatus

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from proxy.aiohttp_fast import UpstreamResponse
from proxy.causes import Cause
from proxy.errors import (
    Overloaded,
    ProxyError,
    UpstreamFailed,
    UpstreamRefusedCredential,
    UpstreamTimeout,
)
from proxy.exchange import Exchange
from proxy.notices.notice import Notice, notice
from proxy.upstreams.reasons import describe

_log = logging.getLogger(__name__)

# What reading an answer can raise.
READ_ERRORS = (aiohttp.ClientError, OSError)

# By OpenSSL's names.
_CERTIFICATE_ALERTS = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_DECRYPT_ERROR",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)
_OK = int(HTTPStatus.OK)
_NO_FILE_LEFT = (errno.EMFILE, errno.ENFILE)


def to_proxy_error(error: Exception, exchange: Exchange, where: str = "") -> ProxyError:
    """Return the failure that stands for what broke an exchange. The client learns what happened, not where.

    Args:
        error: an exception of aiohttp, of a socket, or already a `ProxyError`, which stays.
        exchange: what the log line names.
        where: the upstream's host and port, and the way there, for the log line; empty once it has answered.
    """
    if (ours := _fault_of_ours(error, exchange)) is not None:
        return ours
    match error:
        case aiohttp.ConnectionTimeoutError():
            cause, message = Cause.UPSTREAM_UNREACHABLE, "the upstream could not be reached in time"
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return UpstreamTimeout("the upstream did not answer in time")
        case aiohttp.ClientConnectorError() | aiohttp.ClientHttpProxyError():
            cause, message = Cause.UPSTREAM_UNREACHABLE, "the upstream could not be reached"
        case ssl.SSLError() | aiohttp.ClientOSError() if _refuses_certificate(error):
            cause, message = Cause.UPSTREAM_UNREACHABLE, "the upstream could not be reached"
        case (
            aiohttp.ServerDisconnectedError()
            | aiohttp.ClientOSError()
            | ConnectionError()
            | ssl.SSLError()
        ):
            cause, message = (
                Cause.UPSTREAM_CUT,
                "the upstream closed the connection without an answer",
            )
        case aiohttp.ClientPayloadError():
            cause, message = Cause.UPSTREAM_CUT, "the upstream broke off its answer"
        case HttpProcessingError():
            cause, message = Cause.UPSTREAM_GARBAGE, "the upstream's answer is not HTTP"
        case ValueError():
            cause, message = Cause.UNSENDABLE_HEADER, "a header of the request cannot be sent on"
        case _:
            cause, message = Cause.UPSTREAM_FAILED, "the exchange with the upstream failed"
    name = f"{exchange.upstream} ({where})" if where else exchange.upstream
    _log.warning(
        "%s: upstream %s: %s: %s",
        exchange.request_id,
        name,
        cause,
        describe(error),
        extra=_about(cause, exchange),
    )
    return UpstreamFailed(message, cause)


def _about(cause: Cause, exchange: Exchange) -> dict[str, Notice]:
    """Return what a line warns of: of each upstream and cause, the first of a flood is shown."""
    ids = exchange.received.id, exchange.request_id
    return notice(cause, exchange.upstream or "", ids=ids)


def _refuses_certificate(error: Exception) -> bool:
    """Return whether a server refuses the gateway's certificate, or its having none.

    In TLS 1.3 it says so behind the handshake, when the request is on its way, and reads none of it. Whatever else
    breaks TLS there may come after the request was served.
    """
    alert = error if isinstance(error, ssl.SSLError) else error.__cause__
    return isinstance(alert, ssl.SSLError) and alert.reason in _CERTIFICATE_ALERTS


def _fault_of_ours(error: Exception, exchange: Exchange) -> ProxyError | None:
    """Return what is no fault of the upstream's: a failure in words already, or that no file can be opened."""
    if isinstance(error, OSError) and error.errno in _NO_FILE_LEFT:
        _log.error(
            "%s: no file is left to reach an upstream with: raise the limit of open files",
            exchange.request_id,
            extra=_about(Cause.OUT_OF_FILES, exchange),
        )
        return Overloaded("the gateway has no connection left; try again", Cause.OUT_OF_FILES)
    return error if isinstance(error, ProxyError) else None


def refuse_unfit(response: UpstreamResponse, exchange: Exchange) -> None:
    """Refuse the responses that must not reach a client, whatever their bodies hold.

    Raises:
        UpstreamFailed, UpstreamRefusedCredential: it is one of them.
    """
    if response.status == _OK:
        return
    request_id, upstream, status = exchange.request_id, exchange.upstream, response.status
    error: ProxyError
    match status:
        case 401:
            _log.error(
                "%s: upstream %s refused the gateway's own credential: "
                "look at upstreams.%s.auth in the configuration",
                request_id,
                upstream,
                upstream,
                extra=_about(Cause.UPSTREAM_AUTH, exchange),
            )
            error = UpstreamRefusedCredential()
        case 407:
            _log.error(
                "%s: a proxy before upstream %s wants other credentials (407): "
                "write them into the proxy's URL, http://USER:PASSWORD@HOST:PORT",
                request_id,
                upstream,
                extra=_about(Cause.UPSTREAM_UNREACHABLE, exchange),
            )
            error = UpstreamFailed("the upstream could not be reached", Cause.UPSTREAM_UNREACHABLE)
        case status if 300 <= status < 400:  # noqa: PLR2004 - redirects
            _log.error(
                "%s: upstream %s answered with a redirect (%d): look at upstreams.%s.base_url",
                request_id,
                upstream,
                status,
                upstream,
                extra=_about(Cause.UPSTREAM_REDIRECT, exchange),
            )
            error = UpstreamFailed("the upstream answered with a redirect", Cause.UPSTREAM_REDIRECT)
        # A change of protocol, no content, a part of one: nobody asked for these.
        case status if status < 200 or status in (204, 205, 206):  # noqa: PLR2004 - as the line above says
            _log.warning(
                "%s: upstream %s answered %d, which is no answer to a message: "
                "look at upstreams.%s.base_url",
                request_id,
                upstream,
                status,
                upstream,
                extra=_about(Cause.UPSTREAM_GARBAGE, exchange),
            )
            error = UpstreamFailed("the upstream's answer is not one", Cause.UPSTREAM_GARBAGE)
        case _:
            return
    raise error
