"""Does a request notice the view? `python -m bench.view_apart [--streams N] [--rounds N] [--store URL]`.

Paced streams run through a gateway whose view is left alone, then asked by 50 tabs that poll, then frozen, then killed;
again and again in turn, since a machine has moods. It prints how late events come each time (the median of the rounds'
percentiles), events that were lost, and how long a killed view was away. It fails when the 99th percentile is more than
1 ms above that of the view left alone, an event is lost, or a killed view is not back within 2 s. With the store that
`bench.pages` has filled, the tabs are on pages of money, too.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import aiohttp

from bench.contenders import gateway_command, stream_upstream
from bench.http_client import API_KEY
from bench.paced_client import StreamLoad, run_streams
from bench.processes import Child, free_port

ALONE, POLLED, FROZEN, KILLED = "alone", "50 tabs", "frozen", "killed"
_STATES = (ALONE, POLLED, FROZEN, KILLED)
_TABS = 50
_EVENTS, _INTERVAL_MS = 40, 100
_MOST_MORE_MS, _BACK_WITHIN_S = 1.0, 2.0
_GIVEN_UP_S = 30.0
_BODY = json.dumps(
    {
        "model": "anthropic/claude-bench",
        "max_tokens": 64,
        "stream": True,
        "messages": [{"role": "user", "content": "hi"}],
    }
).encode()
_OF_WORKERS, _OF_MONEY = {"/live": 2.0, "/upstreams": 5.0}, {"/": 10.0, "/sessions": 30.0}


class _View:
    """The process of the view, as its users have it.

    Args:
        child: the gateway.
        port: of the view.
        paths: of the pages that tabs are on, with how often each asks.
    """

    def __init__(self, child: Child, port: int, key: str, paths: dict[str, float]) -> None:
        self._child = child
        self._url = f"http://127.0.0.1:{port}"
        self._headers = {"authorization": f"Bearer {key}"}
        self._paths = list(paths.items())
        self._port_hex = f"0100007F:{port:04X}"

    @property
    def pid(self) -> int:
        """The process that listens."""
        lines = Path("/proc/net/tcp").read_text().splitlines()
        (inode,) = (
            each.split()[9] for each in lines if each.split()[1:4:2] == [self._port_hex, "0A"]
        )
        for pid in self._child.pids():
            with contextlib.suppress(OSError):
                files = [each.readlink() for each in Path(f"/proc/{pid}/fd").iterdir()]
                if Path(f"socket:[{inode}]") in files:
                    return pid
        raise ProcessLookupError("nothing of the gateway listens for the view")

    async def back_after(self) -> float:
        """Return how long it takes until it answers."""
        began = time.monotonic()
        async with aiohttp.ClientSession() as session, asyncio.timeout(_GIVEN_UP_S):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(self._url + "/healthz") as response:
                        if response.ok:
                            return time.monotonic() - began
                await asyncio.sleep(0.01)  # another process: there is no event to wait for

    @contextlib.contextmanager
    def polled(self) -> Iterator[None]:
        """Have tabs open for a while: in a process that takes what is left, since browsers run on other machines."""
        spawned = multiprocessing.get_context("spawn")
        are_open = spawned.Event()
        tabs = spawned.Process(
            target=_open_tabs, args=(self._url, self._headers, self._paths, are_open), daemon=True
        )
        tabs.start()
        if not are_open.wait(_GIVEN_UP_S):
            raise TimeoutError("the view answers no tab")
        yield
        if not tabs.is_alive():
            raise RuntimeError("the tabs ended, so nothing was polled to the end")
        tabs.terminate()
        tabs.join()


def _open_tabs(
    url: str, headers: dict[str, str], paths: list[tuple[str, float]], are_open: Event
) -> None:
    os.nice(19)
    asyncio.run(_poll(url, headers, paths, are_open))


async def _poll(
    url: str, headers: dict[str, str], paths: list[tuple[str, float]], are_open: Event
) -> None:
    async def tab(number: int) -> None:
        path, every_s = paths[number % len(paths)]
        await asyncio.sleep(every_s * number / _TABS)
        while True:
            async with session.get(url + path, headers=headers) as response:
                await response.read()
                response.raise_for_status()
            are_open.set()
            await asyncio.sleep(every_s)

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        asyncio.TaskGroup() as tabs,
    ):
        for number in range(_TABS):
            tabs.create_task(tab(number))


@contextlib.contextmanager
def _served(scratch: Path, store: str | None) -> Iterator[tuple[int, _View]]:
    with stream_upstream(scratch) as upstream_port:
        port, admin_port, key = free_port(), free_port(), f"ara-{secrets.token_hex(20)}"
        auth = {"scheme": "x-api-key", "key": "upstream-key"}
        config: dict[str, Any] = {
            "listen": {"port": port},
            "upstreams": {"bench": {"base_url": f"http://127.0.0.1:{upstream_port}", "auth": auth}},
            "models": [{"id": "anthropic/*", "upstream": "bench"}],
            "keys": [{"name": "bench", "key": API_KEY}],
            "admin": {"port": admin_port, "keys": [{"name": "ops", "key": key}]},
        }
        if store is not None:
            config["store"] = {"url": store, "state_dir": str(scratch / "state")}
        file = scratch / "config.yaml"
        file.write_text(json.dumps(config))
        command = [gateway_command() or "anyrouter", "serve", "--config", str(file)]
        child = Child(command, scratch / "output.log", {})
        try:
            child.wait_until_answering(port)
            paths = _OF_WORKERS if store is None else _OF_WORKERS | _OF_MONEY
            yield port, _View(child, admin_port, key, paths)
        finally:
            child.stop()


async def _one(state: str, port: int, view: _View, load: StreamLoad) -> dict[str, float]:
    async with contextlib.AsyncExitStack() as stack:
        if state == POLLED:
            stack.enter_context(view.polled())
        pid = view.pid
        if state == FROZEN:
            os.kill(pid, signal.SIGSTOP)
            stack.callback(os.kill, pid, signal.SIGCONT)
        streams = asyncio.create_task(run_streams(port, load, _BODY))
        back_s = 0.0
        if state == KILLED:
            await asyncio.sleep(load.duration_s / 3)
            os.kill(pid, signal.SIGKILL)
            back_s = await view.back_after()
        return {**await streams, "back_s": back_s}


async def _round(port: int, view: _View, load: StreamLoad) -> dict[str, dict[str, float]]:
    await view.back_after()
    return {state: await _one(state, port, view, load) for state in _STATES}


def _report(found: dict[str, list[dict[str, float]]]) -> bool:
    good = True
    alone_ms = statistics.median(each["event_p99_ms"] for each in found[ALONE])
    for state, figures in found.items():
        p50_ms, p99_ms = (
            statistics.median(each[name] for each in figures)
            for name in ("event_p50_ms", "event_p99_ms")
        )
        lost = sum(each["lost"] + each["unfinished"] for each in figures)
        back_s = max(each["back_s"] for each in figures)
        good &= not lost and p99_ms <= alone_ms + _MOST_MORE_MS and back_s <= _BACK_WITHIN_S
        back = f", back after {back_s:.2f} s at most" if back_s else ""
        print(f"{state:<8} p50 {p50_ms:6.2f} ms, p99 {p99_ms:6.2f} ms, lost {lost:.0f}{back}")
    return good


def main() -> int:
    """Run it as the command line says; return 1 when a request has noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--store", help="the URL of a store, filled by bench.pages")
    args = parser.parse_args()
    load = StreamLoad(args.streams, _EVENTS, _INTERVAL_MS)
    found: dict[str, list[dict[str, float]]] = {state: [] for state in _STATES}
    for _ in range(args.rounds):
        # A gateway each: one whose view is killed again soon waits longer before it starts another.
        with (
            tempfile.TemporaryDirectory() as folder,
            _served(Path(folder), args.store) as (port, view),
        ):
            for state, figures in asyncio.run(_round(port, view, load)).items():
                found[state].append(figures)
    return int(not _report(found))


if __name__ == "__main__":
    sys.exit(main())
