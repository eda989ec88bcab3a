"""The workloads: each measures one contender once and returns its figures by name."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench import blocking, latency, memory
from bench.bodies import agent_body, conversation_body, small_body
from bench.contenders import (
    ALL,
    DIRECT,
    EMBEDDED,
    GATEWAY,
    POOL,
    RELAY,
    TRACES,
    VIEW,
    Running,
    running,
)
from bench.http_client import MESSAGES, fetch, request_bytes
from bench.paced_client import StreamLoad, run_streams
from bench.servers import Servers
from bench.view_parts import parts
from bench.wrk import wrk

EVENTS = 64
# Beyond this the Python client itself would be late; only nginx and `direct` could go faster.
_OPEN_LOOP_MOST = 5000.0
_UNPACED = f"?events={EVENTS}"
_IDLE_S = 1.0

Sample = dict[str, float]


@dataclass
class Bench:
    """What a workload needs to know.

    Attributes:
        scratch: temporary directory.
        seconds: length of one measurement.
        soak_s: length of W7's soak; 0 for none.
        plain_port: the upstream with the fixed answer.
        stream_port: the upstream with streams.
        before: the checkout of the contender `before`.
        servers: PostgreSQL and Redis.
        plain: contenders in front of the one, by name.
        streams: contenders in front of the other, by name.
        latest: the last sample of each (workload, contender).
    """

    scratch: Path
    seconds: int
    soak_s: int
    plain_port: int
    stream_port: int
    before: Path | None
    servers: Servers
    plain: dict[str, Running] = field(default_factory=dict)
    streams: dict[str, Running] = field(default_factory=dict)
    latest: dict[tuple[str, str], Sample] = field(default_factory=dict)

    def running(self, name: str, port: int, workers: int = 1) -> AbstractContextManager[Running]:
        """Run a contender of its own in front of one of the upstreams."""
        return running(
            name, port, self.scratch, before=self.before, servers=self.servers, workers=workers
        )


class BrokenError(Exception):
    """A contender does not do what is measured."""


def verify(bench: Bench, name: str) -> None:
    """Send one request of each kind and look at the whole answer.

    Raises:
        BrokenError: an answer is not what the upstream sends.
    """
    ok, answer = uvloop.run(fetch(bench.plain[name].port, request_bytes(agent_body())))
    if not ok or b'"type":"message"' not in answer:
        raise BrokenError(f"{name}: a plain request was answered {answer[:300]!r}")
    request = request_bytes(small_body(stream=True), MESSAGES + _UNPACED)
    ok, answer = uvloop.run(fetch(bench.streams[name].port, request))
    if not ok or answer.count(b"event: content_block_delta\n") != EVENTS:
        raise BrokenError(f"{name}: a stream was answered {answer[:300]!r}")


def _small(bench: Bench, name: str) -> Sample:
    return wrk(bench.scratch, bench.plain[name], small_body(), seconds=bench.seconds)


def _open_loop(bench: Bench, name: str) -> Sample:
    closed = bench.latest.get(("W1", name)) or _small(bench, name)
    rate = min(closed["rps"] / 2, _OPEN_LOOP_MOST)
    port = bench.plain[name].port
    return uvloop.run(latency.open_loop(port, small_body(), rate, bench.seconds))


def _agent(bench: Bench, name: str) -> Sample:
    return wrk(bench.scratch, bench.plain[name], agent_body(), seconds=bench.seconds)


def _conversation(bench: Bench, name: str) -> Sample:
    contender = bench.plain[name]
    body = conversation_body()
    sample = wrk(bench.scratch, contender, body, seconds=bench.seconds)
    run_queues = contender.child.run_queues() if contender.child else []
    quiet = blocking.probe(contender.port, run_queues, _IDLE_S)
    with blocking.beside(contender.port, run_queues, bench.seconds) as probed:
        wrk(bench.scratch, contender, body, seconds=bench.seconds, connections=1)
    return sample | probed.less(quiet)


def _unpaced(bench: Bench, name: str) -> Sample:
    body = small_body(stream=True)
    contender = bench.streams[name]
    sample = wrk(bench.scratch, contender, body, seconds=bench.seconds, query=_UNPACED)
    return sample | {"events_s": sample["rps"] * EVENTS}


def _paced(bench: Bench, name: str, load: StreamLoad) -> Sample:
    contender = bench.streams[name]
    child = contender.child
    idle_cpu = 0.0
    before_s = 0.0
    if child:
        before_s = contender.cpu_s()
        time.sleep(_IDLE_S)
        idle_cpu = (contender.cpu_s() - before_s) / _IDLE_S
        before_s = contender.cpu_s()
    begin = time.monotonic()
    sample = uvloop.run(run_streams(contender.port, load, small_body(stream=True)))
    if child:
        used_s = contender.cpu_s() - before_s - idle_cpu * (time.monotonic() - begin)
        sample["cpu_us"] = used_s * 1e6 / max(1, load.expected_events - sample["lost"])
    return sample


def _paced_200(bench: Bench, name: str) -> Sample:
    interval_ms = 20
    repeats = max(1, round(bench.seconds * 1000 / (EVENTS * interval_ms)))
    return _paced(bench, name, StreamLoad(200, EVENTS, interval_ms, repeats))


def _paced_1000(bench: Bench, name: str) -> Sample:
    return _paced(bench, name, StreamLoad(1000, EVENTS, 100))


def _one_connection(bench: Bench, name: str) -> Sample:
    port = bench.plain[name].port
    return uvloop.run(latency.one_connection(port, small_body(), bench.seconds / 2))


def _memory(bench: Bench, name: str) -> Sample:
    sample: Sample = {}
    with bench.running(name, bench.stream_port) as contender:
        if contender.child:
            small = small_body(stream=True)
            sample = uvloop.run(memory.silent_streams(contender.port, contender.child, small))
    # Each in a process of its own: memory that the others gave back would hide what they hold.
    for asked, body in (
        ("asked_110b_mb", small_body(stream=True)),
        ("asked_1mb_mb", conversation_body(stream=True)),
    ):
        with bench.running(name, bench.stream_port) as contender:
            if contender.child:
                sample[asked] = uvloop.run(memory.asked(contender.port, contender.child, body))
    if "asked_1mb_mb" in sample:
        sample["asked_ratio"] = sample["asked_1mb_mb"] / sample["asked_110b_mb"]
    if bench.soak_s and name == GATEWAY:
        # A process of its own: memory that the thousand streams gave back would hide a leak.
        with bench.running(name, bench.stream_port) as contender:
            if contender.child:
                agent = agent_body(stream=True)
                soaking = memory.soak(contender.port, contender.child, agent, bench.soak_s)
                sample |= uvloop.run(soaking)
    return sample


def _start(bench: Bench, name: str) -> Sample:
    return {"start_s": bench.plain[name].start_s}


def _two_workers(bench: Bench, name: str) -> Sample:
    with bench.running(name, bench.plain_port, workers=2) as contender:
        small = wrk(bench.scratch, contender, small_body(), seconds=bench.seconds)
        agent = wrk(bench.scratch, contender, agent_body(), seconds=bench.seconds)
    sample = {"small_rps": small["rps"], "agent_rps": agent["rps"]}
    sample["failed"] = small["failed"] + agent["failed"]
    for workload, pair in (("W1", small), ("W2", agent)):
        if one := bench.latest.get((workload, name)):
            sample[f"{workload.lower()}_scale"] = pair["rps"] / one["rps"]
    return sample


def _view_parts(_bench: Bench, _name: str) -> Sample:
    return parts()


@dataclass(frozen=True)
class Workload:
    """One line of the plan.

    Attributes:
        title: what is sent.
        ratio_of: the figure whose ratios to nginx and to the relay are shown; None for none.
        skip: contenders that it says nothing about.
        once: measured in the first round only.
    """

    title: str
    measure: Callable[[Bench, str], Sample]
    ratio_of: str | None = "rps"
    skip: tuple[str, ...] = ()
    once: bool = False


# Contenders with a single process; counts of its own are one process's.
_ONE_PROCESS = (DIRECT, RELAY, EMBEDDED, VIEW, TRACES, POOL)
# Where a pool and traces make no difference that W1, W2 and W5 200 do not show.
_AS_OTHERS = (POOL, TRACES)
_ALL_BUT_VIEW = tuple(name for name in ALL if name != VIEW)

WORKLOADS = {
    "W1": Workload("110-byte body, 300-byte answer, 32 connections", _small),
    "W1 open": Workload(
        "the same at half its maximum, fixed rate", _open_loop, "p99_ms", _AS_OTHERS
    ),
    "W2": Workload("108 kB body shaped like a coding agent's, 32 connections", _agent),
    "W3": Workload(
        "1 MB body of 600 messages, 32 connections; event loop blocked",
        _conversation,
        skip=_AS_OTHERS,
    ),
    "W4": Workload("unpaced stream of 64 events, 32 connections", _unpaced, skip=_AS_OTHERS),
    "W5 200": Workload("200 streams of 64 events, one per 20 ms", _paced_200, "cpu_us"),
    "W5 1000": Workload(
        "1,000 streams of 64 events, one per 100 ms", _paced_1000, "cpu_us", _AS_OTHERS
    ),
    "W6": Workload(
        "one connection, 110-byte body; added to direct", _one_connection, "p50_ms", _AS_OTHERS
    ),
    "W7": Workload(
        "memory: 1,000 open silent streams", _memory, "idle_mb", (DIRECT, *_AS_OTHERS), once=True
    ),
    "W8": Workload(
        "process start to first answered request", _start, "start_s", (DIRECT, *_AS_OTHERS)
    ),
    "W9": Workload("W1 and W2 with two workers", _two_workers, "small_rps", _ONE_PROCESS),
    "view": Workload("what a worker does for the view, alone", _view_parts, None, _ALL_BUT_VIEW),
}
QUICK = ("W1", "W2", "W5 200")
