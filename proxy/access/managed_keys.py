"""The keys of the store, in memory: looked up by digest, renewed by what has changed. Pure.

Whoever asks the store tells what has changed (`apply`), or only that nothing has. A key that is not known is refused
only while that is fresh: a store that cannot be asked must not turn into "your key is wrong".
"""

from collections.abc import Callable, Collection

from proxy.access.records import Changes, KeyRecord
from proxy.config import Key, Owner

FRESH_S = 5.0


class ManagedKeys:
    """The managed keys and owners, as the store had them when it was last asked.

    Args:
        clock: `time.monotonic`, in seconds.
        configured: the names of the configuration's keys, which come first: one of the store by such a name opens
            nothing.

    Attributes:
        seq: of the last change that is known.
        owners: by name.
    """

    def __init__(self, clock: Callable[[], float], configured: Collection[str] = ()) -> None:
        self._clock = clock
        self._configured = configured
        self._asked_at_s: float | None = None
        self._by_digest: dict[str, Key] = {}
        self._digests: dict[str, tuple[str, ...]] = {}
        self.seq = 0
        self.owners: dict[str, Owner] = {}

    @property
    def was_asked(self) -> bool:
        """Whether the store has answered since the start."""
        return self._asked_at_s is not None

    @property
    def is_fresh(self) -> bool:
        """Whether a key that is not here is not in the store either, but for the last seconds' changes."""
        return self._asked_at_s is not None and self._clock() - self._asked_at_s < FRESH_S

    def configure(self, names: Collection[str]) -> None:
        """Let other names come first; a key of the store that one held back is here again once all have been read."""
        self._configured = names
        for name in names:
            self._forget(name)

    def __len__(self) -> int:
        """Return how many keys there are."""
        return len(self._digests)

    def get(self, sha256: str) -> Key | None:
        """Return the key of a digest; None when there is none."""
        return self._by_digest.get(sha256)

    def all_keys(self) -> list[Key]:
        """Return every key once, by its newest secret; a key without a secret is not among them."""
        return [self._by_digest[digests[0]] for digests in self._digests.values() if digests]

    def apply(self, changes: Changes) -> None:
        """Take over what has changed, and that the store has answered now."""
        # All of them first: a secret may have gone from one key to another.
        for record in changes.keys:
            self._forget(record.name)
        for record in changes.keys:
            if record.deleted_at_ms is None and record.name not in self._configured:
                self._take(record)
        for owner in changes.owners:
            if owner.deleted_at_ms is None:
                self.owners[owner.name] = owner.owner()
            else:
                self.owners.pop(owner.name, None)
        self.seq = max(self.seq, changes.seq)
        self._asked_at_s = self._clock()

    def _forget(self, name: str) -> None:
        for sha256 in self._digests.pop(name, ()):
            self._by_digest.pop(sha256, None)

    def _take(self, record: KeyRecord) -> None:
        for secret in record.secrets:
            self._by_digest[secret.sha256] = record.key_of(secret)
        self._digests[record.name] = tuple(secret.sha256 for secret in record.secrets)
