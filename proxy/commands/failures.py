"""What keeps a command from its work, in a sentence, with what to do about it where that is known."""

import errno

# Of what a command cannot listen on.
_SHOWS = "; `ss -ltnp` shows what has it"
_OTHER_PORT = f"{_SHOWS}: end that, or take another with --port"
_NEXT = {
    errno.EADDRINUSE: _OTHER_PORT,
    errno.EACCES: "; ports below 1024 need rights: take another with --port",
    errno.EADDRNOTAVAIL: "; `ip addr` lists the addresses of this machine, and --host takes one of them",
}
_NEXT_OF_ADMIN = {
    errno.EADDRINUSE: f"{_SHOWS}: end that, or give `admin.port` another in the configuration",
    errno.EACCES: "; ports below 1024 need rights: give `admin.port` another in the configuration",
    errno.EADDRNOTAVAIL: "; `ip addr` lists the addresses of this machine, and `admin.host` takes one of them",
}
_CANNOT_LISTEN = "cannot listen on"
_ADMIN = "the admin API "


def of_admin(error: OSError) -> OSError:
    """Return what keeps the admin API from its port, which other settings name than the clients' port."""
    return OSError(error.errno, f"{_ADMIN}{error.strerror}")


def describe(error: Exception, *, has_config: bool = True) -> str:
    """Describe a failure.

    Args:
        error: what failed.
        has_config: whether a configuration was read, whose settings then can be the way out.
    """
    if not isinstance(error, OSError):
        return str(error)
    # The text of one of ours; else Python puts its number before it.
    said = error.strerror if error.strerror and error.filename is None else str(error)
    following = _NEXT_OF_ADMIN if said.startswith(_ADMIN) else _NEXT
    is_ours = said.removeprefix(_ADMIN).startswith(_CANNOT_LISTEN)
    advice = following.get(error.errno or 0, "") if is_ours else ""
    return f"{said}{advice}{' or `listen.port`' if has_config and advice == _OTHER_PORT else ''}"
