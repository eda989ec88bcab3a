"""The models that the sandbox lists."""

import re
from collections.abc import Mapping

from proxy.sandbox.errors import ApiError

_MODELS = (
    ("claude-opus-5-5", "2026-10-01"),
    ("claude-sonnet-5-5", "2026-10-01"),
    ("claude-haiku-5-5", "2026-10-01"),
    ("claude-fable-5-1", "2026-09-01"),
    ("claude-mythos-5-1", "2026-09-01"),
    ("claude-fable-5", "2026-06-01"),
    ("claude-mythos-5", "2026-06-01"),
    ("claude-opus-5", "2026-06-01"),
    ("claude-sonnet-5", "2026-06-01"),
    ("claude-opus-4-8", "2026-05-01"),
    ("claude-opus-4-7", "2026-04-01"),
    ("claude-opus-4-6", "2026-02-01"),
    ("claude-sonnet-4-6", "2026-02-01"),
    ("claude-opus-4-5", "2025-11-01"),
    ("claude-haiku-4-5", "2025-10-01"),
    ("claude-sonnet-4-5", "2025-09-01"),
)
_DEFAULT_LIMIT = 20
_HIGHEST_LIMIT = 1000
_VERSION = re.compile(r"(?<=\d) (?=\d)")


def known(model: str) -> bool:
    """Return whether the sandbox serves a model: any `claude-` id."""
    return model.startswith("claude-") and len(model) > len("claude-")


def entry(model: str, date: str = "2026-01-01") -> dict[str, str]:
    """Return a model as the API lists it."""
    name = _VERSION.sub(".", model.replace("-", " ").title())
    return {
        "type": "model",
        "id": model,
        "display_name": name,
        "created_at": f"{date}T00:00:00Z",
    }


_ENTRIES = [entry(model, date) for model, date in _MODELS]
_PLACES = {listed["id"]: place for place, listed in enumerate(_ENTRIES)}


def find(model: str) -> dict[str, str]:
    """Return one model.

    Raises:
        ApiError: 404, it is not a `claude-` id.
    """
    if not known(model):
        raise ApiError("not_found_error", f"model: {model}")
    return _ENTRIES[_PLACES[model]] if model in _PLACES else entry(model)


def page(query: Mapping[str, str]) -> dict[str, object]:
    """Return one page of the list, newest first: `limit` models after or before an id.

    Raises:
        ApiError: 400, `limit` is not 1 to 1000, a cursor names no model, or there are two cursors.
    """
    limit = _limit(query.get("limit"))
    if "after_id" in query and "before_id" in query:
        raise ApiError("invalid_request_error", "before_id and after_id cannot be used together")
    if "before_id" in query:
        stop = _place("before_id", query["before_id"])
        start = max(0, stop - limit)
        more = start > 0
    else:
        start = _place("after_id", query["after_id"]) + 1 if "after_id" in query else 0
        stop = start + limit
        more = stop < len(_ENTRIES)
    models = _ENTRIES[start:stop]
    return {
        "data": models,
        "has_more": more,
        "first_id": models[0]["id"] if models else None,
        "last_id": models[-1]["id"] if models else None,
    }


def _limit(text: str | None) -> int:
    if text is None:
        return _DEFAULT_LIMIT
    if not text.isdecimal() or not 1 <= int(text) <= _HIGHEST_LIMIT:
        raise ApiError("invalid_request_error", f"limit: must be 1 to {_HIGHEST_LIMIT}")
    return int(text)


def _place(name: str, model: str) -> int:
    if model not in _PLACES:
        raise ApiError("invalid_request_error", f"{name}: unknown model {model}")
    return _PLACES[model]
