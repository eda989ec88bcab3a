"""What a request will use, before its upstream says so. Pure.

A limit that counts as the API does, without the cache's reads, needs to know how much of a prompt will be read from
the cache: of a conversation of 400 kB nearly all. No body tells. So each key's share of counted input is learned from
what its requests turned out to count. Estimates may be wrong; what is settled in the end may not.
"""

import math

from proxy.money.usage import Billed

BYTES_PER_TOKEN = 4
START_RATIO = 1 / 4
"""Counted input tokens a byte of body, before anything was learned: all of it counts."""

# However well a key caches, a body that is not cached at all may come: the bound of what a burst of them can borrow.
_MIN_RATIO = 1 / 64
_MAX_RATIO = 1.0
_WEIGHT = 1 / 4


class InputRatio:
    """How many input tokens count a byte of body, learned of one key in one process.

    It begins at `START_RATIO`, goes a quarter of the way to each request's own, and stays within 1/64 and 1.
    """

    __slots__ = ("value",)

    def __init__(self, value: float = START_RATIO) -> None:
        self.value = value

    def learn(self, body_bytes: int, counted: int) -> None:
        """Learn from a request whose usage was reported.

        Args:
            body_bytes: of its body, decoded.
            counted: its `Billed.counted_input`, of all entries.
        """
        if body_bytes > 0:
            moved = self.value + (counted / body_bytes - self.value) * _WEIGHT
            self.value = min(max(moved, _MIN_RATIO), _MAX_RATIO)


def expected(
    body_bytes: int, max_tokens: int, output_reserve_tokens: int, ratio: float = START_RATIO
) -> Billed:
    """Return what a request is likely to use: some written to the cache, the rest of the body read from it.

    Args:
        body_bytes: of its body, decoded.
        max_tokens: that it asks for.
        output_reserve_tokens: the most output that is expected of any.
        ratio: counted input tokens a byte of body.
    """
    counted = math.ceil(body_bytes * ratio)
    return Billed(
        output=output_reserve_tokens if output_reserve_tokens < max_tokens else max_tokens,  # noqa: FURB136 - min() takes longer
        write_5m=counted,
        read=max(0, body_bytes // BYTES_PER_TOKEN - counted),
    )


def worst(body_bytes: int, max_tokens: int) -> Billed:
    """Return what a request can use at the most: two bytes per token, written for an hour; all the output it allows."""
    return Billed(output=max_tokens, write_1h=-(-body_bytes // 2))
