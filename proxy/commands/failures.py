"""What keeps a command from its work, in a sentence, with what to do about it where that is known."""

import errno

# Of what a command cannot listen on.
_NEXT = {
    errno.EADDRINUSE: "; another gateway perhaps: end it, or take a free port with --port 0 (make run PORT=0)",
    errno.EACCES: "; ports below 1024 need rights: take another with --port",
    errno.EADDRNOTAVAIL: "; `ip addr` lists the addresses of this machine, and --host takes one of them",
}


def described(error: Exception) -> str:
    """Describe a failure."""
    if not isinstance(error, OSError):
        return str(error)
    # The text of one of ours; else Python puts its number before it.
    said = error.strerror if error.strerror and error.filename is None else str(error)
    return said + (_NEXT.get(error.errno or 0, "") if said.startswith("cannot listen on") else "")
