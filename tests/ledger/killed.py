"""A process with a ledger that ends requests until it is killed: `python -m tests.ledger.killed URL FOLDER FIRST`.

It prints the number of each request when its row has been taken. Each tenth request stays in flight.
"""

import asyncio
import sys

from proxy.config import Store
from proxy.ledger.ledger import Ledger
from proxy.ledger.row import Row
from tests.store.rows import row

STAYS = 10


def unfinished(number: int) -> Row:
    """Return the row that a request leaves which is in flight when the process is killed."""
    return row(number, cause="gateway_killed", usage_source="partial", output_tokens=1)


async def _run(url: str, folder: str, first: int) -> None:
    ledger = Ledger(Store(url=url, state_dir=folder, retention_days=100_000))
    in_flight: list[int] = []
    ledger.snapshot_of(lambda: [unfinished(number) for number in in_flight])
    for number in range(first, first + 1_000_000):
        if number % STAYS == 0:
            in_flight.append(number)
        else:
            ledger.add(row(number))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
        await asyncio.sleep(0.005)  # so that it is killed in the midst


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], sys.argv[2], int(sys.argv[3])))
