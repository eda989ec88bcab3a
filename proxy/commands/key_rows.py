"""Keys as people see them, from what the admin API shows of them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from proxy.admin.shown import state_of
from proxy.commands import amounts, bounds

COLUMNS = ("key", "owner", "models", "limits", "budgets", "expires", "state", "kept in")
_TIMES = ("expires_at", "created_at", "updated_at", "previous_valid_until")


def row(entry: Mapping[str, Any], now_ms: int) -> tuple[str, ...]:
    """Return a key as a row of `COLUMNS`, at a time in Unix milliseconds."""
    models = _models(entry["models"])
    expires = (entry["expires_at"] or "never").removesuffix("T00:00:00Z")
    return (
        entry["name"],
        entry["owner"] or "",
        models,
        bounds.shown_limits(entry["limits"]),
        bounds.shown_budgets(entry["budgets"]),
        expires,
        state_of(entry, now_ms),
        entry["source"],
    )


def details(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return all there is of a key, by name; without what it has not."""
    told = {
        **{name: entry[name] or "" for name in ("name", "source", "owner")},
        "models": _models(entry["models"]),
        "limits": bounds.shown_limits(entry["limits"]),
        "budgets": bounds.shown_budgets(entry["budgets"]),
        "spent": _spent(entry.get("spent")),
        "tags": ", ".join(f"{name}={value}" for name, value in entry["tags"].items()),
        "disabled": "yes" if entry["disabled"] else "",
        **{name.replace("_", " "): entry[name] or "" for name in _TIMES},
    }
    return [(name, value) for name, value in told.items() if value]


def _models(models: Sequence[str]) -> str:
    return "all" if "*" in models else ", ".join(models)


def _spent(spent: Mapping[str, int] | None) -> str:
    if spent is None:
        return ""
    day, month = (amounts.shown_dollars(spent[name]) for name in ("day_micros", "month_micros"))
    return f"${day} today, ${month} this month, in UTC"
