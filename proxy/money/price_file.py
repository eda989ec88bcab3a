"""Read the price file, once, at the start: the shipped one, or one of the operator's in its place."""

import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from proxy.money import price_rows
from proxy.money.price_rows import PriceError
from proxy.money.prices import PriceTable

_SHIPPED = "prices.yaml"


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key written twice, of which one would silently be lost."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        # What another kind of key is wrong with is said below.
        name = str(key.value)
        if name in seen:
            line = key.start_mark.line + 1
            raise PriceError(f"line {line}: {ascii(name)[:100]} is written twice")
        seen.add(name)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    overrides: Sequence[Mapping[str, Any]] = (),
    multiplier: Any = 1,
    upstreams: Mapping[str, Any] | None = None,
) -> PriceTable:
    """Read the prices.

    Args:
        path: of a file of the shipped one's shape; None: the shipped one.
        overrides: rows that count before the file's, in its shape.
        multiplier: of every price.
        upstreams: factors of what each serves, by its name.

    Raises:
        PriceError: with everything that is wrong.
    """
    try:
        if path is None:
            text = resources.files("proxy.money").joinpath(_SHIPPED).read_text("utf-8")
        else:
            text = Path(path).read_text("utf-8")
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise PriceError(f"file: {error.strerror}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else "file"
        raise PriceError(f"{place}: not YAML: {getattr(error, 'problem', error)}") from None
    except (ValueError, RecursionError):
        raise PriceError("file: not YAML in UTF-8") from None
    return price_rows.build(
        document, overrides=overrides, multiplier=multiplier, upstreams=upstreams
    )
