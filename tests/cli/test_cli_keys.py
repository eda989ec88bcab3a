"""`anyrouter keys new` and `init`: a key once, alone on stdout; its entry where it belongs."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
import yaml

from proxy.__main__ import main
from proxy.access.keys import digest
from proxy.config_file.load import load_config
from tests.support.commands import environment, ran, started, status_of, write_config
from tests.support.gateways import KEY

FOREIGN = "sk-of-another-gateway-0123"
ENVIRON = {"CLIENT_KEY": KEY, "UPSTREAM_KEY": "sk-x", "ANTHROPIC_API_KEY": "sk-y"}


def names_in(folder: Path) -> list[str]:
    """List a folder."""
    return [each.name for each in folder.iterdir()]


async def opens(config: Path, key: str) -> bool:
    """Return whether a gateway of this configuration takes a key."""
    flags = ("--config", config, "--port", "0")
    env = environment(ANTHROPIC_API_KEY="sk-y")
    async with (
        started("serve", *flags, env=env) as command,
        aiohttp.ClientSession() as session,
    ):
        port = await command.says(b"listening on http://127.0.0.1:")
        headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
        url = f"http://127.0.0.1:{port}/v1/models"
        return await status_of(session, url, **headers) == 200


async def test_a_new_key_is_alone_on_stdout_and_opens_the_gateway_that_has_its_entry(
    tmp_path: Path,
) -> None:
    status, out, err = await ran("keys", "new", "laptop")
    assert status == 0
    key, entry = out.removesuffix("\n"), err.splitlines()[-1]
    assert key.startswith("ar-")
    assert key.isprintable()
    assert key not in err
    assert "shown this once" in err
    assert "a running gateway takes it within seconds" in err
    config = write_config(tmp_path)
    lines = config.read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("keys")]
    config.write_text("\n".join([*kept, "keys:", entry, ""]), "utf-8")
    assert await opens(config, key)


def test_two_new_keys_differ(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "new", "a"]) == main(["keys", "new", "a"]) == 0
    assert len(set(capsys.readouterr().out.splitlines())) == 2


def test_a_bad_name_for_a_key_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "new", "no\nline"]) == 2
    assert capsys.readouterr().err.startswith("anyrouter: NAME: ")


async def test_a_written_key_counts_when_the_gateway_is_started_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, more="# the end\n")
    config.chmod(0o640)
    before = config.read_text("utf-8")
    assert main(["keys", "new", "phone", "--write", str(config)]) == 0
    out, err = capsys.readouterr()
    assert f"{config} has its entry: a running gateway takes it within seconds" in err
    assert "one in an application of yours, when that calls `gateway.reload`" in err
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert names_in(tmp_path) == [config.name]
    loaded = load_config(config, ENVIRON)
    assert [key.name for key in loaded.keys] == ["phone", "tester"]
    added = config.read_text("utf-8")
    assert added.startswith(before[: before.index("keys: [") + len("keys: [")])
    assert added.endswith(before[before.index("{name: tester") :])
    assert await opens(config, out.strip())


def test_a_written_key_is_written_behind_a_link(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path)
    link = tmp_path / "link.yaml"
    link.symlink_to(config)
    assert main(["keys", "new", "phone", "--write", str(link)]) == 0
    assert link.is_symlink()
    assert "phone" in config.read_text("utf-8")
    assert capsys.readouterr().out.startswith("ar-")


UNWRITABLE = {
    "a name that is taken": ("keys: [{name: phone, key: x}]\n", "there is one named phone already"),
    "no YAML": ("keys: [\n", "not YAML"),
    "no configuration": ("- 1\n", "the file holds no configuration"),
    "an anchor": ("keys: &all\n  - {name: a, key: b}\n", "written so that only you can add to it"),
}


@pytest.mark.parametrize(("text", "said"), UNWRITABLE.values(), ids=UNWRITABLE)
def test_what_cannot_be_written_stays_as_it_was_and_no_key_is_printed(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(text, "utf-8")
    assert main(["keys", "new", "phone", "--write", str(config)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert config.read_text("utf-8") == text


def test_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "new", "ci", "--json"]) == 0
    out, err = capsys.readouterr()
    made = json.loads(out)
    assert made == {"name": "ci", "key": made["key"], "sha256": digest(made["key"])}
    assert err == ""


def keep(key: str, *more: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Have a key kept."""
    return subprocess.run(
        [sys.executable, "-m", "proxy", "keys", "new", "old", "--keep", *more],
        input=key.encode(),
        capture_output=True,
        env=environment(),
        timeout=60,
        check=False,
    )


async def test_a_key_of_another_gateway_is_kept_and_not_printed(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    done = keep(f"{FOREIGN}\n", "--write", config)
    assert (done.returncode, done.stdout) == (0, b"")
    assert FOREIGN.encode() not in done.stderr
    assert await opens(config, FOREIGN)


def test_a_key_of_another_gateway_may_come_from_a_variable(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    loaded = load_config(config, {**ENVIRON, "CLIENT_KEY": FOREIGN})
    assert loaded.keys[0].sha256 == digest(FOREIGN)


@pytest.mark.parametrize(
    "key",
    ["", "short", "sk-ant-api03-0123456789", "ar-1", "with a space 0123456789", "\u00fc" * 20],
)
def test_what_is_no_key_is_not_kept(key: str) -> None:
    done = keep(key)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"anyrouter: --keep: the key on standard input must be ")
    assert not key or key.encode() not in done.stderr


async def test_init_writes_a_configuration_that_serves_with_the_key_it_prints(
    tmp_path: Path,
) -> None:
    status, out, err = await ran("init", cwd=tmp_path)
    assert status == 0
    key = out.removesuffix("\n")
    assert key.startswith("ar-")
    assert key.isprintable()
    assert [line.strip() for line in err.splitlines()[-4:]] == [
        "export ANTHROPIC_API_KEY=sk-ant-...   # the API's key, which only the gateway has",
        "anyrouter check",
        "anyrouter serve",
        "ANYROUTER_KEY=ar-... anyrouter doctor   # from another terminal, with the key above",
    ]
    written = tmp_path / "anyrouter.yaml"
    assert key not in written.read_text("utf-8")
    assert [each.sha256 for each in load_config(written, ENVIRON).keys] == [digest(key)]
    assert await opens(written, key)


async def test_init_overwrites_nothing(tmp_path: Path) -> None:
    written = tmp_path / "anyrouter.yaml"
    written.write_text("mine", "utf-8")
    status, out, err = await ran("init", cwd=tmp_path)
    assert (status, out) == (2, "")
    assert err.startswith("anyrouter: anyrouter.yaml is there already, and stays as it is: ")
    assert written.read_text("utf-8") == "mine"


def test_init_where_nothing_can_be_written_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--config", str(tmp_path / "none" / "x.yaml")]) == 1
    assert "cannot be written: No such file or directory" in capsys.readouterr().err


async def test_what_init_writes_says_what_the_shipped_configuration_says(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "config.yaml"
    status, _, err = await ran("init", "--config", tmp_path / "x.yaml")
    assert status == 0
    for command in ("check", "serve"):
        assert f"  anyrouter {command} --config {tmp_path / 'x.yaml'}\n" in err
    written = yaml.safe_load((tmp_path / "x.yaml").read_text("utf-8"))
    assert {**written, "keys": []} == yaml.safe_load(shipped.read_text("utf-8"))


async def test_anyrouter_yaml_is_read_before_config_yaml(tmp_path: Path) -> None:
    write_config(tmp_path)
    assert (await ran("check", cwd=tmp_path))[1].startswith("config.yaml: good")
    (tmp_path / "anyrouter.yaml").write_text("- 1\n", "utf-8")
    assert "good" not in (await ran("check", cwd=tmp_path))[1]


def test_a_foreign_config_yaml_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("{% for site in sites %}\n", "utf-8")
    assert main(["keys", "new", "laptop"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("ar-")
    assert "config.yaml is no configuration of this gateway" in told.err


def test_a_name_of_the_file_is_not_given_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path)
    assert main(["keys", "new", "tester", "--config", str(config)]) == 2
    said = capsys.readouterr()
    assert (said.out, "NAME: tester is taken" in said.err) == ("", True)
