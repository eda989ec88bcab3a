"""Each page of promises names the test that holds each of them, and the test is there.

Such a page is the `README.md` of a folder of tests: a table whose first column counts from 1, and whose last names
tests as `path::name` or `path`, or a target of the Makefile.
"""

import re
from pathlib import Path

import pytest

from tests.docs.snippets import ROOT

PAGES = sorted((ROOT / "tests").rglob("README.md"))
ROWS = {
    page.parent.name: re.findall(
        r"^\| (\d+) \|.*\| ([^|]+) \|$", page.read_text("utf-8"), re.MULTILINE
    )
    for page in PAGES
}
EACH = [(page, number, tests) for page, rows in ROWS.items() for number, tests in rows]


@pytest.mark.parametrize("page", PAGES, ids=list(ROWS))
def test_the_rows_of_a_page_are_whole(page: Path) -> None:
    rows = ROWS[page.parent.name]
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    assert len(re.findall(r"^\| \d", page.read_text("utf-8"), re.MULTILINE)) == len(rows) > 0


@pytest.mark.parametrize(
    "tests", [row[2] for row in EACH], ids=[f"{page}-{number}" for page, number, _ in EACH]
)
def test_each_test_of_a_row_is_there(tests: str) -> None:
    named = re.findall(r"`([^`]+)`", tests)
    assert len(named) == tests.count("`") / 2 > 0
    for each in named:
        path, _, name = each.partition("::")
        if command := re.fullmatch(r"make ([a-z-]+)", each):
            assert re.search(rf"^{command[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        elif name:
            text = (ROOT / path).read_text("utf-8")
            assert re.search(rf"^ *(async )?def {name}\(", text, re.MULTILINE), each
        else:
            assert (ROOT / path).is_file(), each
