"""Write tables of the documentation: fields from the schema files, advice on failures, metrics.

`python docs/reference.py` rewrites what stands between the markers `<!-- table: NAME -->`, `<!-- advice: NAME -->` or
`<!-- metrics: NAME -->`, and `<!-- end -->` in the README and in docs/*.md; a test fails while they differ.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy import schema_files
from proxy.admin.metric_list import METRICS
from proxy.notices.advice import Advice
from proxy.notices.failures import FAILURES
from proxy.notices.refusals import REFUSALS
from proxy.notices.what_to_do import EVENTS

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_SECTION = re.compile(r"(<!-- (table|advice|metrics): ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_HEADS = {
    "causes": "| what clients report | `cause` | what to do, and what it is |",
    "events": "| line | `event` | what to do, and what it is |",
}
_ADVICE = {"causes": {**REFUSALS, **FAILURES}, "events": EVENTS}


def filled(text: str) -> str:
    """Give a page with its tables as the code has them now."""
    makers = {"table": table, "advice": advice, "metrics": metrics}
    return _SECTION.sub(lambda match: match[1] + makers[match[2]](match[3]) + match[4], text)


def advice(name: str) -> str:
    """Render what to do about causes, or about events, as a table."""
    rows = [
        f"| {each.seen} | `{word}` | {_sentences(each)} |" for word, each in _ADVICE[name].items()
    ]
    return "\n".join([_HEADS[name], "|---|---|---|", *rows]) + "\n"


def _sentences(said: Advice) -> str:
    todo = f"**{said.do[0].upper()}{said.do[1:]}.**"
    return f"{todo} {said.more}" if said.more else todo


def metrics(_name: str) -> str:
    """Render every metric as a table."""
    rows = [
        f"| `{each.name}` | {each.type} | {', '.join(f'`{one}`' for one in each.labels)} | {each.help} |"
        for each in METRICS
    ]
    return "\n".join(["| name | type | labels | meaning |", "|---|---|---|---|", *rows]) + "\n"


def table(schema_name: str) -> str:
    """Render one schema's fields as a table."""
    schema = schema_files.load(schema_name)
    told: set[str] = set()
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{path}` | {_kind(field)} | {default} | {field['description']} |"
        for path, field, default in _fields(schema, schema, "")
        if not _is_told(path, field, told)
    ]
    return "\n".join(lines) + "\n"


def _is_told(path: str, field: dict[str, Any], told: set[str]) -> bool:
    """Return whether a field stands below one that is described elsewhere, and remember those that are."""
    if "x-as" in field:
        told.add(path + ".")
    return path.startswith(tuple(told))


def _fields(
    schema: dict[str, Any], root: dict[str, Any], prefix: str
) -> Iterator[tuple[str, dict[str, Any], str]]:
    required = schema.get("required", ())
    for name, given in schema.get("properties", {}).items():
        field, top = _resolved(given, root)
        path = prefix + name
        yield path, field, _default(field, required=name in required)
        yield from _inside(field, top, path)


def _inside(
    field: dict[str, Any], root: dict[str, Any], path: str
) -> Iterator[tuple[str, dict[str, Any], str]]:
    yield from _fields(field, root, f"{path}.")
    for inner, step in (
        (field.get("items"), "[]."),
        (field.get("additionalProperties"), ".NAME."),
    ):
        if isinstance(inner, dict) and inner:
            entry, top = _resolved(inner, root)
            yield from _fields(entry, top, path + step)


def _resolved(field: dict[str, Any], root: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a field without its reference; what stands beside the reference goes before what it refers to."""
    reference = field.get("$ref")
    if reference is None:
        return field, root
    file, _, pointer = reference.partition("#")
    top = schema_files.load(file.removesuffix(schema_files.SUFFIX)) if file else root
    found: Any = top
    for step in pointer.strip("/").split("/"):
        found = found[step]
    return {**found, **{name: value for name, value in field.items() if name != "$ref"}}, top


def _kind(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    kind = field.get("type", "any")
    kinds = [kind] if isinstance(kind, str) else [each for each in kind if each != "null"]
    return " or ".join(kinds)


def _default(field: dict[str, Any], *, required: bool) -> str:
    if required:
        return "required"
    if "default" not in field or field["default"] == {}:
        return ""
    return f"`{json.dumps(field['default'])}`"


def main() -> None:
    """Rewrite the pages that have changed."""
    for page in PAGES:
        text = page.read_text("utf-8")
        if (new := filled(text)) != text:
            page.write_text(new, "utf-8")


if __name__ == "__main__":
    main()
