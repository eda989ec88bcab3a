"""What holds for all tests: the event loop they run on, which of them are slow, how many examples properties get.

The loop is uvloop, which the product runs on; in `server` and `relay` asyncio's own as well.
"""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop
from hypothesis import settings

# No deadline, since a slow machine is no defect. `--hypothesis-profile` chooses another than "whole".
settings.register_profile("whole", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=15)
settings.load_profile("whole")

_UVLOOP = {"uvloop": uvloop.new_event_loop}
_SECOND_LOOP = asyncio.new_event_loop
_BOTH = {**_UVLOOP, "asyncio": _SECOND_LOOP}
_ON_BOTH = {"relay", "server"}
_PROCESSES = "cli"


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Choose the loops that a test runs on."""
    return _BOTH if item.path.parent.name in _ON_BOTH else _UVLOOP


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what starts processes, and what runs on the second loop."""
    for item in items:
        callspec = getattr(item, "callspec", None)  # of tests with parameters
        second = callspec is not None and _SECOND_LOOP in callspec.params.values()
        if second or item.path.parent.name == _PROCESSES:
            item.add_marker(pytest.mark.slow)
