"""The YAML document: doubled keys noted, `${VARIABLE}`, `${file:…}` and `${credential:…}` filled in."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from proxy.config_file import faults, rules
from proxy.config_file.faults import ConfigError, Fault, safe_name, suggest
from proxy.config_file.files import FilesRead

_MERGE = "tag:yaml.org,2002:merge"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_IN_A_NAME = re.compile(r"\$\{([^{}]*)\}")
# The name of a file may hold variables.
_REFERENCE = re.compile(r"\$\{(file:|credential:)?((?:\$\{[^{}]*\}|[^}])*)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Where systemd puts what LoadCredential= and SetCredential= of the unit name.
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
_SLIP = 0.85
# As PyYAML writes one in what it says.
_TAB = repr("\t")
_SCALARS = {"integer", "number", "boolean"}


class _Loader(yaml.SafeLoader):
    """YAML that notes a key written twice, of which one would silently be lost, and leaves dates as they are."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's name and type
        first: [(tag, regexp) for tag, regexp in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.doubled: list[Fault] = []


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == _MERGE:
            continue
        key = loader.construct_object(key_node)
        if isinstance(key, str | int) and key in seen:
            line = key_node.start_mark.line + 1
            twice = f"written twice; the second time in line {line}"
            loader.doubled.append(Fault((key,), twice, line))
        seen.add(key if isinstance(key, str | int) else None)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse(text: str) -> Any:
    """Decode YAML text.

    Raises:
        ConfigError: it is not YAML, or keys are written twice.
    """
    document, doubled = parse_with_doubles(text)
    if doubled:
        raise ConfigError(*doubled)
    return document


def parse_with_doubles(text: str) -> tuple[Any, list[Fault]]:
    """Decode YAML text; return also which keys are written twice.

    Raises:
        ConfigError: it is not YAML.
    """
    try:
        loader = _Loader(text)
        document = loader.get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = f"not YAML: {getattr(error, 'problem', error)}"
        if _TAB in said:
            said += "; lines are indented by spaces"
        raise ConfigError(Fault((), said, mark.line + 1 if mark else None)) from None
    except ValueError:
        # Its text quotes the value.
        raise ConfigError(Fault((), "not YAML: a value is not what its tag says")) from None
    except RecursionError:
        raise ConfigError(Fault((), "nested too deep")) from None
    return document, loader.doubled


class References:
    """What `${VARIABLE}`, `${file:NAME}` and `${credential:NAME}` stand for, and which of them cannot be filled in.

    Args:
        environ: where variables are looked up.
        folder: what the names of files are relative to.
        files: reads them.
    """

    def __init__(self, environ: Mapping[str, str], folder: Path, files: FilesRead) -> None:
        self._environ = environ
        self._folder = folder
        self._files = files
        self.faults: list[Fault] = []

    def fill_in(self, value: Any, path: faults.Path = ()) -> Any:
        """Return a document with its references filled in; `faults` has what could not be, or be written so."""
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    self._fail((*path, str(key)), "a name must be text; put it in quotes")
            return {
                key: self.fill_in(item, (*path, key))
                for key, item in value.items()
                if isinstance(key, str)
            }
        if isinstance(value, list):
            return [self.fill_in(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, str):
            value = self._text(value, path)
        if isinstance(value, float) and not math.isfinite(value):
            self._fail(path, "must be a finite number")
        return value

    def _fail(self, path: faults.Path, text: str) -> None:
        self.faults.append(Fault(path, text))

    def _text(self, value: str, path: faults.Path) -> Any:
        text = _REFERENCE.sub(lambda match: self._look_up(match, path), value)
        if _REFERENCE.fullmatch(value) is None or rules.kind_at(path) not in _SCALARS:
            return text
        try:
            scalar = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return scalar if isinstance(scalar, int | float) else text

    def _look_up(self, match: re.Match[str], path: faults.Path) -> str:
        """Return what stands for a reference, without the line end with which files and secrets often end."""
        kind, name = match.groups()
        before = len(self.faults)
        if kind is None:
            return self._variable(name, path)
        filled = _IN_A_NAME.sub(lambda inner: self._variable(inner[1], path), name)
        if len(self.faults) > before:
            return ""
        try:
            # Faults show the name as it is written: what a variable holds is never shown.
            text = self._credential(name) if kind == "credential:" else self._file(filled, name)
            return text.rstrip("\r\n")
        except ConfigError as error:
            self._fail(path, str(error))
            return ""

    def _variable(self, name: str, path: faults.Path) -> str:
        if name in self._environ:
            return self._environ[name].rstrip("\r\n")
        if _VARIABLE.fullmatch(name) is None:
            self._fail(
                path,
                "${...} takes the name of an environment variable, file:NAME, or credential:NAME",
            )
        else:
            # An environment is full of names that have nothing to do with it.
            known = (
                suggest(name, self._environ, _SLIP)
                or f"; export {safe_name(name)}=... before the start"
            )
            self._fail(path, f"environment variable {safe_name(name)} is not set{known}")
        return ""

    def _file(self, name: str, written: str) -> str:
        return self._files.read_text(self._folder / name, written)

    def _credential(self, name: str) -> str:
        folder = self._environ.get(_CREDENTIALS)
        if not folder:
            raise ConfigError(
                f"{_CREDENTIALS} is not set: systemd sets it for LoadCredential={safe_name(name)}:FILE"
            )
        if name in ("", ".", "..") or "/" in name:
            raise ConfigError("credential: takes a name, as LoadCredential= has it, and no path")
        return self._files.read_text(Path(folder, name), f"credential {safe_name(name)}")
