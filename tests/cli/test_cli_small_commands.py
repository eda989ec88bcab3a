"""`check`, `keys`, `claude`, and wrong use."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

import proxy
from proxy.__main__ import main
from proxy.commands.claude import separated
from tests.support.commands import ROOT, environment, ran, write_config
from tests.support.gateways import KEY

FAKE_CLAUDE = f"""#!{sys.executable}
import json, os, sys
print(json.dumps([sys.argv[1:], dict(os.environ)]))
sys.exit(7)
"""
URL = "http://127.0.0.1:1/api"
CLASHING = {
    "ANTHROPIC_API_KEY": "sk-ant-real",
    "ANTHROPIC_AUTH_TOKEN": "other",
    "ANTHROPIC_BASE_URL": "https://elsewhere.test",
    "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat",
    "CLAUDE_CODE_USE_BEDROCK": "1",
    "CLAUDE_CODE_USE_VERTEX": "1",
    "CLAUDE_CODE_USE_FOUNDRY": "1",
}


def test_check_says_what_a_good_configuration_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLIENT_KEY", KEY)
    monkeypatch.setenv("UPSTREAM_KEY", "sk-x")
    config = write_config(tmp_path)
    assert main(["check", "--config", str(config)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"{config}: good: 1 upstream, 1 model, 1 key",
        "",
        "upstream  base URL            credential  models",
        "first     http://127.0.0.1:1  x-api-key   1",
        "",
        "model        sent as       upstream  aliases",
        "anthropic/*  as asked for  first",
        "",
        "key     models  expires",
        "tester  all     never",
        "",
    ]
    assert err == ""


def test_check_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLIENT_KEY", raising=False)
    monkeypatch.setenv("UPSTREAM_KEY", "sk-x")
    config = write_config(tmp_path)
    assert main(["check", "--config", str(config)]) == 2
    assert capsys.readouterr().err == (
        f"anyrouter: {config}:5: keys.0.key: environment variable CLIENT_KEY is not set; export CLIENT_KEY=...\n"
    )


async def test_the_shipped_configuration_is_good() -> None:
    env = environment(ANTHROPIC_API_KEY="sk-ant-x")
    status, out, err = await ran("check", cwd=ROOT, env=env)
    assert status == 0
    assert err.startswith("anyrouter: warning: config.yaml:")
    assert err.count("\n") == 1
    assert "keys: there is none" in err
    assert out.startswith("config.yaml: good: ")


@pytest.fixture
def fake_claude(tmp_path: Path) -> dict[str, str]:
    """Return an environment whose `claude` prints its arguments and environment, and exits 7."""
    program = tmp_path / "claude"
    program.write_text(FAKE_CLAUDE, "utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return environment(PATH=path, ANYROUTER_KEY="ar-claude", HOME=str(tmp_path), **CLASHING)


PASSED = {
    "nothing": ([], []),
    "a prompt": (["-p", "say hi"], ["--", "-p", "say hi"]),
    "a separator of theirs": (["-c", "--", "y"], ["--", "-c", "--", "y"]),
    "ours first": (["--key", "k", "-p", "x"], ["--key", "k", "--", "-p", "x"]),
    "ours, joined": (["--url=u", "--resume"], ["--url=u", "--", "--resume"]),
    "ours without a value": (["--url"], ["--url"]),
    "a separator": (["--url", "u", "--", "--url"], ["--url", "u", "--", "--url"]),
    "help": (["--help"], ["--help"]),
    "words": (["mcp", "list"], ["--", "mcp", "list"]),
}


@pytest.mark.parametrize(("given", "separate"), PASSED.values(), ids=PASSED)
def test_claudes_arguments_are_told_from_ours(given: list[str], separate: list[str]) -> None:
    assert separated(["claude", *given]) == ["claude", *separate]
    assert separated(["doctor", *given]) == ["doctor", *given]


async def test_claude_gets_its_arguments_and_no_variable_that_clashes(
    fake_claude: dict[str, str],
) -> None:
    given = ("--url", URL, "--key=ar-flag", "-p", "say hi", "--", "--url", "theirs")
    status, out, err = await ran("claude", *given, env=fake_claude)
    assert (status, err) == (7, "")
    arguments, got = json.loads(out)
    assert arguments == ["-p", "say hi", "--", "--url", "theirs"]
    assert got["ANTHROPIC_BASE_URL"] == URL
    assert got["ANTHROPIC_AUTH_TOKEN"] == "ar-flag"
    left = set(CLASHING) - {"ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"}
    assert not left & set(got)
    assert got["HOME"] == fake_claude["HOME"]


async def test_claude_takes_url_and_key_from_the_environment(fake_claude: dict[str, str]) -> None:
    status, out, _ = await ran("claude", env={**fake_claude, "ANYROUTER_URL": URL})
    arguments, got = json.loads(out)
    assert (status, arguments) == (7, [])
    assert got["ANTHROPIC_BASE_URL"] == URL
    assert got["ANTHROPIC_AUTH_TOKEN"] == "ar-claude"


async def test_a_missing_claude_is_one_line_and_exit_1(tmp_path: Path) -> None:
    env = environment(PATH=str(tmp_path), ANYROUTER_KEY="ar-x")
    status, out, err = await ran("claude", "-p", "x", env=env)
    assert (status, out) == (1, "")
    assert err.startswith("anyrouter: claude is not installed")
    assert err.count("\n") == 1


async def test_claude_without_a_key_is_wrong_use(fake_claude: dict[str, str]) -> None:
    env = {name: value for name, value in fake_claude.items() if name != "ANYROUTER_KEY"}
    status, _, err = await ran("claude", "-p", "x", env=env)
    assert status == 2
    assert err.startswith("anyrouter: --key: ")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["serve", "--port", "65536"],
        ["serve", "--port", "x"],
        ["serve", "--nonsense"],
        ["serve", "--non\nsense"],
        ["serve", "--host", "a" * 70],
        ["sandbox", "--host", "a" * 70],
        ["keys"],
        ["sandbox", "--events", "many"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_exit_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("anyrouter")
    assert err.count("\n") == 1


@pytest.mark.parametrize("key", ["ar-\nx", "ar-\u00fc"])
@pytest.mark.parametrize("command", ["doctor", "claude"])
async def test_a_key_that_no_header_can_hold_is_wrong_use(
    command: str, key: str, fake_claude: dict[str, str]
) -> None:
    status, out, err = await ran(command, "--key", key, env=fake_claude)
    assert (status, out, err) == (2, "", "anyrouter: --key: must be printable ASCII\n")


async def test_doctor_of_a_host_that_cannot_be_looked_up_is_no_traceback() -> None:
    status, _, err = await ran("doctor", "--url", f"http://{'a' * 70}/", "--key", "ar-x")
    assert (status, "Traceback" in err) == (1, False)


def test_check_says_everything_that_is_wrong_a_line_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIENT_KEY", KEY)
    monkeypatch.setenv("UPSTREAM_KEY", "sk-canary x")
    config = write_config(tmp_path, more="timeouts: {idle_s: 0}\nlog: {formt: text}\n")
    assert main(["check", "--config", str(config)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"anyrouter: {config}:3: upstreams.first.auth.key: must be printable ASCII without spaces",
        f"anyrouter: {config}:6: timeouts.idle_s: must be a number from 1 to 86400",
        f"anyrouter: {config}:7: log.formt: unknown field; did you mean format?",
    ]


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"anyrouter {proxy.__version__}\n"
