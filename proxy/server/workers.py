"""Several processes on one port: forked, replaced when one dies or is stuck, drained together."""

import itertools
import logging
import signal
import time
from collections.abc import Callable, Sequence

from proxy.config import Config, with_listen
from proxy.notices.events import Event
from proxy.notices.notice import notice
from proxy.server.addresses import bound
from proxy.server.notify import notify
from proxy.server.processes import Workers
from proxy.server.reload import ParentReloads
from proxy.server.signals import STOP, Hangup, Signals
from proxy.server.slots import Slot
from proxy.server.worker import Work, Worker

_log = logging.getLogger("anyrouter")

SILENT_S = 10.0

_KILL_AFTER_S = 5.0
# A worker told to stop before it could listen to signals ends by them.
_ENDED_AS_TOLD = (0, -signal.SIGTERM)


def supervise(
    config: Config,
    works: Sequence[Work],
    ready: Callable[[Sequence[tuple[str, int]]], None],
    *,
    reloads: ParentReloads | None = None,
    silent_s: float = SILENT_S,
) -> int:
    """Run a process for each of `works` until told to stop.

    A worker that dies is replaced, at most once per second, and ever more slowly while none comes to listen; but one
    that ends before it has listened, while the gateway starts, ends the start, and all. One whose event loop has not
    turned for `silent_s` is killed first, since it takes its share of new connections with it. SIGTERM and SIGINT drain
    all, a second one ends the drain; workers that outlive `drain_s` by five seconds are killed. When this process
    itself is killed, its workers leave the port and drain.

    Args:
        config: where to listen; port 0 is settled here, once for all.
        works: what each does in its process: it listens, follows its parent when it does, and drains on SIGTERM. The
            first `listen.workers` of them listen on the sockets that they are given, which are kept when they die.
        ready: called with the addresses once all workers listen.
        reloads: reads a changed configuration, which each worker is then told to read; None: nothing is reloaded.
        silent_s: for how long a worker may be stuck.

    Returns:
        The exit status: 0 when every worker ended as told.

    Raises:
        OSError: an address cannot be bound.
        RuntimeError: a worker cannot serve.
    """
    hangup = Hangup()
    with bound(config.listen.hosts, config.listen.port) as sockets:
        # Another gateway's workers would share the port with ours; without SO_REUSEPORT this fails.
        port = sockets[0].getsockname()[1]
    # Bound, but never listening: they keep the port ours while workers come and go.
    with (
        bound(config.listen.hosts, port, reuse_port=True) as sockets,
        Signals.received(*STOP, signal.SIGHUP, signal.SIGCHLD) as signals,
    ):
        workers = Workers(with_listen(config, port=port), len(works), silent_s)
        slots = [Slot(config.listen.hosts, port) for _ in range(config.listen.workers)]
        for work, slot in itertools.zip_longest(works, slots):
            workers.spawn(work, slot)
        addresses = [one.getsockname()[:2] for one in sockets]
        failed = _supervise(workers, signals, hangup, reloads, lambda: ready(addresses))
        status = _drain(workers, signals, slots)
    if failed is not None:
        raise RuntimeError(failed.cause or failed.ending())
    return status


def _supervise(
    workers: Workers,
    signals: Signals,
    hangup: Hangup,
    reloads: ParentReloads | None,
    all_listen: Callable[[], None],
) -> Worker | None:
    """Replace workers that end or are stuck, until told to stop; return one that has failed the start."""
    told = False
    while True:
        numbers = signals.wait(workers.next_spawn_in_s(), workers.links())
        is_asked = signal.SIGHUP in numbers
        if not {*STOP}.isdisjoint(numbers) or (is_asked and hangup.ends()):
            return None
        if reloads is not None and reloads.look(is_asked=is_asked):
            workers.reload()
        for name in workers.hear():
            if reloads is not None and (config := reloads.taken(name)) is not None:
                workers.adopt(config)
        if not told and workers.all_listen():
            told = True
            all_listen()
        workers.kill_stuck()
        for ended in workers.reap():
            if not (told or ended.listens or ended.status in _ENDED_AS_TOLD):
                return ended
            workers.replace(ended)
        workers.respawn()


def _drain(workers: Workers, signals: Signals, slots: Sequence[Slot]) -> int:
    """End every worker; kill those that take too long."""
    notify("STOPPING=1")
    workers.signal(signal.SIGTERM)
    # No worker follows: who connects is for those that still listen, and waits at none that has ended.
    for slot in slots:
        slot.close()
    timeouts = workers.config.timeouts
    deadline = time.monotonic() + timeouts.leave_s + timeouts.drain_s + _KILL_AFTER_S
    failed = False
    while True:
        # Before the first wait, too: of one that ended meanwhile, the signal to stop may have told as well.
        failed |= any(each.status not in _ENDED_AS_TOLD for each in workers.reap())
        if not workers.running:
            return 1 if failed else 0
        numbers = signals.wait(max(deadline - time.monotonic(), 0))
        if any(number in STOP for number in numbers):
            workers.force_exit()
        elif time.monotonic() >= deadline:
            _log.error(
                "workers that did not end in time, and are killed: %d",
                len(workers.running),
                extra=notice(Event.WORKER_KILLED),
            )
            workers.signal(signal.SIGKILL)
            deadline += _KILL_AFTER_S
