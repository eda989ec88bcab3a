"""Of a configuration, only where its gateway and its admin API are reached from this machine."""

import ipaddress
import os
from pathlib import Path
from typing import Any

from proxy.config import Admin, Listen
from proxy.config_file import rules
from proxy.config_file.document import References, parse_with_doubles
from proxy.config_file.faults import ConfigError
from proxy.config_file.files import FilesRead

_ADDRESS = ("host", "port", "base_path", "tls")


def base_url_of(file: str) -> str | None:
    """Return the base URL of a configuration's gateway on this machine; None: the file does not say.

    What is wrong with the rest of it, and which of its variables are not set here, does not matter.
    """
    listen = _section(file, "listen", {})
    if listen is None:
        return None
    base_path = listen.get("base_path", Listen().base_path)
    return _origin(listen, Listen(), base_path)


def admin_url_of(file: str) -> str | None:
    """Return the URL of a configuration's admin API on this machine; as `base_url_of`."""
    admin = _section(file, "admin", None)
    return None if admin is None else _origin(admin, Admin(), "")


def has_no_admin(file: str) -> bool:
    """Return whether a file is a configuration, and has no admin API."""
    document = _document(file, FilesRead())
    return document is not None and document.get("admin") is None


def _document(file: str, files: FilesRead) -> dict[str, Any] | None:
    """Return what stands in a configuration; None: it is none."""
    try:
        document, _ = parse_with_doubles(files.read_text(file, file))
    except ConfigError:
        return None
    # Many programs call theirs so.
    return document if isinstance(document, dict) and "upstreams" in document else None


def _section(file: str, name: str, absent: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what stands in a section about an address, filled in; None: nothing that can be used.

    Args:
        file: of the configuration.
        name: of the section.
        absent: what it is when it is not there.
    """
    files = FilesRead()
    document = _document(file, files)
    if document is None:
        return None
    given = document.get(name)
    given = absent if given is None else given
    if not isinstance(given, dict):
        return None
    given = {each: value for each, value in given.items() if each in _ADDRESS}
    references = References(os.environ, Path(file).parent, files)
    section: Any = references.fill_in(given, (name,))
    at_fault = {fault.path for fault in rules.faults({name: section})}
    is_wrong = any(path[:1] == (name,) and path[1:2] != ("keys",) for path in at_fault)
    return None if references.faults or is_wrong else section


def _origin(section: dict[str, Any], default: Listen | Admin, path: str) -> str | None:
    host, port = section.get("host", default.host), section.get("port", default.port)
    here = _here(host[0] if isinstance(host, list) else host)
    scheme = "http" if section.get("tls") is None else "https"
    return f"{scheme}://{here}:{port}{path}" if port else None


def _here(host: str) -> str:
    """Return how an address to bind is reached from this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1"
    return f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - IPv6
