"""Who may use the admin API. A client's key never opens it, and its credentials open nothing else."""

from collections.abc import Iterable

from multidict import MultiMapping

from proxy.access.keys import digest, read_keys
from proxy.config import AdminKey
from proxy.errors import AdminForbidden, AdminUnauthenticated


class AdminRing:
    """The credentials of the configuration, by digest."""

    def __init__(self, keys: Iterable[AdminKey]) -> None:
        self._keys = {key.sha256: key for key in keys}

    def knows(self, inbound: MultiMapping[str]) -> bool:
        """Return whether a request shows a credential of ours, whatever it may do."""
        return any(digest(value) in self._keys for value in read_keys(inbound))

    def authenticate(
        self, inbound: MultiMapping[str], *, writes: bool = False, metrics: bool = False
    ) -> AdminKey:
        """Return whose request it is.

        Args:
            inbound: the request's headers: `x-api-key`, or `Authorization: Bearer`.
            writes: whether the request changes something.
            metrics: whether it reads the metrics, and nothing else.

        Raises:
            AdminUnauthenticated: none of ours.
            AdminForbidden: it may look only, or at the metrics only.
        """
        for value in read_keys(inbound):
            if (key := self._keys.get(digest(value))) is not None:
                if key.role == "metrics" and not metrics:
                    raise AdminForbidden(
                        f"admin key {key.name} may read /metrics only; its role is metrics"
                    )
                if writes and key.role != "write":
                    raise AdminForbidden(
                        f"admin key {key.name} may read only; its role is not write"
                    )
                return key
        raise AdminUnauthenticated
