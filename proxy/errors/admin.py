"""What the admin API answers when it cannot do what was asked. Pure."""

from proxy.causes import Cause
from proxy.errors.base import ClientFault, GatewayFault


class AdminUnauthenticated(ClientFault):
    """No credential of the admin API."""

    status = 401
    error_type = "authentication_error"
    cause = Cause.UNAUTHENTICATED
    retry = False

    def __init__(self) -> None:
        super().__init__(
            "no credential of the admin API: send one of `admin.keys` of the configuration as `x-api-key` or as "
            "`authorization: Bearer ...`; clients' keys do not open it"
        )


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
