"""Every failure the gateway answers itself, by whose fault it is: status, error type, cause, retry. Pure.

Shape and types are the Messages API's (`schemas/error.schema.json`). Whether a retry can help is said in
two headers the SDKs and Claude Code obey: `x-should-retry: false` on what a retry cannot cure, `retry-after`
(seconds) where a time is known.
"""

from typing import ClassVar

import msgspec
from multidict import istr

from proxy.causes import Cause

REQUEST_ID = istr("request-id")
RETRY_AFTER = istr("retry-after")
SHOULD_RETRY = istr("x-should-retry")
CONTENT_TYPE = istr("Content-Type")


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
    error_type: ClassVar[str] = "api_error"
    cause: Cause = Cause.INTERNAL
    retry: ClassVar[bool] = True
    retry_after_s: int | None = None
    closes: bool = False

    def __init__(self, message: str, *, error_code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code

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


def render(error: ProxyError, request_id: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body of the response to a failure, wherever it is sent."""
    headers = {REQUEST_ID: request_id, CONTENT_TYPE: "application/json", **error.headers()}
    return headers, error.body(request_id)


class ClientFault(ProxyError):
    """The request cannot be served as it is."""


class UpstreamFault(ProxyError):
    """The upstream did not do its part."""

    status = 502


class GatewayFault(ProxyError):
    """The gateway cannot serve this request, or not now."""


class InvalidRequest(ClientFault):
    """The client's request is malformed."""

    status = 400
    error_type = "invalid_request_error"
    cause = Cause.INVALID_REQUEST
    retry = False


class Unauthenticated(ClientFault):
    """No credential the gateway knows. One wording for every reason, so that it tells nobody which keys exist."""

    status = 401
    error_type = "authentication_error"
    cause = Cause.UNAUTHENTICATED
    retry = False

    def __init__(self) -> None:
        super().__init__(
            # Claude Code replaces every message that holds the name of the API key's header by one of its own.
            "invalid gateway key: send a key of this gateway, which starts with ar-, as the API key or as "
            "`authorization: Bearer ar-...`; a model vendor's own key or login does not work here"
        )


class ModelForbidden(ClientFault):
    """The key is known but may not use this model."""

    status = 403
    error_type = "permission_error"
    cause = Cause.MODEL_FORBIDDEN
    retry = False


class NotFound(ClientFault):
    """No such path."""

    status = 404
    error_type = "not_found_error"
    cause = Cause.NOT_FOUND
    retry = False


class UnknownModel(NotFound):
    """No such model in the catalog."""

    cause = Cause.UNKNOWN_MODEL


class MethodNotAllowed(ClientFault):
    """The path exists, but not for this method."""

    status = 405
    error_type = "invalid_request_error"
    cause = Cause.METHOD_NOT_ALLOWED
    retry = False

    def __init__(self, method: str, allowed: list[str]) -> None:
        super().__init__(f"{method} is not allowed here; allowed: {', '.join(allowed)}")
        self.allowed = allowed

    def headers(self) -> dict[str, str]:
        """Add `Allow`, which RFC 9110 section 15.5.6 requires."""
        return {**super().headers(), "Allow": ", ".join(self.allowed)}


class RequestBodyTimeout(ClientFault):
    """The client stopped sending its body."""

    status = 408
    error_type = "timeout_error"
    cause = Cause.REQUEST_BODY_TIMEOUT


class RequestTooLarge(ClientFault):
    """The body is over `limits.max_body_bytes`, as declared, as counted, or after decoding."""

    status = 413
    error_type = "request_too_large"
    cause = Cause.REQUEST_TOO_LARGE
    retry = False


class UnsupportedMedia(ClientFault):
    """The body's type or encoding is not one the gateway reads."""

    status = 415
    error_type = "invalid_request_error"
    cause = Cause.UNSUPPORTED_MEDIA
    retry = False


class ExpectationFailed(ClientFault):
    """An `Expect` other than 100-continue."""

    status = 417
    error_type = "invalid_request_error"
    cause = Cause.EXPECTATION_FAILED
    retry = False


class ClientStalled(ClientFault):
    """The client stopped reading its stream. Nobody sees this response; the log names the cause."""

    status = 408
    error_type = "timeout_error"
    cause = Cause.CLIENT_STALLED


class UpstreamFailed(UpstreamFault):
    """The upstream refused, dropped or garbled the exchange. `cause` says which."""

    def __init__(self, message: str, cause: Cause) -> None:
        super().__init__(message)
        self.cause = cause


class UpstreamRefusedCredential(UpstreamFault):
    """The upstream does not know the gateway's own key: the operator's to mend, not the client's."""

    cause = Cause.UPSTREAM_AUTH
    retry = False

    def __init__(self) -> None:
        super().__init__(
            "the upstream refused the gateway's own credential; the gateway's operator has to mend this"
        )


class UpstreamTimeout(UpstreamFault):
    """The upstream was silent for too long."""

    status = 504
    error_type = "timeout_error"
    cause = Cause.UPSTREAM_TIMEOUT


class InternalError(GatewayFault):
    """A defect of the gateway; the log has the traceback."""


class Overloaded(GatewayFault):
    """The gateway takes no more work for now."""

    status = 529
    error_type = "overloaded_error"
    retry_after_s = 1

    def __init__(self, message: str, cause: Cause) -> None:
        super().__init__(message)
        self.cause = cause


class Draining(Overloaded):
    """The process is shutting down: refused, or broken off."""

    closes = True

    def __init__(self) -> None:
        super().__init__("the gateway is shutting down; try again", Cause.DRAINING)
