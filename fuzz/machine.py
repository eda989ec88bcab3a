"""How fast this machine is just now, so that a bound of CPU time means the same on a slow or a loaded one."""

import json
import time

# What `_work` takes on the machine of docs/performance.md while nothing else runs, CPython 3.11.
_REFERENCE_S = 0.72e-3
_RUNS = 10
_TEXT = json.dumps([{"role": "user", "content": [{"text": "x" * size}]} for size in range(300)])


def slowness() -> float:
    """Return how many times the reference's CPU time this machine takes; 1 when it is faster."""
    return max(1.0, min(_work() for _ in range(_RUNS)) / _REFERENCE_S)


def _work() -> float:
    """Do what readers of JSON do; return the CPU time of this thread, in seconds."""
    began, total = time.thread_time(), 0
    for each in json.loads(_TEXT):
        for block in each["content"]:
            total += len(block["text"])
    for number in range(5000):
        total += number % 7
    return time.thread_time() - began
