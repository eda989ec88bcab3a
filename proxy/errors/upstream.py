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


class UpstreamTimeout(UpstreamFault):
    """The upstream was silent for too long."""

    status = 504
    error_type = "timeout_error"
    cause = Cause.UPSTREAM_TIMEOUT
