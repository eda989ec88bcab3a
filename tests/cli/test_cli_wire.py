"""The start says whether the fast paths past aiohttp are in use, and `ANYROUTER_PLAIN` takes them off."""

import os
import subprocess
import sys

import aiohttp
import pytest


@pytest.mark.parametrize(
    ("plain", "said"), [("", "fast paths"), ("1", "public API only")], ids=["fast", "plain"]
)
def test_the_start_says_which_wire_is_in_use(plain: str, said: str) -> None:
    code = (
        "import logging; logging.basicConfig(level='INFO')\n"
        "from proxy.commands.serve import announce\n"
        "announce([('127.0.0.1', 80)], 'x.yaml: 1 key', '/api')"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ANYROUTER_PLAIN": plain},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"aiohttp {aiohttp.__version__}, {said}" in shown.stderr
