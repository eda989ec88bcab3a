"""Every way an exchange with an upstream can fail, from its fault to a status; and what must not reach a client."""

import errno
import logging
import ssl

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from proxy.aiohttp_fast.client import Answer
from proxy.errors import ProxyError, UpstreamFailed, UpstreamRefusedCredential, UpstreamTimeout

_log = logging.getLogger(__name__)

# What reading an answer can raise.
READ_ERRORS = (aiohttp.ClientError, OSError)


def failure(error: Exception, upstream: str) -> ProxyError:
    """Word every way an exchange with an upstream can fail. The client learns what happened, not where."""
    if isinstance(error, ProxyError):
        return error
    match error:
        case aiohttp.ConnectionTimeoutError():
            cause, said = "upstream_unreachable", "the upstream could not be reached in time"
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return UpstreamTimeout("the upstream did not answer in time")
        case aiohttp.ClientConnectorError() | ssl.SSLError():
            cause, said = "upstream_unreachable", "the upstream could not be reached"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | ConnectionError():
            cause, said = "upstream_cut", "the upstream closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            cause, said = "upstream_cut", "the upstream broke off its answer"
        case HttpProcessingError():
            cause, said = "upstream_garbage", "the upstream's answer is not HTTP"
        case ValueError():
            cause, said = "unsendable_header", "a header of the request cannot be sent on"
        case _:
            cause, said = "upstream_failed", "the exchange with the upstream failed"
    _log.warning("upstream %s: %s: %s", upstream, cause, _reason(error))
    return UpstreamFailed(said, cause)


def _reason(error: Exception) -> str:
    """Name an error without its text, in which aiohttp quotes URLs and bytes of the upstream."""
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, str(error.errno))
    causes = (type(each).__name__ for each in (error, error.__cause__) if each is not None)
    return " from ".join(causes)


def refuse_unfit(answer: Answer, upstream: str) -> None:
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
            error = UpstreamFailed("the upstream answered with a redirect", "upstream_redirect")
        case status if status < 200:  # noqa: PLR2004 - a change of protocol nobody asked for
            error = UpstreamFailed("the upstream's answer is not one", "upstream_garbage")
        case _:
            return
    raise error
