"""Of a configuration, only where managed keys are kept, and which keys and owners it has itself.

What upstreams and clients authenticate with is not looked up: the gateway's environment has it, an operator's need not.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from proxy.config import Key, Owner, Store
from proxy.config_file import lines, rules, tenancy
from proxy.config_file.document import References, parse_with_doubles
from proxy.config_file.faults import ConfigError, Fault
from proxy.config_file.files import FilesRead
from proxy.config_file.load import build_key

_PARTS = ("store", "keys", "owners")
_NO_DIGEST = "0" * 64


class Tenants(NamedTuple):
    """A configuration's store, keys and owners; the digests of the keys are not known.

    Attributes:
        file: of the configuration, as it was named.
        store: None: managed keys are not kept.
        counts_apart: whether each process of a gateway counts limits and budgets for itself.
        workers: in how many it runs, by what the file says; the command line may have said another number.
    """

    file: str
    store: Store | None
    keys: tuple[Key, ...]
    owners: tuple[Owner, ...]
    counts_apart: bool
    workers: int


def read_tenants(file: str, environ: Mapping[str, str] = os.environ) -> Tenants:
    """Read a configuration's store, keys and owners.

    Raises:
        ConfigError: it cannot be read, or something in these parts is wrong.
    """
    files = FilesRead()
    text = files.read_text(file, file)
    folder = Path(file).parent
    try:
        document, doubled = parse_with_doubles(text)
        given = document if isinstance(document, dict) else {}
        parts = _check(given, doubled, References(environ, folder, files))
    except ConfigError as error:
        raise ConfigError(*lines.locate(error.found, file, text)) from None
    return Tenants(
        file,
        tenancy.build_store(parts.get("store"), folder),
        tuple(map(build_key, parts.get("keys", ()))),
        tuple(map(tenancy.build_owner, parts.get("owners", ()))),
        given.get("redis") is None,
        _workers(given, References(environ, folder, files)),
    )


def _workers(given: Mapping[str, Any], references: References) -> int:
    """Return `listen.workers`; 1 where a variable that it names is the gateway's alone."""
    listen = given.get("listen")
    workers = listen.get("workers") if isinstance(listen, dict) else None
    filled = references.fill_in({"listen": {"workers": workers}})["listen"]["workers"]
    return filled if isinstance(filled, int) else 1


def _check(
    given: Mapping[str, Any], doubled: Sequence[Fault], references: References
) -> dict[str, Any]:
    parts: dict[str, Any] = {name: given[name] for name in _PARTS if given.get(name) is not None}
    if isinstance(parts.get("keys"), list):
        parts["keys"] = list(map(_without_key, parts["keys"]))
    parts = references.fill_in(parts)
    faults = [fault for fault in rules.faults(parts) if fault.path and fault.path[0] in parts]
    unfilled = {fault.path for fault in references.faults}
    faults = [*references.faults, *(fault for fault in faults if fault.path not in unfilled)]
    faults += [fault for fault in doubled if fault.path[0] in _PARTS]
    if faults:
        raise ConfigError(*faults)
    return parts


def _without_key(entry: Any) -> Any:
    if not isinstance(entry, dict) or "key" not in entry:
        return entry
    rest = {name: value for name, value in entry.items() if name != "key"}
    return {"sha256": _NO_DIGEST, **rest}
