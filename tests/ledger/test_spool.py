"""A spool gives back what it was given, in order, and its room when that is stored."""

import os
from pathlib import Path

import pytest

from proxy.ledger.row import to_line
from proxy.ledger.spool import IN_FLIGHT, SEGMENT_BYTES, Spool, cut
from proxy.ledger.spooler import Spooler
from tests.ledger.rows import until
from tests.store.rows import row

LINE = b"x" * 99_999


def _read_all(spool: Spool) -> list[bytes]:
    lines: list[bytes] = []
    while True:
        some, size = spool.read(200)
        if not size:
            return lines
        lines += some
        spool.stored(size, len(some))


def _segments(spool: Spool) -> list[str]:
    return sorted(path.name for path in spool.folder.glob("*.seg"))


@pytest.mark.parametrize(
    ("data", "count", "lines", "size"),
    [
        (b"", 2, [], 0),
        (b"a\nb\nc\n", 2, [b"a", b"b"], 4),
        (b"a\nb\n", 2, [b"a", b"b"], 4),
        (b"a\nb", 2, [b"a"], 2),
        (b"a", 2, [], 0),
    ],
    ids=["empty", "more", "all", "torn", "nothing whole"],
)
def test_whole_lines_are_cut_off(data: bytes, count: int, lines: list[bytes], size: int) -> None:
    assert cut(data, count) == (lines, size)


def test_what_is_stored_gives_its_room_back(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    count = 2 * SEGMENT_BYTES // len(LINE) + 5
    for _ in range(count):
        spool.append(LINE + b"\n", 1)
    assert _segments(spool) == ["000001.seg", "000002.seg", "000003.seg"]
    assert (spool.waiting_rows, spool.waiting_bytes) == (count, count * (len(LINE) + 1))
    assert _read_all(spool) == [LINE] * count
    assert _segments(spool) == ["000003.seg"]
    spool.sync()
    assert (spool.folder / "000003.seg").stat().st_size == 0
    spool.append(b"next\n", 1)
    assert _read_all(spool) == [b"next"]
    assert (spool.waiting_rows, spool.waiting_bytes) == (0, 0)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_read_comes_again_until_it_is_stored(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(b"a\nb\nc\n", 3)
    assert spool.read(2) == spool.read(2) == ([b"a", b"b"], 4)
    spool.stored(4, 2)
    spool.sync()
    assert spool.read(2) == ([b"c"], 2)
    spool.close()
    assert spool.folder.exists()


def test_a_disk_that_fills_up_in_the_middle_of_a_line_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    spool.append(b"a\n", 1)
    write = os.write
    room = 10

    def write_while_there_is_room(file: int, data: memoryview) -> int:
        nonlocal room
        if room == 0:
            raise OSError(28, "No space left on device")
        written = write(file, data[:room])
        room -= written
        return written

    with monkeypatch.context() as patched:
        patched.setattr("proxy.ledger.spool.os.write", write_while_there_is_room)
        with pytest.raises(OSError, match="No space left"):
            spool.append(b"b" * 30 + b"\n", 1)
    spool.append(b"c\n", 1)
    assert _read_all(spool) == [b"a", b"c"]
    spool.close()


def test_only_its_owner_reads_a_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "state/spool")
    spool.append(b"a\n", 1)
    spool.keep_in_flight(b"b\n")
    assert spool.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in spool.folder.iterdir()} == {0o600}
    spool.close()


async def test_what_is_in_flight_is_on_the_disk_as_soon_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the thread does once per second would make it up to a second older."""
    monkeypatch.setattr("proxy.ledger.spooler._SECOND_S", 3600)
    spool = Spool(tmp_path)
    spooler = Spooler(spool, SEGMENT_BYTES)
    kept = spool.folder / IN_FLIGHT
    try:
        for number in (1, 2):
            line = to_line(row(number)) + b"\n"
            spooler.keep_in_flight([row(number)])
            await until(lambda line=line: kept.exists() and kept.read_bytes() == line)  # type: ignore[misc] # of this turn
    finally:
        spooler.close(9)
        spool.close()
