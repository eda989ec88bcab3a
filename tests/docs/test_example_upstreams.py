"""Each example of an upstream is a good configuration, whose page names it and says that it was not tried."""

import re
from pathlib import Path

import pytest

from proxy.config_file.load import load
from tests.docs.snippets import ROOT

FOLDER = ROOT / "examples" / "upstreams"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_a_good_configuration_without_a_secret(file: Path) -> None:
    text = file.read_text("utf-8")
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "sk-example-0123456789")
    config, warnings = load(file, environ)
    assert {model.upstream for model in config.models} == {each.name for each in config.upstreams}
    # They have no key of a client, for which `anyrouter serve` makes one.
    assert all("keys: there is none" in each for each in warnings)
    assert "Untried against the real service." in text.partition("\n")[0]


def test_the_page_names_them_all() -> None:
    page = (FOLDER / "README.md").read_text("utf-8")
    assert set(re.findall(r"\]\(([\w-]+\.yaml)\)", page)) == {file.name for file in FILES}
    assert "none was tried against the\nreal service" in page
