"""In which line of a configuration's text a field stands. Pure."""

from collections.abc import Iterable

import yaml

from proxy.config_file.faults import Fault, Path


def locate(faults: Iterable[Fault], file: str, text: str) -> list[str]:
    """Return each fault with file and line, of the field or of what it is missing in; in the order of the lines."""
    root = _compose(text)
    lines = [(fault.line or _line_of(root, fault.path), fault) for fault in faults]
    lines.sort(key=lambda pair: pair[0] or 0)
    return [fault.at(file, line) for line, fault in lines]


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return None


def _line_of(node: yaml.Node | None, path: Path) -> int | None:
    """Return the line, from 1, of the field at a path, or of the innermost one there is on the way to it."""
    line = None
    for step in path:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == str(step)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            found = next(((each, each) for each in node.value[step : step + 1]), None)
        if found is None:
            break
        name, node = found
        line = name.start_mark.line + 1
    return line
