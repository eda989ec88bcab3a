"""TLS on the listener: the certificate that clients are shown, replaced while those that are connected go on."""

import asyncio
import logging
import ssl
from collections.abc import Coroutine
from typing import Any

from proxy.config import Certificate, Config
from proxy.config_file.tls import said, server_context
from proxy.notices.events import Event
from proxy.notices.notice import notice

_log = logging.getLogger("anyrouter")

# How long a client may take the end of a response behind which its connection closes, and its own farewell. It is the
# only clock over both: no other looks at what is left once the connection is closing.
_SHUTDOWN_S = 30.0


class ServerTls:
    """The TLS of a listener.

    It is made before the fork, so that a worker that is replaced shows what the others do, and goes on with what
    clients have agreed upon with them.

    Args:
        certificate: that it begins with.

    Raises:
        OSError: a file of it cannot be used.
    """

    def __init__(self, certificate: Certificate) -> None:
        self._context = self._shown = server_context(certificate)
        self._context.sni_callback = self._show

    def agree(
        self, transport: asyncio.Transport, protocol: asyncio.Protocol, handshake_s: float
    ) -> Coroutine[Any, Any, asyncio.Transport | None]:
        """Agree upon TLS with a client, and return the transport to speak it by.

        Args:
            transport: of the client, of which nothing has been read.
            protocol: of what comes by TLS. It is not told of its connection.
            handshake_s: how long the client may take.

        Raises:
            OSError: the client took too long, left, or speaks no TLS that is good enough.
        """
        return asyncio.get_running_loop().start_tls(
            transport,
            protocol,
            self._context,
            server_side=True,
            ssl_handshake_timeout=handshake_s,
            ssl_shutdown_timeout=_SHUTDOWN_S,
        )

    def renew(self, config: Config) -> None:
        """Show the certificate of a configuration to those who connect from now on, unless it is no good."""
        certificate = config.listen.tls
        if certificate is None:
            return
        try:
            self._shown = server_context(certificate)
        except (OSError, ValueError) as error:
            # It was good when the configuration was checked, and is being written again.
            line = (
                f"listen.tls: {said(error)}; the certificate before it is shown until it is mended"
            )
            _log.error(line, extra=notice(Event.CERTIFICATE_NOT_TAKEN))

    def _show(self, handshake: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        handshake.context = self._shown
