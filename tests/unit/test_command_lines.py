"""Which command lines are a gateway's, and which configuration they ask for."""

import pytest

from proxy.commands.processes import after_serve, named_config


@pytest.mark.parametrize(
    ("line", "after"),
    [
        (["/opt/bin/python3.11", "/opt/bin/anyrouter", "serve", "--port", "1"], ["--port", "1"]),
        (["anyrouter", "serve"], []),
        (["python", "-u", "-m", "proxy", "serve"], []),
        (["python", "-m", "proxy", "demo"], None),
        (["/opt/bin/python", "/opt/bin/anyrouter", "reload"], None),
        (["sh", "-c", "anyrouter serve"], None),
        (["sleep", "anyrouter", "serve"], None),
        (["vi", "anyrouter"], None),
        ([], None),
    ],
    ids=["script", "alone", "module", "demo", "reload", "shell", "sleep", "editor", "gone"],
)
def test_only_what_serves_is_a_gateway(line: list[str], after: list[str] | None) -> None:
    assert after_serve(line) == after


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--port", "1", "--config", "a.yaml"], ("a.yaml",)),
        (["--config=b.yaml"], ("b.yaml",)),
        ([], ("anyrouter.yaml", "config.yaml")),
    ],
    ids=["two words", "one word", "none"],
)
def test_the_configuration_is_the_one_that_the_command_line_names(
    arguments: list[str], names: tuple[str, ...]
) -> None:
    assert named_config(arguments) == names
