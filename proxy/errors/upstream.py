"""What an upstream did wrong. Pure."""

from proxy.causes import Cause
from proxy.errors.base import UpstreamFault


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


class UpstreamStatus(UpstreamFault):
    """The upstream's own error, told to a client whose status has gone out.

    Args:
        status: of the upstream's response.
        own: its body, when that is an error of the API.
    """

    cause = Cause.UPSTREAM_ERROR

    def __init__(self, status: int, own: bytes | None) -> None:
        super().__init__(f"the upstream answered with HTTP {status}")
        self._own = own

    def body(self, request_id: str) -> bytes:
        """Return the upstream's own, when there is one."""
        return super().body(request_id) if self._own is None else self._own


class UpstreamTimeout(UpstreamFault):
    """The upstream was silent for too long."""

    status = 504
    error_type = "timeout_error"
    cause = Cause.UPSTREAM_TIMEOUT
