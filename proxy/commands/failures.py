"""What keeps a command from its work, in a sentence, with what to do about it where that is known."""

import errno

_NEXT = {
    errno.EADDRINUSE: "; another gateway perhaps: end it, or add --port 0, which takes a free one",
    errno.EADDRNOTAVAIL: "; `ip addr` lists the addresses of this machine, and --host takes one of them",
}


def described(error: Exception) -> str:
    """Describe a failure."""
    if not isinstance(error, OSError):
        return str(error)
    # The text of one of ours; else Python puts its number before it.
    said = error.strerror if error.strerror and error.filename is None else str(error)
    return f"{said}{_NEXT.get(error.errno or 0, '')}"
