"""The model list, in the API's shape (`schemas/model-list.schema.json`). Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from multidict import MultiMapping

from proxy.config import Key, Model
from proxy.errors import InvalidRequest, UnknownModel
from proxy.routing.model_ids import VENDOR, canonical, native
from proxy.routing.router import Route, Router, permits

DEFAULT_LIMIT = 20
MAX_LIMIT = 1000

Entry = dict[str, Any]
# What each upstream lists, or pool, by its name, under native ids.
Listed = Mapping[str, Sequence[Entry]]

_STAGES = ("active", "deprecated", "retired")
_LISTED_STAGES = frozenset({"active", "deprecated"})
_MAX_QUOTED_CHARS = 200
_DATE = re.compile(r"-\d{8}$")


def visible(models: Sequence[Model], router: Router, key: Key, listed: Listed) -> list[Entry]:
    """List the models a key may use: those of the catalog, and behind a wildcard those that its upstream lists.

    Args:
        models: the catalog.
        router: made of it.
        key: whose list it is.
        listed: what the upstreams and pools of wildcards list; what is not in it lists nothing.
    """
    entries: dict[str, Entry] = {}
    for model in models:
        found = (
            _behind(model, router, listed)
            if model.id.endswith("*")
            else [_known(model, _theirs(model, listed))]
        )
        for entry in found:
            if permits(key.models, router.find(entry["id"])):
                entries.setdefault(canonical(entry["id"]), entry)
    return list(entries.values())


def describe(model_id: str, route: Route, router: Router, listed: Listed) -> Entry:
    """Return one model's entry.

    Args:
        model_id: as asked for.
        route: what it leads to; a wildcard's entry keeps the id asked for.
        router: as for `visible`.
        listed: as for `visible`.
    """
    model = route.model
    if canonical(model.id) == route.canonical:
        return _known(model, _theirs(model, listed))
    for entry in _behind(model, router, listed):
        if canonical(entry["id"]) == route.canonical:
            return entry
    shown = VENDOR + model_id.removeprefix(VENDOR)
    return _entry(shown, shown.removeprefix(VENDOR), {"created_at": model.created_at})


def _known(model: Model, theirs: Entry) -> Entry:
    ours = {name: getattr(model, name) for name in _FACTS}
    facts = {name: theirs.get(name) if fact is None else fact for name, fact in ours.items()}
    return _entry(model.id, model.display_name or model.id.removeprefix(VENDOR), facts)


def _theirs(model: Model, listed: Listed) -> Entry:
    """Return what an entry's upstream lists for it, under its id there, with or without a date; else nothing."""
    sent = model.upstream_model or native(model.id)
    return next(
        (
            each
            for each in listed.get(model.upstream, ())
            if each["id"] == sent or _DATE.sub("", each["id"]) == sent
        ),
        {},
    )


def _behind(model: Model, router: Router, listed: Listed) -> Iterator[Entry]:
    """Yield what stands behind a wildcard, by the ids that lead there."""
    before, star, after = (model.upstream_model or "*").partition("*")
    for entry in listed.get(model.upstream, ()):
        theirs = entry["id"]
        if not (star and theirs.startswith(before) and theirs.endswith(after)):
            continue
        matched = theirs[len(before) : len(theirs) - len(after)]
        ours = (model.id[:-1] if model.upstream_model else VENDOR) + matched
        try:
            route = router.find(ours)
        except UnknownModel:
            continue
        if route.model is model and route.native == theirs:
            yield _entry(ours, entry.get("display_name") or theirs, entry)


_FACTS: dict[str, Any] = {
    "created_at": None,
    "lifecycle": "active",
    "line": None,
    "max_input_tokens": None,
    "max_tokens": None,
    "deprecated_at": None,
    "retires_at": None,
    "capabilities": None,
}


def _entry(model_id: str, display_name: str, facts: Mapping[str, Any]) -> Entry:
    known = {name: facts.get(name, unknown) for name, unknown in _FACTS.items()}
    if known["created_at"] is None:
        # Clients take it for a time: none is better than a wrong one.
        del known["created_at"]
    return {"type": "model", "id": model_id, "display_name": display_name, **known}


def page(entries: Sequence[Entry], query: MultiMapping[str]) -> dict[str, Any]:
    """Cut a page out of a list.

    Args:
        entries: all of it, in order.
        query: `limit` (1 to 1000, default 20), `after_id`, `before_id`, `lifecycle[]` (stages; default: all but
            retired).

    Raises:
        InvalidRequest: a limit out of range, a stage that is none, or an id that is not in the list.
    """
    limit = _limit(query.get("limit"))
    stages = _stages([*query.getall("lifecycle[]", ()), *query.getall("lifecycle", ())])
    entries = [entry for entry in entries if entry["lifecycle"] in stages]
    ids = [entry["id"] for entry in entries]
    if "before_id" in query:
        end = _index(ids, "before_id", query["before_id"])
        start = max(end - limit, 0)
        has_more = start > 0
    else:
        start = _index(ids, "after_id", query["after_id"]) + 1 if "after_id" in query else 0
        end = min(start + limit, len(ids))
        has_more = end < len(ids)
    return {
        "data": entries[start:end],
        "has_more": has_more,
        "first_id": ids[start] if start < end else None,
        "last_id": ids[end - 1] if start < end else None,
    }


def _stages(given: Sequence[str]) -> frozenset[str]:
    for stage in given:
        if stage not in _STAGES:
            raise InvalidRequest(f"lifecycle: must be one of {', '.join(_STAGES)}")
    return frozenset(given) or _LISTED_STAGES


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT))):
        raise InvalidRequest(f"limit: must be a whole number from 1 to {MAX_LIMIT}")
    if not 1 <= int(text) <= MAX_LIMIT:
        raise InvalidRequest(f"limit: must be from 1 to {MAX_LIMIT}")
    return int(text)


def _index(ids: Sequence[str], name: str, model_id: str) -> int:
    try:
        return ids.index(model_id)
    except ValueError:
        raise InvalidRequest(
            f"{name}: no model {model_id[:_MAX_QUOTED_CHARS]} in the list"
        ) from None
