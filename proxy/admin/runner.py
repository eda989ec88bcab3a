"""How the pages are listened for: what strangers send that is no HTTP is refused, and not quoted in the log."""

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

# What aiohttp says of broken requests, in words that quote them.
BROKEN_BY_CLIENT = (HttpProcessingError, web.RequestPayloadError)
# aiohttp's own has a traceback of each broken head, which quotes the line: there, a credential may stand.
_QUIET = logging.getLogger("aiohttp.server.admin")


class _OfDefects(logging.Filter):
    """Leaves out what clients have broken: of those, none is a defect to report."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line is shown."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, BROKEN_BY_CLIENT)


_QUIET.addFilter(_OfDefects())


def runner_of(app: web.Application, shutdown_s: float) -> web.AppRunner:
    """Return what serves the application of the admin API on a listener of its own.

    Args:
        app: of the admin API.
        shutdown_s: how long requests under way have at the end.
    """
    return web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_s, logger=_QUIET)
