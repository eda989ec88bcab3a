"""What is promised is what there is: the public names, and the fields of the log."""

import re

import proxy
from proxy.causes import Cause
from proxy.telemetry.access_log import AccessRecord
from tests.docs.snippets import ROOT


def test_the_names_promised_are_those_exported() -> None:
    page = (ROOT / "docs" / "stability.md").read_text("utf-8")
    listed = page.partition("<!-- names -->")[2].partition("<!-- end -->")[0]
    assert sorted(re.findall(r"`(\w+)`", listed)) == sorted(proxy.__all__)


def test_each_is_used_where_types_are_checked() -> None:
    checked = (ROOT / "tests" / "typing" / "public_api.py").read_text("utf-8")
    assert set(proxy.__all__) <= set(re.findall(r"\bproxy\.(\w+)", checked))


def _contract(heading: str) -> set[str]:
    """List what is in backticks in a section of the contract."""
    page = (ROOT / "docs" / "behaviour.md").read_text("utf-8")
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"`(\w+)`", section))


def test_the_contract_names_every_field_of_the_log() -> None:
    assert set(AccessRecord.__struct_fields__) <= _contract("Access log")


def test_the_contract_names_every_cause() -> None:
    assert set(Cause) <= _contract("Errors")
