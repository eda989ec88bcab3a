"""How the admin API shows keys and owners, of store and configuration alike and without secrets, and usage. Pure."""

import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from proxy.access.records import KeyRecord, OwnerRecord, within_calendar
from proxy.config import Key, Owner

if TYPE_CHECKING:
    from proxy.store.usage import Group

_DAY_S = 86_400
_HOUR_S = 3_600
_EXPIRING_MS = 7 * _DAY_S * 1000


def shown_key(record: KeyRecord) -> dict[str, Any]:
    """Show a managed key, without its secrets."""
    older = [each.not_after_ms for each in record.secrets if each.not_after_ms is not None]
    return {
        "type": "key",
        "name": record.name,
        "source": "store",
        "owner": record.owner,
        "models": list(record.models),
        "limits": record.limits,
        "budgets": record.budgets,
        "tags": record.tags,
        "expires_at": shown_time(record.expires_at_ms),
        "disabled": record.disabled,
        "created_at": shown_time(record.created_at_ms),
        "updated_at": shown_time(record.updated_at_ms),
        "previous_valid_until": shown_time(max(older, default=None)),
    }


def shown_static_key(key: Key) -> dict[str, Any]:
    """Show a key of the configuration."""
    return {
        "type": "key",
        "name": key.name,
        "source": "configuration",
        "owner": key.owner,
        "models": list(key.models),
        "limits": key.limits,
        "budgets": key.budgets,
        "tags": key.tags,
        "expires_at": None if key.expires_at is None else shown_time(_ms(key.expires_at)),
        "disabled": key.disabled,
        "created_at": None,
        "updated_at": None,
        "previous_valid_until": None,
    }


def state_of(shown: Mapping[str, Any], at_ms: int) -> str:
    """Return how a key is that is shown so: `active`, `expiring` within a week, `expired` or `disabled`."""
    expires = shown["expires_at"]
    if shown["disabled"]:
        return "disabled"
    # Times of this form are in the order of their texts.
    if expires is None or expires > (shown_time(at_ms + _EXPIRING_MS) or ""):
        return "active"
    return "expiring" if expires > (shown_time(at_ms) or "") else "expired"


def shown_owner(record: OwnerRecord) -> dict[str, Any]:
    """Show a managed owner."""
    return {
        "type": "owner",
        "name": record.name,
        "source": "store",
        "limits": record.limits,
        "budgets": record.budgets,
        "created_at": shown_time(record.created_at_ms),
        "updated_at": shown_time(record.updated_at_ms),
    }


def shown_static_owner(owner: Owner) -> dict[str, Any]:
    """Show an owner of the configuration."""
    return {
        "type": "owner",
        "name": owner.name,
        "source": "configuration",
        "limits": owner.limits,
        "budgets": owner.budgets,
        "created_at": None,
        "updated_at": None,
    }


def shown_group(by: Sequence[str], group: "Group") -> dict[str, Any]:
    """Show sums of usage, after the dimensions that they are by."""
    fields = msgspec.structs.asdict(group)
    dimensions = {
        name: _shown_value(name, value) for name, value in zip(by, fields.pop("of"), strict=True)
    }
    return {"type": "usage", **dimensions, **fields}


def shown_time(at_ms: int | None) -> str | None:
    """Return a time of Unix milliseconds in RFC 3339."""
    if at_ms is None:
        return None
    return within_calendar(at_ms).isoformat(timespec="seconds").replace("+00:00", "Z")


def _ms(at: datetime.datetime) -> int:
    return int(at.timestamp() * 1000)


def _shown_value(name: str, value: str | int) -> str | None:
    if name == "day":
        return _utc(int(value) * _DAY_S).strftime("%Y-%m-%d")
    if name == "hour":
        return _utc(int(value) * _HOUR_S).strftime("%Y-%m-%dT%H:00Z")
    return str(value) or None


def _utc(at_s: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC)
