"""A key's entry put into the text of a configuration, which otherwise stays as its owner wrote it."""

import json
from typing import Any

import yaml

from proxy.config_file.document import parse
from proxy.config_file.faults import ConfigError, safe_name


def key_entry(name: str, sha256: str) -> str:
    """Return the entry of a key, on one line: JSON, which is YAML too."""
    return json.dumps({"name": name, "sha256": sha256})


def with_key(text: str, name: str, sha256: str) -> str:
    """Return a configuration's text with a key more, before those that are there.

    Raises:
        ConfigError: it is not YAML, a key has this name already, or the entry cannot be put there by a machine.
    """
    document = parse(text)
    before = document.get("keys") or [] if isinstance(document, dict) else None
    if not isinstance(before, list):
        raise ConfigError("the file holds no configuration")
    if any(isinstance(each, dict) and each.get("name") == name for each in before):
        raise ConfigError(f"keys: there is one named {safe_name(name)} already")
    entry = key_entry(name, sha256)
    # A file of another system keeps its line ends.
    new = _insert(text, entry, "\r\n" if "\r\n" in text else "\n")
    wanted = {**document, "keys": [json.loads(entry), *before]}
    # YAML has more ways to write a list than are known here.
    if _parse(new) != wanted:
        raise ConfigError(f"keys: written so that only you can add to it; add this entry: {entry}")
    return new


def _insert(text: str, entry: str, end: str) -> str:
    node = _node_of_keys(text)
    if node is None:
        return f"{text.rstrip()}{end}{end}keys:{end}  - {entry}{end}"
    start, ends = node.start_mark.index, node.end_mark.index
    if isinstance(node, yaml.SequenceNode) and not node.flow_style:
        return f"{text[:start]}- {entry}{end}{' ' * node.start_mark.column}{text[start:]}"
    if isinstance(node, yaml.SequenceNode) and node.value:
        return f"{text[: start + 1]}{entry}, {text[start + 1 :]}"
    return f"{text[:start].rstrip()}{end}  - {entry}{text[ends:]}"


def _node_of_keys(text: str) -> yaml.Node | None:
    root = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return None
    return next((value for key, value in root.value if key.value == "keys"), None)


def _parse(text: str) -> Any:
    try:
        return parse(text)
    except ConfigError:
        return None
