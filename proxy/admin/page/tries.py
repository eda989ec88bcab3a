"""How often an address may try a wrong key. Pure."""

from collections.abc import Callable

from proxy.errors import TooManyTries

_TRIES = 5
_WITHIN_S = 60.0
_MOST_ADDRESSES = 10_000


class Tries:
    """Wrong tries by address, of the last minute.

    Args:
        clock: `time.monotonic`, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wrong: dict[str, list[float]] = {}

    def begin(self, address: str) -> None:
        """Count a try as a wrong one, before anything is waited for: else any number may be made at once.

        Raises:
            TooManyTries: it has tried too many wrong ones.
        """
        recent = self._recent(address)
        if len(recent) >= _TRIES:
            raise TooManyTries
        tries = [*recent, self._clock()]
        self._wrong.pop(
            address, None
        )  # to the end: the address of the oldest last try is the first
        self._wrong[address] = tries
        if len(self._wrong) > _MOST_ADDRESSES:
            del self._wrong[next(iter(self._wrong))]

    def take_back(self, address: str) -> None:
        """Count one try less: it was no wrong one."""
        if tries := self._recent(address)[:-1]:
            self._wrong[address] = tries
        else:
            self._wrong.pop(address, None)

    def _recent(self, address: str) -> list[float]:
        since_s = self._clock() - _WITHIN_S
        return [each for each in self._wrong.get(address, ()) if each > since_s]
