"""What an upstream did wrong. Pure."""

from proxy.causes import Cause
from proxy.errors.base import UpstreamFault, field_of


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
        told: type and message in it.
    """

    cause = Cause.UPSTREAM_ERROR

    def __init__(self, status: int, own: bytes | None, told: tuple[str, str] | None) -> None:
        generic = (self.error_type, f"the upstream answered with HTTP {status}")
        self.error_type, message = told or generic
        super().__init__(message)
        self._own = own

    @property
    def detail(self) -> str | None:
        """The field at fault."""
        return field_of(self.message)

    def body(self, request_id: str) -> bytes:
        """Return the upstream's own, when there is one."""
        return super().body(request_id) if self._own is None else self._own


class UpstreamTimeout(UpstreamFault):
    """The upstream was silent for too long."""

    status = 504
    error_type = "timeout_error"
    cause = Cause.UPSTREAM_TIMEOUT
