"""What every failure that the gateway answers itself has: status, error type, cause, retry. Pure.

Shape and types are the Messages API's (`schemas/error.schema.json`). Whether a retry can help is said in
two headers the SDKs and Claude Code obey: `x-should-retry: false` on what a retry cannot cure, `retry-after`
(seconds) where a time is known.
"""

import re
from typing import ClassVar

import msgspec
from multidict import istr

from proxy.causes import Cause

REQUEST_ID = istr("request-id")
RETRY_AFTER = istr("retry-after")
SHOULD_RETRY = istr("x-should-retry")
CONTENT_TYPE = istr("Content-Type")
SERVER = istr("Server")
SERVER_NAME = "anyrouter"  # no versions: they tell an attacker more than a user

# What a message begins with when it says where the fault is: `messages.0.role: …`.
_FIELD = re.compile(r"([a-z_][\w.\[\]-]{0,99}): ", re.ASCII)


def field_of(message: str) -> str | None:
    """Return the field that an error's message begins with; None when it names none."""
    found = _FIELD.match(message)
    return found[1] if found else None


def encodable(text: str) -> str:
    """Return a text with `?` for what UTF-8 cannot hold: bytes that are not UTF-8 come as surrogates."""
    return text.encode(errors="replace").decode()


class ProxyError(Exception):
    """A failure with a response.

    Attributes:
        status: HTTP status of the response.
        error_type: `error.type` of the body.
        cause: the word for it in the access log.
        retry: False when the same request cannot succeed later.
        retry_after_s: whole seconds after which a retry may succeed; None when unknown.
        closes: whether the connection ends with the response.
    """

    status: ClassVar[int] = 500
    error_type: str = "api_error"
    cause: Cause = Cause.INTERNAL
    retry: ClassVar[bool] = True
    retry_after_s: int | None = None
    closes: bool = False

    def __init__(self, message: str, *, error_code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code

    @property
    def detail(self) -> str | None:
        """What the log says beside `cause`, and nothing of the request's content."""
        return None

    def body(self, request_id: str) -> bytes:
        """Return the JSON body of the response, which is also the data of a stream's `event: error`."""
        error: dict[str, object] = {"type": self.error_type, "message": encodable(self.message)}
        if self.error_code is not None:
            error["details"] = {"error_code": self.error_code}
        return msgspec.json.encode(
            {"type": "error", "error": error, "request_id": encodable(request_id)}
        )

    def headers(self) -> dict[str, str]:
        """Return the headers that tell the client whether and when to try again."""
        headers: dict[str, str] = {}
        if not self.retry:
            headers[SHOULD_RETRY] = "false"
        if self.retry_after_s is not None:
            headers[RETRY_AFTER] = str(self.retry_after_s)
        return headers


def head(request_id: str) -> dict[str, str]:
    """Return the headers of every response of the gateway's own."""
    return {REQUEST_ID: request_id, CONTENT_TYPE: "application/json", SERVER: SERVER_NAME}


def render(error: ProxyError, request_id: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body of the response to a failure, wherever it is sent."""
    return head(request_id) | error.headers(), error.body(request_id)


class ClientFault(ProxyError):
    """The request cannot be served as it is."""

    @property
    def detail(self) -> str | None:
        """The field at fault."""
        return field_of(self.message)


class UpstreamFault(ProxyError):
    """The upstream did not do its part."""

    status = 502


class GatewayFault(ProxyError):
    """The gateway cannot serve this request, or not now."""


def let_go(error: BaseException) -> None:
    """Make an exception that was handled, and those it came from, forget their frames.

    The frames hold a request and its body, and something in them the exception: only the collector would find them.
    """
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and each.__traceback__ is not None:
            each.__traceback__ = None
            waiting += each.__cause__, each.__context__
