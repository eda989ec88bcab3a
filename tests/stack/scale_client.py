"""What clients and operators do with two gateways, from inside their network.

`python - CREDENTIAL WHAT ARGUMENTS… , WHAT ARGUMENTS…` does one after the other, as long as all goes as it should.
It runs in a container of the stack, which has the standard library and nothing of the tests.
"""

import collections
import concurrent.futures
import functools
import http.client
import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

ONE, TWO, BALANCER = "gateway-one", "gateway-two", "balancer"
CREDENTIAL, *GIVEN = sys.argv[1:]
WITHIN_S = 60.0
BODY = json.dumps({
    "model": "anthropic/claude-haiku-4.5",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "say hi"}],
})  # fmt: skip


def call(
    host: str, method: str, path: str, key: str, *, body: str | None = None, port: int = 8080
) -> tuple[int, str]:
    """Return status and body; of who is not there, 0 and the reason."""
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    connection = http.client.HTTPConnection(host, port, timeout=WITHIN_S)
    try:
        connection.request(method, path, body, headers | {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


def ask(host: str, key: str) -> tuple[int, str]:
    """Send a message."""
    return call(host, "POST", "/v1/messages", key, body=BODY)


def models(host: str, key: str) -> int:
    """Return the status of the models, which no limit is for."""
    return call(host, "GET", "/v1/models", key)[0]


def admin(method: str, path: str, body: str | None = None) -> Any:
    """Ask the admin API of the first gateway; what is no success is nothing."""
    status, text = call(ONE, method, f"/admin/v1/{path}", CREDENTIAL, body=body, port=8081)
    return json.loads(text) if status in {200, 201} else {}


def until(what: Callable[[], object], wanted: object) -> float:
    """Call until it gives what is wanted; return how many seconds that took."""
    began_s = time.monotonic()
    while (found := what()) != wanted:
        if time.monotonic() - began_s > WITHIN_S:
            sys.exit(f"{found}, not {wanted}, for {WITHIN_S} s")
        time.sleep(0.05)  # other processes
    return time.monotonic() - began_s


def same(found: object, wanted: object) -> None:
    """Compare."""
    if found != wanted:
        sys.exit(f"{found}, not {wanted}")


def make(name: str, terms: str = "{}") -> None:
    """Make a key, wait until both gateways know it, and print it."""
    body = json.dumps({"name": name} | json.loads(terms))
    made: dict[str, str] = {}

    def is_made() -> bool:
        made.update(admin("POST", "keys", body))
        return bool(made)

    until(is_made, wanted=True)  # refused while a gateway makes the tables
    key = made["secret"]
    took_s = [until(functools.partial(models, host, key), 200) for host in (ONE, TWO)]
    sys.stderr.write(f"     known at both after {sum(took_s):.1f} s\n")
    sys.stdout.write(key)


def limit(key: str, most: str) -> None:
    """Ask both at once, and have exactly so many let in."""
    hosts = [ONE, TWO] * 12
    with concurrent.futures.ThreadPoolExecutor(len(hosts)) as pool:
        statuses = [status for status, _ in pool.map(lambda host: ask(host, key), hosts)]
    same(collections.Counter(statuses), {200: int(most), 429: len(hosts) - int(most)})


def budget(key: str) -> None:
    """Spend all of it at one gateway, and have the other refuse."""
    same(ask(ONE, key)[0], 200)
    until(lambda: "spend limit reached" in ask(TWO, key)[1], wanted=True)


def answers(host: str, key: str, many: str) -> None:
    """Have so many messages answered."""
    same([ask(host, key)[0] for _ in range(int(many))], [200] * int(many))


def status(host: str, key: str, wanted: str) -> None:
    """Wait for a status."""
    until(lambda: ask(host, key)[0], int(wanted))


def rows(name: str, wanted: str) -> None:
    """Wait until the ledger has so many requests of a key."""

    def count() -> int:
        groups = admin("GET", f"usage?by=key&key={name}").get("data", [])
        return sum(group["requests"] for group in groups)

    until(count, int(wanted))


def state(name: str, wanted: str) -> None:
    """Wait until a key's limits are counted so."""
    until(lambda: admin("GET", f"limits/key/{name}").get("state"), wanted)


DO: dict[str, Callable[..., None]] = {
    each.__name__: each for each in (make, limit, budget, answers, status, rows, state)
}
for several, group in itertools.groupby(GIVEN, lambda word: word != ","):
    if several:
        what, *arguments = group
        DO[what](*arguments)
