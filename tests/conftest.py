"""The event loop of every test: uvloop, which the product runs on; in `server` and `relay` asyncio's own as well."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

_UVLOOP = {"uvloop": uvloop.new_event_loop}
_BOTH = {**_UVLOOP, "asyncio": asyncio.new_event_loop}
_ON_BOTH = {"relay", "server"}


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Choose the loops that a test runs on."""
    return _BOTH if item.path.parent.name in _ON_BOTH else _UVLOOP
