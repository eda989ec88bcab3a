"""A token bucket that is one integer: when it will be full again, as if time were what it holds. Pure.

This is the generic cell rate algorithm. A limit of L a minute is a bucket of L units that fills by L / 60 a second. Its
state is the "theoretical arrival time" in microseconds: the moment at which it is full. A bucket that has been full for
a while has one that lies in the past. Taking n units moves it by n / L of a minute, a refund moves it back, and what
was used beyond a reservation moves it on, which is a debt. A changed limit needs no conversion: the state is time.

Times are of one monotonic clock, in microseconds; all numbers are integers, here and in `tenancy.lua`.
"""

MINUTE_US = 60_000_000


def cost_us(units: int, per_minute: int) -> int:
    """Return how long the bucket of a limit takes to win some units back, rounded up."""
    return -(-units * MINUTE_US // per_minute)


def take(full_at_us: int, cost: int, now_us: int) -> int:
    """Return the state after something of a cost is taken, whether or not there is room for it."""
    return max(full_at_us, now_us) + cost


def wait_us(full_at_us: int, cost: int, now_us: int) -> int:
    """Return how long a cost has to wait for room; 0 when there is room now."""
    return max(0, take(full_at_us, cost, now_us) - now_us - MINUTE_US)


def missing_us(full_at_us: int, now_us: int) -> int:
    """Return in how long the bucket is full again; more than a minute when it has debts."""
    return max(0, full_at_us - now_us)


def remaining(missing: int, per_minute: int) -> int:
    """Return how many units are left in a bucket that is full again after `missing` microseconds."""
    return (MINUTE_US - missing) * per_minute // MINUTE_US if missing < MINUTE_US else 0
