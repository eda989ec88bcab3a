"""Folders of sockets: those of the killed go, those that are used and those of others stay."""

import socket
from pathlib import Path

from proxy.server.leftovers import kept
from proxy.server.state import state_sockets


def left(folder: Path) -> Path:
    """Make what a killed gateway leaves."""
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "0"))
    return folder


def test_a_start_removes_what_the_killed_have_left_and_nothing_else(tmp_path: Path) -> None:
    gone = left(tmp_path / "anyrouter-gone")
    empty, foreign = tmp_path / "anyrouter-new", left(tmp_path / "anyrouter-files")
    empty.mkdir()
    (foreign / "notes").write_text("kept")
    linked = tmp_path / "anyrouter-link"
    answering = tmp_path / "anyrouter-old"
    answering.mkdir()
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(answering / "0"))
        old.listen()
        used = left(tmp_path / "anyrouter-used")
        elsewhere = left(tmp_path / "elsewhere")
        linked.symlink_to(elsewhere)
        with kept(used), state_sockets(1, str(tmp_path)) as sockets:
            assert not gone.exists()
            assert Path(sockets[0].path).exists()
            for each in (empty, foreign, answering, used, elsewhere / "0", linked):
                assert each.exists(), each


def test_what_begins_beside_one_that_does_not_listen_yet_leaves_it(tmp_path: Path) -> None:
    with state_sockets(1, str(tmp_path)) as first, state_sockets(1, str(tmp_path)) as second:
        assert Path(first[0].path).exists()
        assert Path(second[0].path).exists()
    assert not list(tmp_path.iterdir())
