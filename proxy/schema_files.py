"""The JSON Schema files of `schemas/`: the one description of requests, answers and configuration."""

import functools
import json
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

SUFFIX = ".schema.json"


def folder() -> Traversable:
    """Find the schema files: inside the installed package, or beside it in a checkout."""
    installed = resources.files("proxy").joinpath("schemas")
    return installed if installed.is_dir() else Path(__file__).parent.parent / "schemas"


def names() -> list[str]:
    """List the schemas, such as `messages-request`."""
    return sorted(
        file.name.removesuffix(SUFFIX) for file in folder().iterdir() if file.name.endswith(SUFFIX)
    )


@functools.cache
def load(name: str) -> dict[str, Any]:
    """Read one schema by its name. Treat the result as read-only: it is shared."""
    text = folder().joinpath(name + SUFFIX).read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
