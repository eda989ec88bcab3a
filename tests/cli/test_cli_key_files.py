"""`anyrouter keys new --write FILE` changes an entry's worth of a file: its line ends, mode and attributes stay."""

import os
from pathlib import Path

import pytest

from proxy.__main__ import main
from tests.support.commands import write_config

LISTS = {
    "none": "",
    "an empty one": "keys: []\n",
    "lines": "keys:\n  - {name: a, sha256: x}\n",
    "one line": "keys: [{name: a, sha256: x}]\n",
}


@pytest.mark.parametrize("keys", LISTS.values(), ids=LISTS)
def test_a_file_of_another_system_keeps_its_line_ends(
    tmp_path: Path, keys: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.yaml"
    config.write_bytes(f"# mine\n{keys}echo_model: true\n".replace("\n", "\r\n").encode())
    assert main(["keys", "new", "phone", "--write", str(config)]) == 0
    written = config.read_bytes()
    assert b"phone" in written
    assert written.count(b"\n") == written.count(b"\r\n") == len(written.splitlines())
    assert capsys.readouterr().out.startswith("ar-")


def test_what_a_system_keeps_beside_a_file_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An access control list is such an attribute; not every file system has them."""
    set_to: dict[str, bytes] = {}

    def set_attribute(path: str, name: str, value: bytes) -> None:
        assert Path(path).parent == tmp_path
        set_to[name] = value

    monkeypatch.setattr(os, "listxattr", lambda _: ["system.posix_acl_access"])
    monkeypatch.setattr(os, "getxattr", lambda _, name: f"of {name}".encode())
    monkeypatch.setattr(os, "setxattr", set_attribute)
    assert main(["keys", "new", "phone", "--write", str(write_config(tmp_path))]) == 0
    assert set_to == {"system.posix_acl_access": b"of system.posix_acl_access"}
    assert "has its entry" in capsys.readouterr().err


def test_what_only_a_store_keeps_is_refused_with_what_to_do_before_a_key_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path)
    before = config.read_text("utf-8")
    flags = ("--owner", "team-a", "--day-usd", "5", "--tag", "a=b")
    assert main(["keys", "new", "phone", *flags, "--write", str(config)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(
        "anyrouter: --owner, --day-usd, --tag: not with --write, and no key is made"
    )
    assert config.read_text("utf-8") == before


NAMING = {
    "keys new --write": ["keys", "new", "phone", "--write"],
    "keys new": ["keys", "new", "phone", "--config"],
    "keys list": ["keys", "list", "--config"],
    "keys rotate": ["keys", "rotate", "phone", "--config"],
    "owners list": ["owners", "list", "--config"],
    "usage": ["usage", "--config"],
    "sessions": ["sessions", "--config"],
    "store migrate": ["store", "migrate", "--config"],
    "check": ["check", "--config"],
    "serve": ["serve", "--config"],
}


@pytest.mark.parametrize("named", NAMING.values(), ids=NAMING)
def test_a_file_that_is_named_and_not_there_is_told_with_how_to_have_it(
    named: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.yaml"
    assert main([*named, str(file)]) == 2
    assert capsys.readouterr() == (
        "",
        f"anyrouter: {file}: no such file; `anyrouter init --config {file}` writes one\n",
    )
    assert not file.exists()


@pytest.mark.parametrize("command", ["keys", "owners", "limits", "store"])
def test_a_command_without_its_action_is_told_which_there_are(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"anyrouter {command}: which action? ")
    assert said.endswith(f"; `anyrouter {command} --help` has examples\n")
    assert {
        "keys": "new, list, show, update, rotate, disable, enable, delete;",
        "owners": "set, list, delete;",
        "limits": "show;",
        "store": "migrate;",
    }[command] in said
