"""The TLS that a configuration asks for: contexts made of its files, the same one as long as these are the same."""

import functools
import ssl
from collections.abc import Iterator

from proxy.config import Certificate, Config, Tls
from proxy.config_file.faults import Fault
from proxy.config_file.files import Stamp, stamp

_CACHED_CONTEXTS = 64


def context_of(tls: Tls | None) -> ssl.SSLContext | bool:
    """Return how an upstream is spoken to; True: as everybody is, by the authorities of the system.

    Raises:
        OSError: a file cannot be read, or holds something else; `ssl.SSLError` is one.
    """
    if tls is None:
        return True
    return _context(tls, tuple(stamp(path) for path in files_of(tls)))


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """Return how clients are spoken to: by TLS 1.2 and later, over which they speak HTTP/1.1.

    Raises:
        OSError: as `context_of`.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client may ask TLS 1.2 for a new handshake as often as it likes, each of which costs it nothing.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate.cert, certificate.key, password=_no_password)
    return context


def files_of(tls: Tls | Certificate) -> tuple[str, ...]:
    """Return the files that it is made of."""
    named = (tls.cert, tls.key) if isinstance(tls, Certificate) else (tls.ca, tls.cert, tls.key)
    return tuple(each for each in named if each is not None)


@functools.lru_cache(_CACHED_CONTEXTS)
def _context(tls: Tls, _stamps: tuple[Stamp, ...]) -> ssl.SSLContext:
    # With `ca`, nobody else is trusted: whoever names an authority of their own means that one.
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key, password=_no_password)
    return context


def _no_password() -> str:
    """Be asked for the password of a key, which would otherwise be asked of a terminal."""
    return ""


def faults(config: Config) -> Iterator[Fault]:
    """Find the upstreams whose TLS cannot be had, and whether the listener's cannot."""
    if config.listen.tls is not None:
        try:
            server_context(config.listen.tls)
        except (OSError, ValueError) as error:
            yield Fault(("listen", "tls"), said(error))
    for upstream in config.upstreams:
        try:
            context_of(upstream.tls)
        except (OSError, ValueError) as error:
            yield Fault(("upstreams", upstream.name, "tls"), said(error))


def said(error: Exception) -> str:
    """Return why TLS cannot be had."""
    match error:
        case ssl.SSLError(reason="KEY_VALUES_MISMATCH"):
            return "cert and key do not belong together"
        case ssl.SSLError():
            return "a file holds no certificate or key as PEM, or the key wants a password"
        case OSError(strerror=str(text), filename=str(name)):
            return f"{name}: {text}"
    return f"a file cannot be read: {getattr(error, 'strerror', None) or 'not a file name'}"
