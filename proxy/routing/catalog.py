"""The model list, in the API's shape (`schemas/model-list.schema.json`). Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from proxy.config import Key, Model
from proxy.errors import InvalidRequest
from proxy.routing.model_ids import VENDOR, canonical
from proxy.routing.router import Route, Router, permits

DEFAULT_LIMIT = 20
MAX_LIMIT = 1000


def visible(models: Sequence[Model], router: Router, key: Key) -> list[dict[str, Any]]:
    """List the models a key may use. Wildcard entries name no model, so they are not in it."""
    routed = [(model, router.find(model.id)) for model in models if not model.id.endswith("*")]
    return [describe(model.id, route) for model, route in routed if permits(key.models, route)]


def describe(model_id: str, route: Route) -> dict[str, Any]:
    """Give one model's entry.

    Args:
        model_id: as asked for.
        route: what it leads to; a wildcard's entry keeps the id asked for.
    """
    model = route.model
    named = canonical(model.id) == route.canonical
    shown = model.id if named else VENDOR + model_id.removeprefix(VENDOR)
    return {
        "type": "model",
        "id": shown,
        "display_name": (model.display_name if named else None) or shown.removeprefix(VENDOR),
        "created_at": model.created_at,
    }


def page(entries: Sequence[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """Cut a page out of a list.

    Args:
        entries: all of it, in order.
        query: `limit` (1 to 1000, default 20), `after_id`, `before_id`.

    Raises:
        InvalidRequest: a limit out of range, or an id that is not in the list.
    """
    limit = _limit(query.get("limit"))
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
        "data": list(entries[start:end]),
        "has_more": has_more,
        "first_id": ids[start] if start < end else None,
        "last_id": ids[end - 1] if start < end else None,
    }


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
        raise InvalidRequest(f"{name}: no model {model_id[:200]} in the list") from None
