"""What the admin API answers when it cannot do what was asked. Pure."""

from proxy.causes import Cause
from proxy.errors.base import ClientFault, GatewayFault


class AdminForbidden(ClientFault):
    """A credential that may look, and not change."""

    status = 403
    error_type = "permission_error"
    cause = Cause.ADMIN_FORBIDDEN
    retry = False


class Conflict(ClientFault):
    """What was asked for is against what is there."""

    status = 409
    error_type = "conflict_error"
    cause = Cause.CONFLICT
    retry = False


class StoreUnavailable(GatewayFault):
    """The store does not answer, or there is none."""

    status = 503
    cause = Cause.STORE_UNAVAILABLE
    retry_after_s = 2


class WorkerUnavailable(StoreUnavailable):
    """No worker of this machine answers."""
