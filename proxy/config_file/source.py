"""A configuration file, as often as it is read in the life of a gateway."""

import os
from collections.abc import Callable, Mapping

from proxy.config import Config
from proxy.config_file.files import FilesRead, Stamp, stamp
from proxy.config_file.load import Loaded, load


class Source:
    """Reads a configuration file, and knows whether it, or a file that it names, has changed since.

    Args:
        path: of the file.
        adjust: makes of what the file says what is served, by what the command line says; a `ConfigError` of it is as
            good as one of the file's.
        environ: what `${VARIABLE}` is looked up in.

    Attributes:
        path: of the file.
        name: of what was read last, in a few characters, the same in every process forked from one. `was`: of what was
            read before it.
    """

    def __init__(
        self,
        path: str,
        adjust: Callable[[Config], Config],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.path = path
        self.name = ""
        self.was = ""
        self._adjust = adjust
        self._environ = environ
        self._stamps: Mapping[str, Stamp] = {path: None}
        self._seen: Mapping[str, Stamp] = self._stamps

    def read(self) -> Loaded:
        """Read the file.

        Raises:
            ConfigError: it cannot be used; it counts as read all the same, until it changes again.
        """
        files = FilesRead()
        try:
            return load(self.path, self._environ, files, self._adjust)
        finally:
            self._stamps = self._seen = files.stamps
            self.was, self.name = self.name, files.name

    def peek(self) -> Loaded:
        """Read the file as it is now, which does not count as read.

        Raises:
            ConfigError: it cannot be used.
        """
        return load(self.path, self._environ, adjust=self._adjust)

    def differs(self) -> bool:
        """Return whether any of the files is another than was read."""
        return any(stamp(path) != read for path, read in self._stamps.items())

    def has_changed(self) -> bool:
        """Return whether any of the files is another than was read, and the same as when this was last asked.

        So a file is not read while somebody writes it, if this is asked every other second.
        """
        before, self._seen = self._seen, {path: stamp(path) for path in self._stamps}
        return self._seen != self._stamps and self._seen == before
