"""Every failure the gateway answers itself: status, error type, wording, and what a client should do.

Shape and types are the Messages API's (`schemas/error.schema.json`). Whether a retry can help is said in
two headers the SDKs and Claude Code obey: `x-should-retry: false` on what a retry cannot cure, `retry-after`
(seconds) where a time is known.
"""

from collections.abc import Mapping
from typing import ClassVar

import msgspec
from multidict import istr

REQUEST_ID = istr("request-id")
RETRY_AFTER = istr("retry-after")
SHOULD_RETRY = istr("x-should-retry")


def encodable(text: str) -> str:
    """Put `?` for what UTF-8 cannot hold: bytes of a path or a header that are not UTF-8 come as surrogates."""
    return text.encode(errors="replace").decode()


class ProxyError(Exception):
    """A failure with an answer.

    Attributes:
        status: HTTP status of the answer.
        error_type: `error.type` of the body.
        cause: the word for it in the access log.
        retry: False when the same request cannot succeed later.
        retry_after_s: whole seconds after which a retry may succeed; None when unknown.
    """

    status: ClassVar[int] = 500
    error_type: ClassVar[str] = "api_error"
    cause: str = "internal"
    retry: ClassVar[bool] = True
    retry_after_s: int | None = None

    def __init__(self, message: str, *, error_code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code

    def body(self, request_id: str) -> bytes:
        """Give the JSON body of the answer, which is also the data of a stream's `event: error`."""
        error: dict[str, object] = {"type": self.error_type, "message": encodable(self.message)}
        if self.error_code is not None:
            error["details"] = {"error_code": self.error_code}
        return msgspec.json.encode(
            {"type": "error", "error": error, "request_id": encodable(request_id)}
        )

    def headers(self) -> Mapping[str, str]:
        """Give the headers that tell the client whether and when to try again."""
        headers: dict[str, str] = {}
        if not self.retry:
            headers[SHOULD_RETRY] = "false"
        if self.retry_after_s is not None:
            headers[RETRY_AFTER] = str(self.retry_after_s)
        return headers


class InvalidRequest(ProxyError):
    """The client's request is malformed."""

    status, error_type, cause, retry = 400, "invalid_request_error", "invalid_request", False


class Unauthenticated(ProxyError):
    """No credential the gateway knows. One wording for every reason, so that it tells nobody which keys exist."""

    status, error_type, cause, retry = 401, "authentication_error", "unauthenticated", False

    def __init__(self) -> None:
        super().__init__(
            # Claude Code replaces every message that holds the name of the API key's header by one of its own.
            "invalid gateway key: send a key of this gateway, which starts with ar-, as the API key or as "
            "`authorization: Bearer ar-…`; a model vendor's own key or login does not work here"
        )


class ModelForbidden(ProxyError):
    """The key is known but may not use this model."""

    status, error_type, cause, retry = 403, "permission_error", "model_forbidden", False


class NotFound(ProxyError):
    """No such path."""

    status, error_type, cause, retry = 404, "not_found_error", "not_found", False


class UnknownModel(NotFound):
    """No such model in the catalog."""

    cause = "unknown_model"


class MethodNotAllowed(ProxyError):
    """The path exists, but not for this method."""

    status, error_type, cause, retry = 405, "invalid_request_error", "method_not_allowed", False

    def __init__(self, method: str, allowed: list[str]) -> None:
        super().__init__(f"{method} is not allowed here; allowed: {', '.join(allowed)}")
        self.allowed = allowed

    def headers(self) -> Mapping[str, str]:
        """Add `Allow`, which RFC 9110 section 15.5.6 requires."""
        return {**super().headers(), "Allow": ", ".join(self.allowed)}


class RequestBodyTimeout(ProxyError):
    """The client stopped sending its body."""

    status, error_type, cause = 408, "timeout_error", "request_body_timeout"


class RequestTooLarge(ProxyError):
    """The body is over `limits.max_body_bytes`, as declared, as counted, or after decoding."""

    status, error_type, cause, retry = 413, "request_too_large", "request_too_large", False


class UnsupportedMedia(ProxyError):
    """The body's type or encoding is not one the gateway reads."""

    status, error_type, cause, retry = 415, "invalid_request_error", "unsupported_media", False


class ExpectationFailed(ProxyError):
    """An `Expect` other than 100-continue."""

    status, error_type, cause, retry = 417, "invalid_request_error", "expectation_failed", False


class InternalError(ProxyError):
    """A defect of the gateway; the log has the traceback."""


class UpstreamFailed(ProxyError):
    """The upstream refused, dropped or garbled the exchange. `cause` says which."""

    status, error_type = 502, "api_error"

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


class UpstreamRefusedCredential(ProxyError):
    """The upstream does not know the gateway's own key: the operator's to mend, not the client's."""

    status, error_type, cause, retry = 502, "api_error", "upstream_auth", False

    def __init__(self) -> None:
        super().__init__(
            "the upstream refused the gateway's own credential; the gateway's operator has to mend this"
        )


class UpstreamTimeout(ProxyError):
    """The upstream was silent for too long."""

    status, error_type, cause = 504, "timeout_error", "upstream_timeout"


class ClientStalled(ProxyError):
    """The client stopped reading its stream. Nobody sees this answer; the log names the cause."""

    status, error_type, cause = 408, "timeout_error", "client_stalled"


class Overloaded(ProxyError):
    """The gateway takes no more work for now."""

    status, error_type, retry_after_s = 529, "overloaded_error", 1

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


def draining() -> Overloaded:
    """Refuse, or break off, because the process is shutting down."""
    return Overloaded("the gateway is shutting down; try again", "draining")
