"""`import proxy` gives what is public when it is asked for."""

import subprocess
import sys

import pytest

import proxy


@pytest.mark.parametrize("name", proxy.__all__)
def test_each_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(proxy, name) is getattr(proxy, name)
    assert name in dir(proxy)


def test_another_name_is_none() -> None:
    with pytest.raises(AttributeError, match="'proxy' has no attribute 'Nonsense'"):
        proxy.Nonsense  # type: ignore[attr-defined]  # noqa: B018 - that it is not there is meant


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    look = "import sys, proxy; print('aiohttp' in sys.modules, proxy.Config.__module__)"
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["False", "proxy.config"]
