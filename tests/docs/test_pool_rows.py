"""The properties of pools are all told with tests, and these are there."""

import re

import pytest

from tests.docs.snippets import ROOT

TEXT = (ROOT / "tests" / "pools" / "README.md").read_text("utf-8")
ROWS = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", TEXT, re.MULTILINE)


def test_the_rows_are_whole() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 36))
    assert len(re.findall(r"^\| \d", TEXT, re.MULTILINE)) == len(ROWS)


@pytest.mark.parametrize("tests", [row[2] for row in ROWS], ids=[row[0] for row in ROWS])
def test_each_test_of_a_row_is_there(tests: str) -> None:
    named = re.findall(r"`([^`:]+)::(\w+)`", tests)
    assert len(named) == tests.count("`") // 2 > 0
    for path, name in named:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)
