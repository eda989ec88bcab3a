"""Closed-loop load: wrk, told what to send by a generated script, read by its own summary line."""

import json
import subprocess
from pathlib import Path

from bench.contenders import Running
from bench.http_client import HEADERS, MESSAGES

CONNECTIONS = 32
_SCRIPT = """\
local file = assert(io.open("{body}", "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
{headers}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nsummary {{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"failed":%d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.status + e.connect + e.read + e.write + e.timeout))
end
"""


def wrk(
    scratch: Path,
    contender: Running,
    body: bytes,
    *,
    seconds: int,
    connections: int = CONNECTIONS,
    query: str = "",
) -> dict[str, float]:
    """Post a body over and over for whole seconds.

    Returns:
        rps, p50_ms, p99_ms, failed: statuses of 400 and above plus socket errors; and cpu_us of
        one request when the contender has a process.
    """
    child = contender.child
    before_s = contender.cpu_s()
    body_file = scratch / "wrk-body"
    body_file.write_bytes(body)
    headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in HEADERS.items())
    script = scratch / "wrk.lua"
    script.write_text(_SCRIPT.format(body=body_file, headers=headers))
    url = f"http://127.0.0.1:{contender.port}{MESSAGES}{query}"
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "10s",
        "-s",
        str(script),
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True)
    summary = json.loads(done.stdout.rpartition("summary ")[2])
    figures = {
        "rps": (summary["requests"] - summary["failed"]) / summary["duration_us"] * 1e6,
        "p50_ms": summary["p50_us"] / 1000,
        "p99_ms": summary["p99_us"] / 1000,
        "failed": summary["failed"],
    }
    if child:
        figures["cpu_us"] = (contender.cpu_s() - before_s) * 1e6 / max(1, summary["requests"])
    return figures
