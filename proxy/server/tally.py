"""What a worker tells of its requests and of itself when it is asked for its tally."""

import os
import time
from collections import Counter
from pathlib import Path

import msgspec

from proxy.gateway import Gateway
from proxy.ledger.ledger import Status
from proxy.server.live import PHASE_WORDS
from proxy.server.upstreams import upstreams_here
from proxy.telemetry.tally import Tally, TallyTold
from proxy.upstreams.report import Report

_STATM = Path("/proc/self/statm")


class WorkerTold(msgspec.Struct, frozen=True):
    """What a worker tells.

    Attributes:
        started_at: when it began to count, in Unix seconds. `restarts`: how many workers were before it in its place.
        cpu_s, rss_bytes: of its process; None: this system does not tell.
        connections, refused_connections: of clients; None: the server is not ours.
        loop_lag_s: by how much the event loop was late at most since somebody last asked.
        in_flight: requests by upstream, which is empty until there is one, and phase.
        upstreams: how they are.
        no_retries: by pool, how often its retry budget was empty.
        prices: the version of the price file. `reloads`: configurations that were taken over.
        lost_lines: access lines that could not be written; None: they are the host's.
        ledger: None: there is no store.
        tally: the counts.
    """

    started_at: float
    restarts: int
    cpu_s: float
    rss_bytes: int | None
    connections: int | None
    refused_connections: int | None
    loop_lag_s: float
    in_flight: list[tuple[tuple[str, str], int]]
    upstreams: list[Report]
    no_retries: list[tuple[str, int]]
    prices: str | None
    reloads: int
    lost_lines: int | None
    ledger: Status | None
    tally: TallyTold


def tally_here(gateway: Gateway, restarts: int = 0) -> WorkerTold:
    """Return what a gateway of this process tells; it counts since `begin_counting`."""
    counting, tenancy = gateway.counting, gateway.tenancy
    ledger = None if tenancy is None else tenancy.ledger
    connected = None if gateway.connected is None else gateway.connected()
    return WorkerTold(
        started_at=0.0 if counting is None else counting.started_at,
        restarts=restarts,
        cpu_s=time.process_time(),
        rss_bytes=_rss_bytes(),
        connections=None if connected is None else connected.open,
        refused_connections=None if connected is None else connected.refused,
        loop_lag_s=gateway.deadlines.take_lag_s(),
        in_flight=list(
            Counter(
                (each.upstream, PHASE_WORDS[each.phase]) for each in gateway.deadlines.in_flight
            ).items()
        ),
        upstreams=upstreams_here(gateway),
        no_retries=gateway.standing.without_retries(),
        prices=None if tenancy is None else tenancy.prices.version,
        reloads=gateway.reloads,
        lost_lines=None if gateway.lost_lines is None else gateway.lost_lines(),
        ledger=None if ledger is None else ledger.status(),
        tally=(Tally() if counting is None else counting.tally).told(),
    )


def _rss_bytes() -> int | None:
    try:
        pages = _STATM.read_text("ascii").split()[1]
    except OSError:  # not Linux
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
