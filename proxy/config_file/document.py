"""The YAML document: doubled keys refused, `${VARIABLE}` and `${file:…}` filled in."""

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from proxy.config_file import rules
from proxy.config_file.rules import dotted

_MERGE = "tag:yaml.org,2002:merge"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_REFERENCE = re.compile(r"\$\{(file:)?([^}]*)\}")
_SCALARS = {"integer", "number", "boolean"}


class ConfigError(Exception):
    """The configuration cannot be used; the text is `path.of.the.field: what is wrong`, on one line."""

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.split()))


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key written twice, of which one would silently be lost, and leaves dates as they are."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's name and type
        first: [(tag, regexp) for tag, regexp in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == _MERGE:
            continue
        key = loader.construct_object(key_node)
        if isinstance(key, str | int) and key in seen:
            raise ConfigError(f"{key}: written twice (line {key_node.start_mark.line + 1})")
        seen.add(key if isinstance(key, str | int) else None)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse(text: str) -> Any:
    """Decode YAML text.

    Raises:
        ConfigError: it is not YAML, or a key is written twice.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader subclass
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else "file"
        raise ConfigError(f"{place}: not YAML: {getattr(error, 'problem', error)}") from None
    except ValueError as error:
        raise ConfigError(f"file: not YAML: {error}") from None
    except RecursionError:
        raise ConfigError("file: nested too deep") from None


def read_text(path: str | os.PathLike[str], place: str) -> str:
    """Read a file, or raise a `ConfigError` that begins with `place`."""
    try:
        return Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{place}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{place}: not UTF-8") from None
    except ValueError:
        raise ConfigError(f"{place}: not a file name") from None


def expand(value: Any, path: tuple[str | int, ...], environ: Mapping[str, str]) -> Any:
    """Fill in the references of a document.

    Raises:
        ConfigError: one that cannot be, or a value that no configuration can hold.
    """
    if isinstance(value, dict):
        if (odd := next((key for key in value if not isinstance(key, str)), "")) != "":
            raise ConfigError(f"{dotted((*path, str(odd)))}: a key must be text; put it in quotes")
        return {key: expand(item, (*path, key), environ) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item, (*path, index), environ) for index, item in enumerate(value)]
    if isinstance(value, str):
        value = _expand_text(value, path, environ)
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{dotted(path)}: must be a finite number")
    return value


def _expand_text(value: str, path: tuple[str | int, ...], environ: Mapping[str, str]) -> Any:
    def referred(match: re.Match[str]) -> str:
        is_file, name = match.groups()
        if not is_file:
            if name not in environ:
                raise ConfigError(f"{dotted(path)}: environment variable {name} is not set")
            return environ[name]
        return read_text(name, f"{dotted(path)}: {name}").rstrip("\r\n")

    text = _REFERENCE.sub(referred, value)
    if _REFERENCE.fullmatch(value) is None or rules.kind_at(path) not in _SCALARS:
        return text
    try:
        scalar = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return scalar if isinstance(scalar, int | float) else text
