"""How long a request may wait for what. Pure."""

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
