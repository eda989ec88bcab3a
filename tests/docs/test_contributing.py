"""What a maintainer is told to do can be done: paths and targets are there, and no hook fetches anything."""

import re

import yaml

from tests.docs.snippets import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def test_every_path_named_exists() -> None:
    paths = set(re.findall(r"\b((?:proxy|tests|docs|schemas|requirements)/[\w/.-]*\w)", PAGE))
    assert len(paths) >= 15
    assert {path for path in paths if not (ROOT / path).exists()} == set()


def test_every_target_named_exists() -> None:
    targets = set(re.findall(r"make\s([a-z][a-z-]*[a-z])\b", PAGE))
    assert {"check", "test", "fmt", "lock", "bench", "sbom"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_ci_runs_every_test_that_make_has() -> None:
    ci = (ROOT / ".ci" / "run").read_text("utf-8")
    targets = set(re.findall(r"^(test[a-z-]*):", MAKEFILE, re.MULTILINE))
    assert len(targets) >= 7
    for target in targets - {"test-quick"}:  # a part of `make test`
        assert f"make {target}\n" in ci or f"make {target};" in ci, target


def test_hooks_are_the_tools_that_make_uses_and_fetch_nothing() -> None:
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert repo["repo"] == "local"
    for hook in repo["hooks"]:
        assert hook["language"] == "system"
        program, _, rest = hook["entry"].removeprefix(".venv/bin/").partition(" ")
        assert f"$(BIN)/{program}" in MAKEFILE or (ROOT / rest).is_file(), hook["id"]
