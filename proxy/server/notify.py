"""Tell a service manager how the gateway is, when it has asked to be told: `Type=notify` of systemd, sd_notify(3)."""

import logging
import os
import socket

from proxy.notices.events import Event
from proxy.notices.notice import notice

_log = logging.getLogger(__name__)


def notify(state: str) -> None:
    """Send a state, such as `READY=1`; nothing waits for whoever reads it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # an abstract one
        address = f"\0{address[1:]}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            sending.setblocking(False)
            sending.sendto(state.encode(), address)
    except OSError as error:
        _log.warning(
            "the service manager could not be told %s: %s",
            state,
            error,
            extra=notice(Event.MANAGER_NOT_TOLD),
        )
