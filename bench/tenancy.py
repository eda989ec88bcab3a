"""What the configurations of the contenders with limits, budgets and ledger have beside the gateway's own."""

from pathlib import Path
from typing import Any

from bench.servers import Servers

# So much that nothing is ever refused: what is measured is counting.
_LIMITS = {
    "requests_per_minute": 10**9,
    "input_tokens_per_minute": 10**12,
    "output_tokens_per_minute": 10**12,
    "max_in_flight": 10**6,
}
_BOUNDS = {"limits": _LIMITS, "budgets": {"day_usd": 10**6, "month_usd": 10**7}}


def tenancy(config: dict[str, Any], state_dir: Path, servers: Servers | None) -> dict[str, Any]:
    """Return a configuration whose key, its owner and all together have every limit and budget that there is.

    Args:
        config: without.
        state_dir: an existing folder.
        servers: PostgreSQL and Redis; None: SQLite, and counts in the process.
    """
    store = f"sqlite:///{state_dir}/store.db" if servers is None else servers.database()
    redis = (
        None
        if servers is None
        else {"url": servers.counts(), "name": state_dir.name.replace(" ", "-")}
    )
    return config | {
        "keys": [key | _BOUNDS | {"owner": "team"} for key in config["keys"]],
        "owners": [{"name": "team"} | _BOUNDS],
        "quota": {"global": _BOUNDS},
        "store": {"url": store, "state_dir": str(state_dir)},
        "redis": redis,
    }
