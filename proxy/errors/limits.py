"""What a key may not, or not now, because of what was used already. Pure."""

from collections.abc import Iterable

from proxy.causes import Cause
from proxy.errors.base import SHOULD_RETRY, GatewayFault

_UNAVAILABLE_S = 2
# Claude Code then shows the message, and words none of its own.
_BUDGET_UNKNOWN = {
    SHOULD_RETRY: "false",
    "anthropic-ratelimit-unified-overage-disabled-reason": "fetch_error",
}


class _Refused(GatewayFault):
    """Refused with headers of its own, and told when to come back."""

    status = 429

    def __init__(
        self,
        message: str,
        cause: Cause,
        retry_after_s: int,
        fields: Iterable[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.retry_after_s = retry_after_s
        self._fields = dict(fields)

    def headers(self) -> dict[str, str]:
        """Add those that tell what is left."""
        return {**super().headers(), **self._fields}


class LimitExceeded(_Refused):
    """Too much in a minute or at the same time, or the rest of a budget is held: a retry will be let in."""

    error_type = "rate_limit_error"


class BudgetExceeded(_Refused):
    """A budget is spent: nothing is let in until its period ends."""

    error_type = "billing_error"
    retry = False


class LimitsUnavailable(GatewayFault):
    """What was used cannot be known now, and the key's limits say that it is then refused.

    Args:
        budget: whether it is a budget that says so, of which Claude Code is told in its own way.
    """

    status = 503
    cause = Cause.LIMITS_UNAVAILABLE
    retry_after_s = _UNAVAILABLE_S

    def __init__(self, *, budget: bool = False) -> None:
        what = "budget" if budget else "limits"
        super().__init__(f"the {what} of this key cannot be checked right now; try again")
        self._budget = budget

    def headers(self) -> dict[str, str]:
        """Add what ends the client's retries when it was a budget."""
        return {**super().headers(), **(_BUDGET_UNKNOWN if self._budget else {})}


class KeysUnavailable(GatewayFault):
    """The key is none of those known, but those known are not the newest: it may be a good one."""

    status = 503
    cause = Cause.KEYS_UNAVAILABLE
    retry_after_s = _UNAVAILABLE_S

    def __init__(self) -> None:
        super().__init__("this key cannot be checked right now; try again")
