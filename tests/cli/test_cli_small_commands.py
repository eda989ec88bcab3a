"""`check`, and wrong use."""

from pathlib import Path

import pytest

import proxy
from proxy.__main__ import main
from proxy.money import price_file
from tests.support.commands import ROOT, environment, ran, write_config
from tests.support.gateways import KEY


def test_check_says_what_a_good_configuration_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLIENT_KEY", KEY)
    monkeypatch.setenv("UPSTREAM_KEY", "sk-x")
    config = write_config(tmp_path)
    assert main(["check", "--config", str(config)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"{config}: good: 1 upstream, 1 wildcard, 1 key",
        "",
        "upstream  base URL            credential  serves",
        "first     http://127.0.0.1:1  x-api-key   1 wildcard",
        "",
        "model        sent as       upstream  aliases",
        "anthropic/*  as asked for  first",
        "",
        "key     models  expires",
        "tester  all     never",
        "",
        "  listen 127.0.0.1; port 0, below /api; 1 worker",
        "  store  none: no usage is kept, and keys are those of the file",
        "  redis  none",
        "  limits none but those of single keys and owners",
        f"  prices the shipped list, of {price_file.load().version}",
        "  admin  none",
        "",
    ]
    assert err == ""


def test_check_counts_of_each_upstream_the_models_that_it_serves_through_a_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLIENT_KEY", KEY)
    monkeypatch.setenv("UPSTREAM_KEY", "sk-x")
    config = write_config(tmp_path, more="pools: {both: {members: [{upstream: first}]}}\n")
    config.write_text(
        config.read_text().replace("upstream: first}]\nkeys", "upstream: both}]\nkeys")
    )
    assert main(["check", "--config", str(config)]) == 0
    assert "first     http://127.0.0.1:1  x-api-key   1" in capsys.readouterr().out


def test_check_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLIENT_KEY", raising=False)
    monkeypatch.setenv("UPSTREAM_KEY", "sk-x")
    config = write_config(tmp_path)
    assert main(["check", "--config", str(config)]) == 2
    assert capsys.readouterr().err == (
        f"anyrouter: {config}:5: keys.0.key: environment variable CLIENT_KEY is not set; export CLIENT_KEY=... before "
        "the start\nanyrouter: the variables of this shell were looked up; a gateway that runs has its own, by which "
        "`anyrouter reload --pid PID` checks the file\n"
    )


async def test_the_shipped_configuration_is_good() -> None:
    env = environment(ANTHROPIC_API_KEY="sk-ant-x", COLUMNS="80")
    status, out, err = await ran("check", "--config", "config.yaml", cwd=ROOT, env=env)
    assert status == 0
    assert max(map(len, out.splitlines())) <= 80
    assert err.startswith("anyrouter: warning: config.yaml:")
    assert err.count("\n") == 1
    assert "keys: there is none" in err
    assert out.startswith("config.yaml: good: 1 upstream, 7 models and 1 wildcard, 0 keys\n")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["serve", "--port", "65536"],
        ["serve", "--port", "x"],
        ["serve", "--nonsense"],
        ["serve", "--prot", "9000"],
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


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(["serv"], "serve"), (["keys", "nwe"], "new"), (["store", "migrat"], "migrate")],
    ids=str,
)
def test_a_misspelt_command_has_a_suggestion(
    typed: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(typed)
    assert f"; did you mean {meant}?" in capsys.readouterr().err


@pytest.mark.parametrize("colours", [{"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}], ids=str)
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["serve", "--prot", "1"], "--port"),
        (["keys", "new", "a", "--ownr=b"], "--owner"),
        (["store", "migrate", "--hlp"], "--help"),
    ],
    ids=str,
)
def test_a_misspelt_option_has_a_suggestion_where_errors_are_coloured_too(
    typed: list[str],
    meant: str,
    colours: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CPython 3.14 colours a usage, from which the known options are read."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in colours.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        main(typed)
    err = capsys.readouterr().err
    assert f"; did you mean {meant}?" in err
    assert "\x1b" not in err


def test_without_a_command_the_first_lines_to_type_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert capsys.readouterr().err == (
        "anyrouter: which command? `anyrouter demo` shows the gateway, `anyrouter init` begins; "
        "`anyrouter --help` has examples\n"
    )
