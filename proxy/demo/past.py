"""Puts the history of a busy demo into its store, before the gateway opens it."""

from collections import Counter

from proxy.config import Store
from proxy.demo import history
from proxy.money import price_file

_DAY_MS = 86_400_000


def store_history(store: Store, seed: int, now_ms: int) -> Counter[str]:
    """Store thirty days; return what each key has spent today, in micro-dollars.

    Raises:
        StoreDown: it cannot be stored.
    """
    from proxy.store.ledger_store import LedgerStore  # noqa: PLC0415 - a demo without history loads it later

    ledger = LedgerStore(store.url)
    ledger.ensure_current()
    rows = list(history.rows(seed, now_ms, price_file.load()))
    for at in range(0, len(rows), ledger.max_rows):
        ledger.put(rows[at : at + ledger.max_rows])
    ledger.close()
    spent: Counter[str] = Counter()
    for row in rows:
        if row.day == now_ms // _DAY_MS:
            spent[row.key] += row.cost_micros
    return spent
