"""How many requests of a pool may be sent once more, elsewhere: so that an outage is not multiplied. Pure.

Every request earns a fifth of a further attempt, and a second earns one while there are few: so a single failing
request is always served elsewhere, and in an outage of everything the upstreams see at most 1.2 times the requests.
"""

import math

_FEW, _MOST = 10.0, 100.0
_EARNED_A_REQUEST = 0.2
_EARNED_A_SECOND = 1.0
_TOLD_EVERY_S = 60.0


class RetryBudget:
    """The further attempts of one pool.

    Attributes:
        missed: how often there was none.
    """

    __slots__ = ("_at_s", "_left", "_told_at_s", "missed")

    def __init__(self, now: float) -> None:
        self._left = _FEW
        self._at_s = now
        self._told_at_s = -math.inf
        self.missed = 0

    def earn(self) -> None:
        """Take note of a request."""
        if self._left < _MOST:
            self._left += _EARNED_A_REQUEST

    def has_one(self, now: float) -> bool:
        """Return whether there is a further attempt."""
        if self._left < _FEW:
            self._left = min(_FEW, self._left + _EARNED_A_SECOND * max(0.0, now - self._at_s))
        self._at_s = now
        return self._left >= 1

    def spend(self, now: float) -> bool:
        """Take a further attempt; return whether there was one."""
        if not self.has_one(now):
            return False
        self._left -= 1
        return True

    def miss(self, now: float) -> bool:
        """Take note that there was none; return whether an operator should be told: once a minute."""
        self.missed += 1
        if now - self._told_at_s < _TOLD_EVERY_S:
            return False
        self._told_at_s = now
        return True
