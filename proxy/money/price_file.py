"""Read the price file, once, at the start: the shipped one, or one of the operator's in its place."""

import functools
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from proxy.config import Prices
from proxy.money import price_rows
from proxy.money.price_rows import PriceError
from proxy.money.prices import PriceTable

_SHIPPED = "prices.yaml"


def configured(prices: Prices) -> PriceTable:
    """Return what tokens cost by a configuration; as `load`."""
    return load(
        prices.file,
        overrides=prices.overrides,
        multiplier=prices.multiplier,
        upstreams=prices.upstreams,
    )


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
        document = _shipped() if path is None else _decode(Path(path).read_text("utf-8"))
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


@functools.cache
def _shipped() -> Any:
    """Read the shipped file, once for the check of a configuration, for what it starts, and for its workers."""
    return _decode(resources.files("proxy.money").joinpath(_SHIPPED).read_text("utf-8"))


def _decode(text: str) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        _refuse_doubles(node)
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_doubles(node: yaml.Node | None) -> None:
    """Refuse a key written twice, of which one would silently be lost."""
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _refuse_doubles(each)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        # What another kind of key is wrong with is said when it is read.
        name = str(key.value)
        if name in seen:
            line = key.start_mark.line + 1
            raise PriceError(f"line {line}: {ascii(name)[:100]} is written twice")
        seen.add(name)
        _refuse_doubles(value)
