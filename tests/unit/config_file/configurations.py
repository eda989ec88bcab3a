"""A small good configuration as a document, and a way to change one place of it."""

import copy
from typing import Any

CANARY = "ar-canary-0123456789"
ENVIRON = {
    "SECRET": CANARY,
    "EMPTY": "",
    "NEWLINE": f"{CANARY}\n",
    "HOST": "h.example",
    "PORT": "8080",
    "SECONDS": "0.5",
    "YES": "true",
    "LIST": "[1]",
    "NAN": "NaN",
}


def document() -> dict[str, Any]:
    return {
        "upstreams": {"a": {"base_url": "https://h.example"}},
        "models": [{"id": "anthropic/*", "upstream": "a"}],
        "keys": [{"name": "laptop", "key": CANARY}],
    }


def changed(path: str, value: Any) -> dict[str, Any]:
    """Give the document with another value at `a.b.0.c`; `...` removes what is there."""
    whole = copy.deepcopy(document())
    *way, last = path.split(".")
    place: Any = whole
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
    key: Any = last
    if isinstance(place, list):
        key = int(last)
        place.extend([None] * (key + 1 - len(place)))
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return whole
