"""Errors in the API's shape."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from proxy.sandbox.knobs import STATUSES

_TYPES = {status: name for name, status in STATUSES.items()}
_LOWEST_SERVER_ERROR = 500


class ApiError(Exception):
    """A request is to be answered with an error.

    Attributes:
        status: the HTTP status.
        kind: `error.type` of the body.
        headers: added to the answer.
        code: `error.details.error_code`; empty leaves `details` out.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        code: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status if status is not None else STATUSES[kind]
        self.kind = kind
        self.headers = headers
        self.code = code

    def body(self, request_id: str) -> bytes:
        """Return the JSON body."""
        error: dict[str, object] = {"type": self.kind, "message": str(self)}
        if self.code:
            error["details"] = {"error_code": self.code}
        return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id})


def invalid(message: str) -> ApiError:
    """Return the error for a request that is wrong."""
    return ApiError("invalid_request_error", message)


def type_of(status: int) -> str:
    """Return the error type that the API uses with a status."""
    fallback = "api_error" if status >= _LOWEST_SERVER_ERROR else "invalid_request_error"
    return _TYPES.get(status, fallback)
