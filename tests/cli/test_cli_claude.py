"""`anyrouter claude` asks the gateway first, then becomes Claude Code in an environment that leads there."""

import contextlib
import json
import os
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy import Key
from proxy.access.keys import digest
from proxy.client_variables import COSTLY, SAFE
from proxy.commands.claude import separate_arguments
from tests.support.commands import environment, ran
from tests.support.gateways import KEY, config_for, running
from tests.support.raw import answer, raw_upstream
from tests.support.scripts import says

FAKE_CLAUDE = f"""#!{sys.executable}
import json, os, sys
print(json.dumps([sys.argv[1:], dict(os.environ)]))
sys.exit(7)
"""
CLASHING = {
    "ANTHROPIC_API_KEY": "sk-ant-real",
    "ANTHROPIC_AUTH_TOKEN": "other",
    "ANTHROPIC_BASE_URL": "https://elsewhere.test",
    "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat",
    "CLAUDE_CODE_USE_BEDROCK": "1",
    "CLAUDE_CODE_USE_VERTEX": "1",
    "CLAUDE_CODE_USE_FOUNDRY": "1",
}
SAFE_VALUES = {name: value for name, value, _ in SAFE}


@pytest.fixture
def fake_claude(tmp_path: Path) -> dict[str, str]:
    """Return an environment whose `claude` prints its arguments and environment, and exits 7."""
    program = tmp_path / "claude"
    program.write_text(FAKE_CLAUDE, "utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return environment(PATH=path, ANYROUTER_KEY=KEY, HOME=str(tmp_path), **CLASHING)


@contextlib.asynccontextmanager
async def gateway() -> AsyncIterator[str]:
    """Give the URL of a gateway that knows two keys."""
    keys = (Key("laptop", digest(KEY)), Key("phone", digest("ar-of-the-phone")))
    async with running(config_for("http://127.0.0.1:1", keys=keys)) as one:
        yield one.url


PASSED = {
    "nothing": ([], []),
    "a prompt": (["-p", "say hi"], ["--", "-p", "say hi"]),
    "a separator of theirs": (["-c", "--", "y"], ["--", "-c", "--", "y"]),
    "ours first": (["--key", "k", "-p", "x"], ["--key", "k", "--", "-p", "x"]),
    "ours, joined": (["--url=u", "--resume"], ["--url=u", "--", "--resume"]),
    "ours without a value": (["--url"], ["--url"]),
    "a separator": (["--url", "u", "--", "--url"], ["--url", "u", "--", "--url"]),
    "help": (["--help"], ["--help"]),
    "a switch of ours": (["--print-settings", "--url", "u"], ["--print-settings", "--url", "u"]),
    "an authority": (["--ca", "f", "-c"], ["--ca", "f", "--", "-c"]),
    "words": (["mcp", "list"], ["--", "mcp", "list"]),
}


@pytest.mark.parametrize(("given", "separate"), PASSED.values(), ids=PASSED)
def test_claudes_arguments_are_told_from_ours(given: list[str], separate: list[str]) -> None:
    assert separate_arguments(["claude", *given]) == ["claude", *separate]
    assert separate_arguments(["doctor", *given]) == ["doctor", *given]


LATE = {
    "an option": ("--url", ["-p", "say hi", "--url", "u"]),
    "joined": ("--key", ["--resume", "--key=k"]),
    "a switch": ("--print-settings", ["--url", "u", "-c", "--print-settings", "--", "--url"]),
    "an authority": ("--ca", ["mcp", "--ca", "f"]),
}


@pytest.mark.parametrize(("flag", "given"), LATE.values(), ids=LATE)
async def test_ours_behind_what_is_claudes_is_told_and_not_left_out(
    flag: str, given: list[str], fake_claude: dict[str, str]
) -> None:
    status, out, err = await ran("claude", *given, env=fake_claude)
    assert (status, out) == (2, "")
    assert err == (
        f"anyrouter: {flag}: goes first, before what is for claude; behind `--` it is for claude, too\n"
    )


async def test_claude_gets_its_arguments_and_no_variable_that_clashes(
    fake_claude: dict[str, str],
) -> None:
    async with gateway() as url:
        given = ("--url", url, "--key=ar-of-the-phone", "-p", "say hi", "--", "--url", "theirs")
        status, out, err = await ran("claude", *given, env=fake_claude)
    assert (status, err) == (7, f"Claude Code through {url} as phone\n")
    arguments, got = json.loads(out)
    assert arguments == ["-p", "say hi", "--", "--url", "theirs"]
    assert got["ANTHROPIC_BASE_URL"] == url
    assert got["ANTHROPIC_AUTH_TOKEN"] == "ar-of-the-phone"
    left = set(CLASHING) - {"ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"}
    assert not left & set(got)
    assert got["HOME"] == fake_claude["HOME"]


async def test_claude_takes_url_and_key_from_the_environment(fake_claude: dict[str, str]) -> None:
    async with gateway() as url:
        status, out, err = await ran("claude", env={**fake_claude, "ANYROUTER_URL": url})
    arguments, got = json.loads(out)
    assert (status, arguments) == (7, [])
    assert got["ANTHROPIC_BASE_URL"] == url
    assert got["ANTHROPIC_AUTH_TOKEN"] == KEY
    assert err.endswith(" as laptop\n")


async def test_what_claude_leaves_off_behind_a_gateway_is_on_unless_the_user_says_otherwise(
    fake_claude: dict[str, str],
) -> None:
    (name, *_), *others = SAFE
    async with gateway() as url:
        env = {**fake_claude, "ANYROUTER_URL": url, name: ""}
        _, out, _ = await ran("claude", "--ca", "/dev/null/none", env=env)
        assert out == ""
        _, out, _ = await ran("claude", env=env)
    got = json.loads(out)[1]
    assert got[name] == ""
    assert {each: got[each] for each, *_ in others} == {each: value for each, value, _ in others}
    assert not {each for each, *_ in COSTLY} & set(got)
    assert {"CLAUDE_CODE_GATEWAY_HINT_HEADERS", "CLAUDE_CODE_PROPAGATE_TRACEPARENT"} <= set(got)


async def test_where_nothing_listens_claude_is_not_started(
    fake_claude: dict[str, str], unused_tcp_port: int
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/api"
    status, out, err = await ran("claude", "--url", url, env=fake_claude)
    assert (status, out) == (1, "")
    assert err == (
        f"anyrouter: nothing listens on 127.0.0.1:{unused_tcp_port}: start it with `anyrouter serve`\n"
    )


async def test_with_a_key_that_the_gateway_does_not_know_claude_is_not_started(
    fake_claude: dict[str, str],
) -> None:
    async with gateway() as url:
        status, out, err = await ran("claude", "--url", url, "--key", "ar-other", env=fake_claude)
    assert (status, out) == (1, "")
    assert err.startswith("anyrouter: the gateway does not know this key, or it has expired: ")
    assert err.count("\n") == 1


async def test_against_what_is_no_gateway_claude_is_not_started(
    fake_claude: dict[str, str],
) -> None:
    async with raw_upstream(says(answer(b'{"service": 1}'))) as other:
        status, out, err = await ran("claude", "--url", other.url, env=fake_claude)
    assert (status, out) == (1, "")
    assert err.startswith("anyrouter: what answers is not this gateway (HTTP 200)")


async def test_settings_for_a_team_hold_everything_but_a_key_and_ask_nobody(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    status, out, err = await ran(
        "claude", "--print-settings", "--url", "https://h.test/api", "--ca", ca, env=environment()
    )
    assert status == 0
    assert json.loads(out) == {
        "env": {
            "ANTHROPIC_BASE_URL": "https://h.test/api",
            **SAFE_VALUES,
            "NODE_EXTRA_CA_CERTS": str(ca),
        }
    }
    assert "managed-settings.json" in err


async def test_a_missing_claude_is_one_line_and_exit_1(tmp_path: Path) -> None:
    env = environment(PATH=str(tmp_path), ANYROUTER_KEY="ar-x")
    status, out, err = await ran("claude", "-p", "x", env=env)
    assert (status, out) == (1, "")
    assert err.startswith("anyrouter: claude is not installed")
    assert err.count("\n") == 1


async def test_claude_without_a_key_is_wrong_use_and_told_the_next_line(
    fake_claude: dict[str, str],
) -> None:
    env = {name: value for name, value in fake_claude.items() if name != "ANYROUTER_KEY"}
    status, _, err = await ran("claude", "-p", "x", env=env)
    assert status == 2
    assert err.startswith(
        "anyrouter: --key: a key of the gateway is needed: `export ANYROUTER_KEY="
    )


@pytest.mark.parametrize("key", ["ar-\nx", "ar-\u00fc"])
@pytest.mark.parametrize("command", ["doctor", "claude"])
async def test_a_key_that_no_header_can_hold_is_wrong_use(
    command: str, key: str, fake_claude: dict[str, str]
) -> None:
    status, out, err = await ran(command, "--key", key, env=fake_claude)
    assert (status, out, err) == (2, "", "anyrouter: --key: must be printable ASCII\n")


@pytest.mark.parametrize("command", ["doctor", "claude"])
@pytest.mark.parametrize(
    ("text", "said"), [(None, "No such file or directory"), ("x", "holds no certificate")]
)
async def test_an_authority_that_cannot_be_read_is_wrong_use(
    tmp_path: Path, command: str, text: str | None, said: str, fake_claude: dict[str, str]
) -> None:
    ca = tmp_path / "ca.pem"
    if text is not None:
        ca.write_text(text, "utf-8")
    status, out, err = await ran(command, "--ca", ca, env=fake_claude)
    assert (status, out, err) == (2, "", f"anyrouter: --ca: {ca}: {said}\n")
