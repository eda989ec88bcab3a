"""In which order the members of a pool are asked for a conversation: weighted rendezvous hashing. Pure.

Each member draws a number from the conversation's key and its own name; the highest is the conversation's home, the
next its first detour. So every process has the same order without any state; when a member goes, only its own
conversations move, and they spread over all others. The score is that of R. Schindelhauer and G. Schomaker, "Weighted
distributed hash tables" (2005): the chance to be first is the share of the weight.
"""

import functools
import hashlib
import math
from collections.abc import Mapping
from itertools import groupby

from proxy.config import Member, Pool

_CACHED_SESSIONS = 4096
_HASH_BYTES = 8


class PoolOrder:
    """The members of one pool, ready to be ordered.

    Args:
        pool: as configured.
        base_urls: of the upstreams, by name.

    Attributes:
        pool: as configured.
        base_urls: of its upstreams.
        is_fixed: whether every conversation has the same order, so that nobody needs to know which it is.
        of: returns the names of the upstreams for a conversation's key, its home first.
    """

    def __init__(self, pool: Pool, base_urls: Mapping[str, str]) -> None:
        members = sorted(pool.members, key=_priority)
        self.pool = pool
        self.base_urls = {member.upstream: base_urls[member.upstream] for member in members}
        self._levels = [list(level) for _, level in groupby(members, key=_priority)]
        self.is_fixed = all(len(level) == 1 for level in self._levels)
        self.of = functools.lru_cache(1 if self.is_fixed else _CACHED_SESSIONS)(self._order)

    def _order(self, session: str) -> tuple[str, ...]:
        return tuple(
            name
            for level in self._levels
            for name, _ in sorted(
                ((member.upstream, _score(session, member)) for member in level),
                key=lambda scored: scored[1],
                reverse=True,
            )
        )


def _priority(member: Member) -> int:
    return member.priority


def _score(session: str, member: Member) -> tuple[float, float]:
    """Return what members are ordered by; those without weight stand behind all others."""
    text = f"{session}\0{member.upstream}".encode("utf-8", "surrogateescape")
    drawn = int.from_bytes(hashlib.blake2b(text, digest_size=_HASH_BYTES).digest())
    share = (drawn + 0.5) / 2 ** (8 * _HASH_BYTES)
    # The largest draws are rounded to 1.
    return (-member.weight / math.log(share) if share < 1 else math.inf), share
