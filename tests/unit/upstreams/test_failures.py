"""What broke an exchange with an upstream becomes one failure and one line of the log, of its own kind."""

import asyncio
import logging
import ssl

import aiohttp
import pytest

from proxy.causes import Cause
from proxy.config import Model
from proxy.exchange import Exchange
from proxy.notices.notice import Notice
from proxy.received import Received
from proxy.routing.router import Route
from proxy.upstreams.failures import to_proxy_error

FAILURES = [
    (aiohttp.ServerDisconnectedError(), Cause.UPSTREAM_CUT),
    (aiohttp.ClientPayloadError(), Cause.UPSTREAM_CUT),
    (aiohttp.ConnectionTimeoutError(), Cause.UPSTREAM_UNREACHABLE),
    (ValueError(), Cause.UNSENDABLE_HEADER),
]


def an_exchange(upstream: str) -> Exchange:
    exchange = Exchange(Received("POST", "/v1/messages", None))
    exchange.route = Route(upstream, "m", Model("anthropic/m", upstream), "anthropic/m")
    return exchange


async def test_lines_of_different_causes_or_upstreams_are_of_different_kinds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """So that a flood of the one does not hide the first of the other."""
    caplog.set_level(logging.WARNING)
    await asyncio.sleep(0)
    kinds = set()
    for upstream in ("a", "b"):
        for error, cause in FAILURES:
            failure = to_proxy_error(error, an_exchange(upstream), "")
            assert failure.cause is cause
            kinds.add(caplog.records[-1].__dict__["notice"].kind)
    causes = {cause for _, cause in FAILURES}
    assert kinds == {Notice(cause, upstream) for upstream in ("a", "b") for cause in causes}


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}]")
    error.reason = reason
    return error


@pytest.mark.parametrize("is_wrapped", [False, True], ids=["bare", "wrapped"])
@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", Cause.UPSTREAM_UNREACHABLE),
        ("TLSV1_ALERT_UNKNOWN_CA", Cause.UPSTREAM_UNREACHABLE),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", Cause.UPSTREAM_UNREACHABLE),
        ("TLSV1_ALERT_INTERNAL_ERROR", Cause.UPSTREAM_CUT),
        ("SSLV3_ALERT_BAD_RECORD_MAC", Cause.UPSTREAM_CUT),
        ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", Cause.UPSTREAM_CUT),
        ("WRONG_VERSION_NUMBER", Cause.UPSTREAM_CUT),
        ("UNEXPECTED_EOF_WHILE_READING", Cause.UPSTREAM_CUT),
    ],
)
async def test_only_alerts_about_certificates_say_that_nothing_was_served(
    reason: str, cause: Cause, *, is_wrapped: bool
) -> None:
    error: OSError = tls(reason)
    if is_wrapped:
        error, cause_of_it = aiohttp.ClientOSError(1, reason), error
        error.__cause__ = cause_of_it
    assert to_proxy_error(error, an_exchange("a"), "").cause is cause
