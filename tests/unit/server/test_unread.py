"""A client that takes nothing is told from one that takes a little, and from one for whom nothing waits."""

import pytest

from proxy.server.unread import Unread

IDLE_S = 10.0

# What waits at each second, and when it has been too long; None: never.
CASES: dict[str, tuple[list[int], int | None]] = {
    "nothing waits": ([0] * 40, None),
    "the same waits": ([5] * 40, 11),
    "first nothing, then the same": ([0] * 20 + [5] * 20, 31),
    "more and more waits": (list(range(1, 41)), 11),
    "less and less waits": (list(range(41, 1, -1)), None),
    "a little is taken now and then": ([9] * 9 + [8] * 9 + [7] * 9 + [6] * 9, None),
    "what is taken is written again": ([9, 5] * 20, None),
    "all is taken and the same is written": ([9] * 10 + [0] + [9] * 10 + [0], None),
}


@pytest.mark.parametrize(("waiting", "too_long_at"), CASES.values(), ids=CASES)
def test_only_who_takes_nothing_takes_too_long(waiting: list[int], too_long_at: int | None) -> None:
    unread = Unread(IDLE_S)
    told = [now for now, each in enumerate(waiting) if unread.too_long(each, float(now))]
    assert (told[0] if told else None) == too_long_at
