"""What the contenders with a view have beside the others: the admin API, and somebody who looks at it all the time."""

import contextlib
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from bench.processes import StartError

_SECRET = "ara-bench-0123456789abcdef0123456789abcdef"
# What a page asks that is left open, and a Prometheus far more often than it does by itself.
_LOOKED_AT = ("/live", "/", "/upstreams", "/metrics")
_EVERY_S = 1.0
_START_S = 20.0
_TIMEOUT_S = 10.0
_CPU = re.compile(rb'^anyrouter_process_cpu_seconds_total\{worker="[0-9]+"\} (\S+)$', re.MULTILINE)


def with_admin(config: dict[str, Any], port: int) -> dict[str, Any]:
    """Return a configuration whose admin API listens on a port."""
    key = {"name": "bench", "key": _SECRET, "role": "read"}
    return config | {"admin": {"port": port, "keys": [key]}}


@contextlib.contextmanager
def looked_at(port: int) -> Iterator[Callable[[], float]]:
    """Look at pages and metrics, each second at all of them, while the block runs.

    Yields:
        What tells the CPU time of the workers, by the metrics: without the process that serves the view.

    Raises:
        StartError: the view does not answer.
    """

    def cpu_s() -> float:
        told = _CPU.findall(_asked(port, "/metrics"))
        return sum(map(float, told))

    _wait(cpu_s)
    over = threading.Event()

    def look() -> None:
        while not over.wait(_EVERY_S):
            for path in _LOOKED_AT:
                # That one looks too often is told by a 429.
                with contextlib.suppress(urllib.error.HTTPError):
                    _asked(port, path)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield cpu_s
    finally:
        over.set()
        thread.join()


def _wait(cpu_s: Callable[[], float]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if cpu_s() > 0:
                return
        time.sleep(0.05)
    raise StartError("the view does not answer, or tells of no worker")


def _asked(port: int, path: str) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    request.add_header("authorization", f"Bearer {_SECRET}")
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
        body: bytes = response.read()
    return body
