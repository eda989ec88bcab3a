"""The walk through the package names what is there."""

import ast
import re
from pathlib import Path

import pytest

from tests.docs.snippets import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PACKAGE = ROOT / "proxy"
NAMED = sorted(set(re.findall(r"`([a-z_]+(?:/[a-z_]*)?(?:\.py|/))`", PAGE)))
SOUGHT = PAGE.partition("## Looked for most")[2].partition("## ")[0]
ROWS = [line for line in SOUGHT.splitlines() if "`" in line]
DEFINED = [
    (name, module)
    for row in ROWS
    for part in row.split(";")
    for *names, module in [re.findall(r"`([\w./]+)`", part)]
    for name in names
]


@pytest.mark.parametrize("name", NAMED)
def test_what_the_page_names_is_there(name: str) -> None:
    if not name.startswith(("docs/", "schemas/")):
        assert (PACKAGE / name).exists()


def test_every_folder_and_every_module_beside_them_has_its_line() -> None:
    there = {f"{path.name}/" for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    there |= {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    assert there <= set(NAMED)


def _defined(module: str) -> set[str]:
    """Return the classes and functions of a module, and the methods as `Class.method`."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = set()
    for node in ast.parse((PACKAGE / module).read_text("utf-8")).body:
        if isinstance(node, functions):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            methods = (each.name for each in node.body if isinstance(each, functions))
            found |= {node.name, *(f"{node.name}.{name}" for name in methods)}
    return found


@pytest.mark.parametrize(("name", "module"), DEFINED)
def test_what_is_looked_for_most_is_defined_where_the_page_says(name: str, module: str) -> None:
    assert name in _defined(module)


def test_what_is_looked_for_most_has_a_name_in_each_row() -> None:
    assert len(DEFINED) >= len(ROWS) > 0


def test_it_fits_on_a_screen() -> None:
    walk = PAGE.partition("## Follow a request")[2].partition("## Looked for most")[0]
    assert len(walk.splitlines()) <= 40


def test_paths_are_of_this_project_only() -> None:
    assert not [name for name in NAMED if Path(name).is_absolute()]
