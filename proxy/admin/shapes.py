"""The admin API's bodies: what may be given. Pure.

What is given is checked in full: an unknown member is an error, since a misspelt budget that is ignored spends money.
"""

import datetime
import re
from typing import Annotated, Any

import msgspec

from proxy.access.records import KeyRecord, OwnerRecord
from proxy.admin.shown import shown_time
from proxy.config import Budgets, RateLimits
from proxy.config.tenancy import Fail
from proxy.config_file.faults import suggest
from proxy.errors import InvalidRequest

_Count = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
_Micros = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Name = Annotated[str, msgspec.Meta(pattern=r"^[^\s\x00-\x1f]{1,100}\Z")]
_Pattern = Annotated[str, msgspec.Meta(pattern=r"^[^*]*\*?\Z", min_length=1, max_length=200)]
_Tag = Annotated[str, msgspec.Meta(max_length=200)]
_AT = re.compile(r" - at `\$\.?(.*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_GRACE_S = 86_400


class LimitsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As `proxy.config.RateLimits`; null and left out: no bound."""

    requests_per_minute: _Count | None = None
    input_tokens_per_minute: _Count | None = None
    output_tokens_per_minute: _Count | None = None
    max_in_flight: _Count | None = None
    fail: Fail = "open"
    shadow: bool = False


class BudgetsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As `proxy.config.Budgets`."""

    day_micros: _Micros | None = None
    month_micros: _Micros | None = None
    fail: Fail = "open"
    shadow: bool = False


class KeyBody(msgspec.Struct, forbid_unknown_fields=True):
    """A key as it is given; `limits` and `budgets` null: those of each key."""

    name: _Name
    owner: _Name | None = None
    models: Annotated[tuple[_Pattern, ...], msgspec.Meta(min_length=1, max_length=1000)] = ("*",)
    limits: LimitsBody | None = None
    budgets: BudgetsBody | None = None
    tags: dict[_Tag, _Tag] = {}
    expires_at: datetime.datetime | None = None
    disabled: bool = False


class OwnerBody(msgspec.Struct, forbid_unknown_fields=True):
    """An owner as it is given."""

    limits: LimitsBody = LimitsBody()
    budgets: BudgetsBody = BudgetsBody()


class RotateBody(msgspec.Struct, forbid_unknown_fields=True):
    """For how long, in seconds, the secrets that are replaced still open the key."""

    grace_s: Annotated[int, msgspec.Meta(ge=0, le=366 * _GRACE_S)] = _GRACE_S


_PARTS: dict[str, type[msgspec.Struct]] = {"limits": LimitsBody, "budgets": BudgetsBody}


def parse_key(text: bytes) -> KeyRecord:
    """Read a key that is to be made.

    Raises:
        InvalidRequest: it is not one.
    """
    return _record(_decode(text, KeyBody))


def parse_owner(name: str, text: bytes) -> OwnerRecord:
    """Read an owner; as `parse_key`."""
    _convert(name, _Name, "name")
    body = _decode(text, OwnerBody)
    return OwnerRecord(name=name, limits=_limits(body.limits), budgets=_budgets(body.budgets))


def parse_rotation(text: bytes) -> RotateBody:
    """Read for how long older secrets work; as `parse_key`."""
    body: RotateBody = _decode(text or b"{}", RotateBody)
    return body


def apply_patch(record: KeyRecord, text: bytes) -> KeyRecord:
    """Return a key with a JSON merge patch (RFC 7396) applied: null takes off a limit or a budget.

    Raises:
        InvalidRequest: the patch is none, or its result is no key, or has another name.
    """
    try:
        patch = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.ValidationError:
        raise InvalidRequest("body: must be a JSON object") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"body: not JSON: {error}") from None
    now = {
        "name": record.name,
        "owner": record.owner,
        "models": list(record.models),
        "limits": None if record.limits is None else msgspec.to_builtins(record.limits),
        "budgets": None if record.budgets is None else msgspec.to_builtins(record.budgets),
        "tags": dict(record.tags),
        "expires_at": shown_time(record.expires_at_ms),
        "disabled": record.disabled,
    }
    if patch.get("name", record.name) != record.name:
        raise InvalidRequest("name: a key's name never changes; make another key")
    changed = _record(_convert(_merge(now, patch), KeyBody, ""))
    return msgspec.structs.replace(
        changed,
        created_at_ms=record.created_at_ms,
        updated_at_ms=record.updated_at_ms,
        secrets=record.secrets,
    )


def _merge(value: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for name, each in patch.items():
        if each is None and name in ("limits", "budgets", "owner", "expires_at"):
            merged[name] = None
        elif each is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), each)
    return merged


def _record(body: KeyBody) -> KeyRecord:
    expires_at = body.expires_at
    if expires_at is not None and expires_at.tzinfo is None:
        raise InvalidRequest("expires_at: needs its zone, such as 2027-01-31T00:00:00Z")
    return KeyRecord(
        name=body.name,
        owner=body.owner,
        models=body.models,
        limits=None if body.limits is None else _limits(body.limits),
        budgets=None if body.budgets is None else _budgets(body.budgets),
        tags=body.tags,
        expires_at_ms=None if expires_at is None else int(expires_at.timestamp() * 1000),
        disabled=body.disabled,
    )


def _limits(body: LimitsBody) -> RateLimits:
    return RateLimits(**msgspec.structs.asdict(body))


def _budgets(body: BudgetsBody) -> Budgets:
    return Budgets(**msgspec.structs.asdict(body))


def _decode(text: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise _refusal(error, "body", kind) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"body: not JSON: {error}") from None


def _convert(value: Any, kind: Any, place: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _refusal(error, place or "body", kind) from None


def _refusal(error: msgspec.ValidationError, place: str, kind: Any) -> InvalidRequest:
    """Put the path first, as the API's own messages have it."""
    said, at = str(error), ""
    if (found := _AT.search(said)) is not None:
        said, at = said[: found.start()], found[1]
    if (unknown := _UNKNOWN.fullmatch(said)) is not None:
        said += _known(unknown[1], _PARTS.get(at, kind))
    return InvalidRequest(f"{at or place}: {said}")


def _known(given: str, kind: Any) -> str:
    """Return which fields there are, and which of them was probably meant."""
    fields = kind.__struct_fields__
    in_micros = given.removesuffix("_usd") + "_micros"
    meant = (
        f"; did you mean {in_micros}, in millionths of a dollar?"
        if in_micros in fields
        else suggest(given, fields)
    )
    return f"{meant or ';'} known here: {', '.join(fields)}"
