"""The files that a configuration is read from: as they were when they were read, so that a change of any is seen."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from proxy.config_file.faults import ConfigError

# Device, inode, size and time of change of what a path leads to; None: to nothing. A name may be a link to a link, as
# in a volume of Kubernetes, which is changed by putting another link in place of one on the way.
Stamp = tuple[int, int, int, int] | None

# Processes that were forked from one another name a configuration alike; nobody else learns from the name what secrets
# are in it.
_PEPPER = secrets.token_bytes(32)
_NAME_CHARS = 12


def stamp(path: str | os.PathLike[str]) -> Stamp:
    """Return what a change of a file is seen by."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class FilesRead:
    """Reads files, and keeps their stamps from before.

    Attributes:
        stamps: by path.
    """

    def __init__(self) -> None:
        self.stamps: dict[str, Stamp] = {}
        self._content = hmac.new(_PEPPER, digestmod=hashlib.sha256)

    def read_text(self, path: str | os.PathLike[str], place: str) -> str:
        """Read a file, its line ends as they are, or raise a `ConfigError` that begins with `place`."""
        try:
            return self.read_bytes(path).decode("utf-8")
        except OSError as error:
            raise ConfigError(f"{place}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{place}: not UTF-8") from None
        except ValueError:
            raise ConfigError(f"{place}: not a file name") from None

    def read_bytes(self, path: str | os.PathLike[str]) -> bytes:
        """Read a file.

        Raises:
            OSError: it cannot be read.
            ValueError: there can be no such file.
        """
        # Before it is read: what is written meanwhile is a change.
        self.stamps[os.fspath(path)] = stamp(path)
        content = Path(path).read_bytes()
        self._content.update(len(content).to_bytes(8, "big") + content)
        return content

    @property
    def name(self) -> str:
        """Name the content of all of them in a few characters that no other content has."""
        return self._content.hexdigest()[:_NAME_CHARS]
