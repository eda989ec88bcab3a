"""How long a request may wait for what, and how large its body may be. Pure."""

import dataclasses

from proxy.config import Timeouts


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """What a request is measured by from its beginning to its end.

    Attributes:
        min_body_bytes_per_s: of its body; 0: as slow as it likes.
        queue_s: that it waits for its turn; 0: not at all.
    """

    timeouts: Timeouts
    min_body_bytes_per_s: float = 0
    queue_s: float = 0


NO_BOUNDS = Bounds(Timeouts())

# What a process has for bodies at the least, however many share it.
LEAST_BODY_MEMORY_BYTES = 1 << 24


def share_bytes(process_bytes: int) -> int:
    """Return what one key's bodies may take of what a process has for bodies, and so the largest that it takes."""
    return max(process_bytes, LEAST_BODY_MEMORY_BYTES) // 2
