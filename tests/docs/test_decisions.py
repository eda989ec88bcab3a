"""Each decision has a dated page with its alternatives and the way back, and two indexes lead to it."""

import datetime
import re
from pathlib import Path

import pytest

from tests.docs.snippets import ROOT

FOLDER = ROOT / "docs" / "decisions"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))


def test_pages_are_numbered_without_a_gap() -> None:
    numbers = [int(page.name[:4]) for page in PAGES]
    assert numbers == list(range(1, len(PAGES) + 1))
    assert len(PAGES) >= 9


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_dated_and_names_the_way_back(page: Path) -> None:
    text = page.read_text("utf-8")
    title, _, dated, *_ = text.splitlines()
    assert title.startswith("# ")
    assert datetime.date.fromisoformat(dated) >= datetime.date(2026, 11, 22)
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert sections == ["Decision", "Alternatives", "Costs", "The way back"]


def test_both_indexes_name_every_page_once() -> None:
    names = [page.name for page in PAGES]
    index = (FOLDER / "README.md").read_text("utf-8")
    assert re.findall(r"\]\((\d{4}-[a-z0-9-]*\.md)\)", index) == names
    architecture = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    assert re.findall(r"\]\(decisions/(\d{4}-[a-z0-9-]*\.md)\)", architecture) == names
