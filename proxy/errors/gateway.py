"""What the gateway cannot do, or not now. Pure."""

from proxy.causes import Cause
from proxy.errors.base import GatewayFault


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
