"""The operator's page knows every cause, quotes the log as it is, and asks for fields that there are."""

import ast
import re

from proxy import schema_files
from proxy.causes import Cause
from proxy.ledger.row import BROKEN_BY_US, LOST
from proxy.telemetry.access_log import AccessRecord
from tests.docs.snippets import ROOT, snippets

PAGE = "docs/operations.md"
TEXT = (ROOT / PAGE).read_text("utf-8")


def _column(heading: str, cell: int) -> list[str]:
    """List a column of the table below a heading, what is in backticks there."""
    _, _, below = TEXT.partition(f"\n## {heading}\n")
    table = below.partition("\n## ")[0]
    cells = [row.split("|")[cell] for row in re.findall(r"^\|(.*)\|$", table, re.MULTILINE)]
    return [quoted for each in cells for quoted in re.findall(r"`([^`]+)`", each)]


def test_the_table_has_every_cause_and_no_other() -> None:
    words = set(_column("From the symptom to the cause", 1)) - {"cause"}
    assert words == {*Cause, BROKEN_BY_US[0], LOST}


def test_each_line_of_stderr_is_quoted_as_the_code_has_it() -> None:
    written = [
        node.value
        for path in (ROOT / "proxy").rglob("*.py")
        if path.parent.name != "notices"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    quoted = [*_column("What else stderr says", 0), *_column("When an upstream of a pool fails", 2)]
    quoted = [each for each in quoted if not each.startswith("anyrouter ")]
    assert len(quoted) >= 30
    for line in quoted:
        assert any(line in text for text in written), line


def test_the_recipes_ask_for_fields_of_the_log() -> None:
    (recipes,) = [block for block in snippets(PAGE, "sh") if block.startswith("jq")]
    fields = {*AccessRecord.__struct_fields__, "input_tokens", "output_tokens"}
    asked = set(re.findall(r"(?<![\w\]])\.([a-z_]+)", recipes.replace("access.log", "")))
    assert len(asked) >= 8
    assert asked <= fields


def _wanted(page: str) -> set[str]:
    """List what a page says is not there, by its first words."""
    table = page.partition("\n## What is not there\n")[2].partition("\n## ")[0]
    return {row.split("|")[1].strip() for row in table.splitlines()[3:] if row.startswith("|")}


# What the README says in a word, and the page's row for it.
NOT_THERE = {
    "single sign-on": "single sign-on",
    "Batches and Files": "the Batches and Files APIs",
    "other vendors' models": "other vendors' models",
}


def test_what_is_not_there_is_in_the_readme_too() -> None:
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    said = readme.partition("What is not there: ")[2].partition(".")[0]
    assert said.split(", ") == list(NOT_THERE)
    rows = _wanted(TEXT)
    assert len(rows) >= len(NOT_THERE)
    for words in NOT_THERE.values():
        assert any(words in row for row in rows), words


def test_every_time_and_limit_named_is_a_setting() -> None:
    properties = schema_files.load("config")["properties"]
    known = {*properties, *(f"{part}.{name}" for part in ("limits", "timeouts", "listen", "log")
                            for name in properties[part]["properties"])}  # fmt: skip
    known |= {name.partition(".")[2] for name in known}
    named = set(re.findall(r"`((?:limits|timeouts|listen|log)\.[a-z_]+|[a-z_]+_s)\b", TEXT))
    assert len(named) >= 8
    assert named <= known
