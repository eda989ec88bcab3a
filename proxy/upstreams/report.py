"""How the upstreams are, as one process knows it: what is shown of them to operators. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from proxy.config import Config
from proxy.telemetry.tally import Times
from proxy.upstreams.account import Headroom
from proxy.upstreams.counts import Count
from proxy.upstreams.standing import Standing

# Clients choose ids under a wildcard: there may be a thousand.
_MAX_MODELS = 20
_MAX_MODEL_CHARS = 100


class Cooling(msgspec.Struct):
    """An upstream, or one of its models, that is left alone.

    Attributes:
        model: the upstream's own id of it; None: the whole upstream.
        why: in a word: a status, or a cause of the access log.
        since_ms, until_ms: Unix milliseconds.
    """

    model: str | None
    why: str
    since_ms: int
    until_ms: int


class FailingRun(msgspec.Struct):
    """What an upstream fails with outside of pools: each request there for a while.

    Attributes:
        why: the last of them failed, in a word.
        since_ms, last_ms: when the first and the last came, in Unix milliseconds.
    """

    why: str
    since_ms: int
    last_ms: int


class Share(msgspec.Struct):
    """What an upstream does in a pool; None: for models that name it directly."""

    pool: str | None
    count: Count


class Failure(msgspec.Struct):
    """What an upstream failed with last."""

    why: str
    at_ms: int


class Account(msgspec.Struct):
    """What an upstream's account had left when it last said so, by kind."""

    at_ms: int
    kinds: dict[str, Headroom]


class Report(msgspec.Struct):
    """One upstream, in one process.

    Attributes:
        upstream: its name.
        is_configured: whether requests that begin now may go there; else those in flight are its last.
        cooling: what of it is left alone, what is ready last first; none: it is up.
        last_error: None: it has not failed yet.
        in_flight: requests that it is at.
        shares: its counts by pool.
        account: None: it has not said.
        credential_age_s: how long ago a command printed its credential; None: no command does.
        failing: None: it does not.
        recovered_ms: when it last answered after failures outside of pools; None: it has not.
        first_byte, total: how long it took until then and until the end, in the buckets of `proxy.telemetry.series`;
            None: nothing has ended there, or nobody counts.
    """

    upstream: str
    is_configured: bool
    cooling: list[Cooling]
    last_error: Failure | None
    in_flight: int
    shares: list[Share]
    account: Account | None
    credential_age_s: float | None = None
    failing: FailingRun | None = None
    recovered_ms: int | None = None
    first_byte: Times | None = None
    total: Times | None = None


def reports(
    config: Config,
    standing: Standing,
    in_flight: Iterable[str],
    now: float,
    now_ms: int,
    *,
    printed_s: Mapping[str, float] = MappingProxyType({}),
) -> list[Report]:
    """Return how each upstream is, in the order of the configuration.

    Args:
        config: that counts.
        standing: of all upstreams.
        in_flight: for each request in flight the name of the upstream that is at it.
        now: by the clock of `standing`.
        now_ms: the same moment in Unix milliseconds.
        printed_s: when commands printed the credentials of upstreams, by the same clock.
    """
    busy = Counter(in_flight)
    names = [each.name for each in config.upstreams]
    leaving = sorted(busy.keys() - set(names))

    def ms(at_s: float) -> int:
        return now_ms + round((at_s - now) * 1000)

    cooling: dict[str, list[Cooling]] = {}
    for place, condition in standing.health.cooling(now):
        model = None if place.model is None else place.model[:_MAX_MODEL_CHARS]
        cools = Cooling(model, condition.why, ms(condition.since), ms(condition.until))
        cooling.setdefault(place.upstream, []).append(cools)
    counts, failing = standing.counts, standing.failing
    found = []
    for name in (*names, *leaving):
        error, account = counts.errors.get(name), counts.accounts.get(name)
        run, ended = failing.of(name), failing.ended.get(name)
        report = Report(
            upstream=name,
            is_configured=name not in leaving,
            cooling=sorted(cooling.get(name, ()), key=_order)[:_MAX_MODELS],
            last_error=None if error is None else Failure(error.why, ms(error.at_s)),
            in_flight=busy[name],
            shares=[Share(pool, count) for pool, count in counts.of(name).items()],
            account=Account(ms(account.at_s), account.kinds)
            if account is not None and account.kinds
            else None,
            credential_age_s=now - printed_s[name] if name in printed_s else None,
            failing=None if run is None else FailingRun(run.why, ms(run.since), ms(run.last)),
            recovered_ms=None if ended is None else ms(ended),
        )
        found.append(report)
    return found


def _order(cooling: Cooling) -> tuple[bool, int]:
    """Return what is sorted by: all of the upstream first, then what is ready last."""
    return cooling.model is not None, -cooling.until_ms
