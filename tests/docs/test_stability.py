"""What is promised is what there is: the public names, and the fields of the log."""

import re

import proxy
from proxy.telemetry.access_log import AccessRecord
from tests.docs.snippets import ROOT


def test_the_names_promised_are_those_exported() -> None:
    page = (ROOT / "docs" / "stability.md").read_text("utf-8")
    listed = page.partition("<!-- names -->")[2].partition("<!-- end -->")[0]
    assert sorted(re.findall(r"`(\w+)`", listed)) == sorted(proxy.__all__)


def test_each_is_used_where_types_are_checked() -> None:
    checked = (ROOT / "tests" / "typing" / "public_api.py").read_text("utf-8")
    assert set(proxy.__all__) <= set(re.findall(r"\bproxy\.(\w+)", checked))


def test_the_contract_names_every_field_of_the_log() -> None:
    page = (ROOT / "docs" / "behaviour.md").read_text("utf-8")
    section = page.partition("\n## Access log\n")[2].partition("\n## ")[0]
    assert set(AccessRecord.__struct_fields__) <= set(re.findall(r"`(\w+)`", section))
