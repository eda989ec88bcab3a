"""Who looks at the pages, and what of the ledger is theirs to see."""

from typing import Literal

import msgspec

from proxy.errors import NotFound
from proxy.store.scope import Scope


class Viewer(msgspec.Struct, frozen=True):
    """Who is signed in.

    Attributes:
        name: of the credential or of the key.
        role: `key`: a key's holder, who sees what is that key's only.
    """

    name: str
    role: Literal["read", "write", "key"]

    @property
    def key(self) -> str | None:
        """The only key that is seen; None: all are."""
        return self.name if self.role == "key" else None

    def may_see(self, key: str) -> bool:
        """Return whether what is of a key may be seen."""
        return self.key in (None, key)

    def scope(self, *, key: str | None = None, **filters: str | int | None) -> Scope:
        """Return which requests are meant, of those that may be seen.

        Args:
            key: whose; None: of all that may be seen.
            filters: as `Scope` has them.

        Raises:
            NotFound: another's.
        """
        if key is not None and not self.may_see(key):
            raise NotFound("no such key")
        return Scope(key=self.key or key, **filters)  # type: ignore[arg-type]  # each as `Scope` has it
