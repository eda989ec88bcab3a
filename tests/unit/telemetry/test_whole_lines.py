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


_CROSSED = """
import io, os, sys, threading
from proxy.telemetry.whole_lines import WholeLines
streams = [io.FileIO(fd, "w", closefd=False) for fd in (1, 2)]
ready, go = os.pipe(), os.pipe()
child = os.fork()
mine, others = [WholeLines(each, among_processes=True) for each in (streams if child else streams[::-1])]
# Each holds one stream, and waits for the other's with its other thread.
with mine:
    os.write(ready[1] if not child else go[1], b".")
    os.read(ready[0] if child else go[0], 1)
    waits = threading.Thread(target=lambda: others.__enter__())
    waits.start()
    waits.join(0.2)
waits.join(5)
failed = waits.is_alive()
if child:
    failed |= bool(os.waitpid(child, 0)[1])
os._exit(failed)
"""


def test_two_processes_that_wait_for_each_others_stream_are_no_deadlock() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _CROSSED], capture_output=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_of_a_regular_file_nobody_is_kept_out(tmp_path: Path) -> None:
    with (tmp_path / "lines").open("wb", buffering=0) as stream:
        first, second = (WholeLines(stream, among_processes=True) for _ in range(2))
        with first, second:
            assert first.at_once_bytes > 1 << 15


def test_what_is_no_file_takes_as_much_as_a_pipe_takes_as_one() -> None:
    assert WholeLines(io.BytesIO(), among_processes=True).at_once_bytes == 4096
