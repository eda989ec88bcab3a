"""What a gateway without a store does not use, it does not load."""

import subprocess
import sys

import pytest

_UNUSED = ("sqlalchemy", "alembic", "psycopg", "redis", "proxy.store")


@pytest.mark.parametrize(
    "module", ["proxy", "proxy.app", "proxy.ledger.ledger", "proxy.commands.serve"]
)
def test_nothing_of_a_store_is_loaded_before_there_is_one(module: str) -> None:
    look = f"import sys, {module}; print(*sorted(set({_UNUSED!r}) & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60
    )
    assert loaded.stdout.strip() == ""
