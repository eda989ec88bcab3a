"""Certificates for `upstream.test`, `localhost` and 127.0.0.1, made by `make.sh`, and contexts of them."""

import ssl
from pathlib import Path

from aiohttp.connector import _SSL_CONTEXT_VERIFIED

_HERE = Path(__file__).parent
CA = _HERE / "ca.pem"


def server_context(name: str = "good", *, wants_client: bool = False) -> ssl.SSLContext:
    """Make the TLS of an upstream.

    Args:
        name: of the certificate: `good`, `expired`, `early`, `other` (another name's), `stranger` (of no CA).
        wants_client: whether it wants a certificate of its clients.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_HERE / f"{name}.pem")
    if wants_client:
        context.load_verify_locations(CA)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def trust() -> None:
    """Let the gateways of this process trust the CA, as those do that start with `SSL_CERT_FILE`."""
    _SSL_CONTEXT_VERIFIED.load_verify_locations(CA)
