"""Every way an exchange with an upstream can fail, from its fault to a status; and what must not reach a client."""

import errno
import logging
import ssl

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from proxy.aiohttp_fast.client import UpstreamResponse
from proxy.causes import Cause
from proxy.errors import ProxyError, UpstreamFailed, UpstreamRefusedCredential, UpstreamTimeout

_log = logging.getLogger(__name__)

# What reading an answer can raise.
READ_ERRORS = (aiohttp.ClientError, OSError)


def to_proxy_error(error: Exception, upstream: str) -> ProxyError:
    """Return the failure that stands for what broke an exchange. The client learns what happened, not where."""
    if isinstance(error, ProxyError):
        return error
    match error:
        case aiohttp.ConnectionTimeoutError():
            cause, message = Cause.UPSTREAM_UNREACHABLE, "the upstream could not be reached in time"
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return UpstreamTimeout("the upstream did not answer in time")
        case aiohttp.ClientConnectorError() | ssl.SSLError():
            cause, message = Cause.UPSTREAM_UNREACHABLE, "the upstream could not be reached"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | ConnectionError():
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
    _log.warning("upstream %s: %s: %s", upstream, cause, _describe(error))
    return UpstreamFailed(message, cause)


def _describe(error: Exception) -> str:
    """Return an error's name without its text, in which aiohttp quotes URLs and bytes of the upstream."""
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, str(error.errno))
    causes = (type(each).__name__ for each in (error, error.__cause__) if each is not None)
    return " from ".join(causes)


def refuse_unfit(answer: UpstreamResponse, upstream: str) -> None:
    """Refuse the answers that must not reach a client."""
    error: ProxyError
    match answer.status:
        case 401:
            _log.error(
                "upstream %s refused the gateway's own credential: "
                "check upstreams.%s.auth in the configuration",
                upstream,
                upstream,
            )
            error = UpstreamRefusedCredential()
        case status if 300 <= status < 400:  # noqa: PLR2004 - redirects
            _log.error(
                "upstream %s answered with a redirect: check upstreams.%s.base_url",
                upstream,
                upstream,
            )
            error = UpstreamFailed("the upstream answered with a redirect", Cause.UPSTREAM_REDIRECT)
        case status if status < 200:  # noqa: PLR2004 - a change of protocol nobody asked for
            error = UpstreamFailed("the upstream's answer is not one", Cause.UPSTREAM_GARBAGE)
        case _:
            return
    raise error
