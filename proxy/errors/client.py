"""What is wrong with a request, or with how its client behaves. Pure."""

from proxy.causes import Cause
from proxy.errors.base import ClientFault


class InvalidRequest(ClientFault):
    """The client's request is malformed."""

    status = 400
    error_type = "invalid_request_error"
    cause = Cause.INVALID_REQUEST
    retry = False


# What tells nobody which keys exist; every other reason has one wording.
_REFUSED_KEYS = {
    "missing": "no gateway key",
    "malformed": "malformed gateway key",
}


class Unauthenticated(ClientFault):
    """No credential the gateway knows.

    Args:
        reason: for the log: `missing`, `malformed`, `unknown`, `expired` or `disabled`.
        remark: what can be seen of what was sent, whatever key it is.
    """

    status = 401
    error_type = "authentication_error"
    cause = Cause.UNAUTHENTICATED
    retry = False

    def __init__(self, reason: str, remark: str = "") -> None:
        self.reason = reason
        said = _REFUSED_KEYS.get(
            reason, "invalid gateway key: not known here, or not good any more"
        )
        remarked = f"{';' if ':' in said else ':'} {remark}" if remark else ""
        super().__init__(
            # Claude Code replaces every message that holds the name of the API key's header by one of its own.
            f"{said}{remarked}; send a key of this gateway (ar-...) as the API key or as "
            "`authorization: Bearer ar-...`"
        )

    @property
    def detail(self) -> str:
        """The reason."""
        return self.reason


class ModelForbidden(ClientFault):
    """The key is known but may not use this model."""

    status = 403
    error_type = "permission_error"
    cause = Cause.MODEL_FORBIDDEN
    retry = False


class OriginForbidden(ClientFault):
    """A browser's page of an origin that `cors.origins` does not name."""

    status = 403
    error_type = "permission_error"
    cause = Cause.ORIGIN_FORBIDDEN
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
    """The body is over `limits.max_body_bytes`, or what one key may take of `body_memory_bytes`, encoded or decoded."""

    status = 413
    error_type = "request_too_large"
    cause = Cause.REQUEST_TOO_LARGE
    retry = False


class HeadTooLarge(InvalidRequest):
    """The request's head, or a line of it, is larger than any client's."""

    status = 431


class VersionNotSupported(InvalidRequest):
    """The client speaks a version of HTTP that is not served."""

    status = 505

    def __init__(self, version: str) -> None:
        super().__init__(f"{version} is not served here: use HTTP/1.1")


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
