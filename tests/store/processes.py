"""Several processes that do the same to one store at once."""

import os
import subprocess
import sys

_WITHIN_S = 100
# One process imports, and forks; all wait for the end of the pipe, which comes when the last of them is there.
_RUN = """
import os, sys
from proxy.store.engine import open_engine
from proxy.store.migrate import ensure_current
from proxy.store.rows import RowStore
from tests.store.rows import row

def act(url, number):
    {act}

waits, goes = os.pipe()
children = []
for number in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        os.close(goes)
        os.read(waits, 1)
        act(sys.argv[1], number)
        os._exit(0)
    children.append(child)
os.close(goes)
failed = [child for child in children if os.waitpid(child, 0)[1]]
sys.exit(len(failed))
"""


def act_at_once(count: int, url: str, act: str) -> None:
    """Have processes run statements, which know the store's `url` and their own `number`; fail when one fails."""
    text = _RUN.format(act="\n    ".join(act.strip().splitlines()))
    command = [sys.executable, "-W", "error", "-c", text, url, str(count)]
    assert subprocess.run(command, check=False, timeout=_WITHIN_S, env=os.environ).returncode == 0
