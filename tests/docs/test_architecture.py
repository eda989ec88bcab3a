"""The walk through the package names what is there."""

import re
from pathlib import Path

import pytest

from tests.docs.snippets import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PACKAGE = ROOT / "proxy"
NAMED = sorted(set(re.findall(r"`([a-z_]+(?:/[a-z_]*)?(?:\.py|/))`", PAGE)))


@pytest.mark.parametrize("name", NAMED)
def test_what_the_page_names_is_there(name: str) -> None:
    if not name.startswith(("docs/", "schemas/")):
        assert (PACKAGE / name).exists()


def test_every_folder_and_every_module_beside_them_has_its_line() -> None:
    there = {f"{path.name}/" for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    there |= {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    assert there <= set(NAMED)


def test_it_fits_on_a_screen() -> None:
    walk = PAGE.partition("## Follow a request")[2].partition("## The folders")[0]
    assert len(walk.splitlines()) <= 40


def test_paths_are_of_this_project_only() -> None:
    assert not [name for name in NAMED if Path(name).is_absolute()]
