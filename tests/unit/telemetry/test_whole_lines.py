"""Lines stay whole where several processes and threads write to one stream, and a fork waits for nobody."""

import io
import os
import subprocess
import sys
from pathlib import Path

from proxy.telemetry.whole_lines import WholeLines

_LINES = 2000
# Both processes write far more at once than fits into a pipe.
_WRITERS = f"""
import io, os
from proxy.telemetry.sink import BufferedSink
from proxy.telemetry.whole_lines import WholeLines
stream = io.FileIO(1, "w", closefd=False)
held = WholeLines(stream, among_processes=False)
held.__enter__()  # as if another thread of the parent's were writing
child = os.fork()
if child:
    held.__exit__(None, None, None)
sink = BufferedSink(stream)
for _ in range({_LINES}):
    sink((b"parent" if child else b"child") * 50)
sink.close()
if child:
    os.waitpid(child, 0)
"""


def test_no_line_is_broken_by_what_another_process_writes() -> None:
    with subprocess.Popen([sys.executable, "-c", _WRITERS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = b""
        # In small bites, so that the pipe is full at nearly all times.
        while bite := os.read(process.stdout.fileno(), 1000):
            said += bite
    assert process.returncode == 0
    lines = said.splitlines()
    assert lines.count(b"parent" * 50) == lines.count(b"child" * 50) == _LINES
    assert len(lines) == 2 * _LINES


def test_of_a_regular_file_nobody_is_kept_out(tmp_path: Path) -> None:
    with (tmp_path / "lines").open("wb", buffering=0) as stream:
        first, second = (WholeLines(stream, among_processes=True) for _ in range(2))
        with first, second:
            assert first.at_once_bytes > 1 << 15


def test_what_is_no_file_takes_as_much_as_a_pipe_takes_as_one() -> None:
    assert WholeLines(io.BytesIO(), among_processes=True).at_once_bytes == 4096
