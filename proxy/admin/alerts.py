"""What is told to whoever gets alerts, and as what: rules over what is so now. Pure.

An alert is told once for its rule, subject and period. Rules look at states, not at events, and say the same again for
as long as they hold: whoever sends them keeps what was sent.
"""

import datetime
import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from proxy.config import Budgets
from proxy.limits.local import Spent
from proxy.limits.periods import periods_at

BUDGET_PERCENTS = (100, 95, 75)
NEW_AGENTS = 20
BEHIND_MS = 60_000
_MICROS = 1_000_000
_MAX_CHARS = 100
# Clients choose some texts: nothing in them may break a line, or a terminal.
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Alert(msgspec.Struct, frozen=True):
    """Something that a person should know now.

    Attributes:
        rule: a word for what it is. `subject`: of what. `period`: for which it is told once.
        text: one sentence. `do`: what to do about it.
    """

    rule: str
    subject: str
    period: str
    text: str
    do: str

    @property
    def identity(self) -> tuple[str, str, str]:
        """What it is told once for."""
        return self.rule, self.subject, self.period

    @property
    def id(self) -> str:
        """The same, by which a receiver knows what it has got already."""
        return hashlib.sha256("\0".join(self.identity).encode()).hexdigest()[:32]


def of_budgets(
    spent: Mapping[str, Spent], budgets: Mapping[str, Budgets], now_ms: int
) -> list[Alert]:
    """Return which budgets are used to 75, 95 or 100 percent: of each the highest alone.

    Args:
        spent: of the day and the month of a moment, by subject, such as `key laptop`, `owner team-a`, `global`.
        budgets: of those that have any.
        now_ms: that moment, in Unix milliseconds.
    """
    periods, date = periods_at(now_ms), utc(now_ms)
    found: list[Alert] = []
    for subject, each in sorted(budgets.items()):
        used = spent.get(subject, Spent(0, 0))
        for unit, micros, budget, period, ends_s in (
            ("day", used.day_micros, each.day_micros, date[:10], periods.day_ends_s),
            ("month", used.month_micros, each.month_micros, date[:7], periods.month_ends_s),
        ):
            percent = _percent(micros, budget)
            if budget is None or percent is None:
                continue
            share = f"{dollars(micros)} of the {dollars(budget)}"
            then = _then(each, percent, ends_s)
            found.append(
                Alert(
                    f"budget_{percent}",
                    plain(f"{subject} {unit}"),
                    period,
                    plain(f"{_named(subject)} used {share} of this {unit}{then}"),
                    f"raise the budget, or see who spends it: `anyrouter usage{_filter(subject)} --by day,model`",
                )
            )
    return found


def _percent(micros: int, budget: int | None) -> int | None:
    # A budget of nothing blocks what costs: that is meant, and no news.
    if not budget:
        return None
    return next((each for each in BUDGET_PERCENTS if micros * 100 >= budget * each), None)


def _then(budgets: Budgets, percent: int, ends_s: int) -> str:
    if percent < BUDGET_PERCENTS[0]:
        return ""
    if budgets.shadow:
        return "; it only watches, and nothing is refused"
    return f"; what costs is refused until {utc(ends_s * 1000)}"


def _named(subject: str) -> str:
    return "all keys together have" if subject == "global" else f"{subject} has"


def _filter(subject: str) -> str:
    kind, _, name = subject.partition(" ")
    return f" --{kind} {shlex.quote(plain(name))}" if name else ""


def of_sessions(
    dear: Iterable[tuple[str, str, int]],
    fanned_out: Iterable[tuple[str, str, int]],
    over_micros: int,
    now_ms: int,
) -> list[Alert]:
    """Return which sessions run away: what they cost in ten minutes, how many agents they began in five.

    Args:
        dear: session, key and micro-dollars of those that spent more than so much.
        fanned_out: session, key and number of new agents of those that began many.
        over_micros: what a session may spend.
        now_ms: in Unix milliseconds.
    """
    hour = f"{utc(now_ms)[:13]}Z"
    do = "look what it does with `anyrouter session {}`, and end it at its client, or disable the key"
    return [
        *(
            Alert(
                "session_spends",
                plain(session),
                hour,
                plain(
                    f"session {_short(session)} of key {key} spent {dollars(micros)} in 10 minutes, "
                    f"over {dollars(over_micros)}"
                ),
                do.format(shlex.quote(plain(session))),
            )
            for session, key, micros in dear
        ),
        *(
            Alert(
                "session_agents",
                plain(session),
                hour,
                plain(f"session {_short(session)} of key {key} began {agents} agents in 5 minutes"),
                do.format(shlex.quote(plain(session))),
            )
            for session, key, agents in fanned_out
        ),
    ]


def of_unpriced(models: Iterable[tuple[str, int]], now_ms: int) -> list[Alert]:
    """Return which models have no price: what they cost is a guess."""
    return [
        Alert(
            "model_unpriced",
            plain(model),
            utc(now_ms)[:10],
            plain(
                f"model {model} has no price: {requests} requests were charged as an unknown one"
            ),
            "add it to `prices.overrides`, or bring a newer price file",
        )
        for model, requests in models
    ]


def of_ledger(
    machine: str, oldest_ms: Sequence[int | None], lost_rows: int, now_ms: int
) -> list[Alert]:
    """Return whether the rows of a machine wait too long for the store, or are lost.

    Args:
        machine: its name.
        oldest_ms: when the oldest request came that waits, of each worker; None: none waits.
        lost_rows: by all its workers, since they began.
        now_ms: in Unix milliseconds.
    """
    found: list[Alert] = []
    oldest = min((each for each in oldest_ms if each is not None), default=now_ms)
    if now_ms - oldest > BEHIND_MS:
        found.append(
            Alert(
                "ledger_behind",
                plain(machine),
                f"{utc(now_ms)[:13]}Z",
                plain(
                    f"the store has not taken rows of {machine} since {utc(oldest)}; requests go on"
                ),
                "bring the store back, and look at stderr: rows wait in `store.state_dir`, and none is lost yet",
            )
        )
    if lost_rows:
        found.append(
            Alert(
                "rows_lost",
                plain(machine),
                utc(now_ms)[:10],
                plain(f"{lost_rows} requests of {machine} have no row, and never will"),
                "make room on the disk of `store.state_dir`, and bring the store back",
            )
        )
    return found


def utc(at_ms: int) -> str:
    """Return a time of Unix milliseconds in RFC 3339, in whole seconds."""
    at = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def dollars(micros: int) -> str:
    """Return an amount of micro-dollars, in cents; one below a cent in all its digits."""
    if 0 < micros < _MICROS // 100:
        return f"${micros // _MICROS}.{micros % _MICROS:06d}"
    cents = (micros * 100 + _MICROS // 2) // _MICROS
    return f"${cents // 100:,}.{cents % 100:02d}"


def plain(text: str) -> str:
    """Return a text on one line, cut where it is very long."""
    return _ODD.sub("?", text)[: 4 * _MAX_CHARS]


def _short(text: str) -> str:
    return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}..."
