"""Of a configuration, only where its gateway is reached from this machine."""

import ipaddress
import os
from pathlib import Path
from typing import Any

from proxy.config import Listen
from proxy.config_file import rules
from proxy.config_file.document import References, parse_with_doubles
from proxy.config_file.faults import ConfigError
from proxy.config_file.files import FilesRead


def base_url_of(file: str) -> str | None:
    """Return the base URL of a configuration's gateway on this machine; None: the file does not say.

    What is wrong with the rest of it, and which of its variables are not set here, does not matter.
    """
    files = FilesRead()
    try:
        document, _ = parse_with_doubles(files.read_text(file, file))
    except ConfigError:
        return None
    # Many programs call theirs so.
    if not isinstance(document, dict) or "upstreams" not in document:
        return None
    given = document.get("listen") or {}
    references = References(os.environ, Path(file).parent, files)
    listen: Any = references.fill_in(given, ("listen",))
    wrong = (fault.path[:1] == ("listen",) for fault in rules.faults({"listen": listen}))
    if references.faults or any(wrong):
        return None
    host, port = listen.get("host", Listen().host), listen.get("port", Listen().port)
    here = _here(host[0] if isinstance(host, list) else host)
    base_path = listen.get("base_path", Listen().base_path)
    return f"http://{here}:{port}{base_path}" if port else None


def _here(host: str) -> str:
    """Return how an address to bind is reached from this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1"
    return f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - IPv6
