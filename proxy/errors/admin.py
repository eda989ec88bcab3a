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


class ForeignHost(ClientFault):
    """A request for a name that is not known to be this one's: another's page may have had it sent here."""

    status = 421
    error_type = "permission_error"
    cause = Cause.ORIGIN_FORBIDDEN
    retry = False


class TooManyTries(ClientFault):
    """An address has tried too many wrong keys."""

    status = 429
    error_type = "rate_limit_error"
    cause = Cause.UNAUTHENTICATED
    retry_after_s = 60

    def __init__(self) -> None:
        super().__init__("too many wrong keys from this address: try again in a minute")


class TooManyPages(ClientFault):
    """The holders of keys ask for more pages at once than are drawn."""

    status = 429
    error_type = "rate_limit_error"
    retry_after_s = 10

    def __init__(self) -> None:
        super().__init__("too many pages are asked for with keys at once: try again in a while")


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


class StoreNotReady(StoreUnavailable):
    """The store answers, and has not the tables that this release knows."""


class WorkerUnavailable(StoreUnavailable):
    """No worker of this machine answers."""
