"""What requests and changes of keys show to be odd, said once to the operator."""

import logging

from proxy.notices.events import Event
from proxy.notices.notice import notice

_log = logging.getLogger(__name__)
_MAX_REMARKS = 1000


class Remarks:
    """Logs each remark once, and so many at the most."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, remark: str, event: Event) -> None:
        """Say once what an operator should know."""
        if remark not in self._said and len(self._said) < _MAX_REMARKS:
            self._said.add(remark)
            _log.warning(remark, extra=notice(event))
