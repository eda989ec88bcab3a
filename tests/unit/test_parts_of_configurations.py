"""`anyrouter check` tells the parts of a configuration in a line each, and no secret."""

from fractions import Fraction

import pytest

from proxy.commands.parts import counted_models, parts
from proxy.config import (
    Admin,
    AdminKey,
    Budgets,
    Config,
    Listen,
    Model,
    Prices,
    Quota,
    RateLimits,
    Redis,
    Store,
    Upstream,
)
from proxy.money import price_file

CONFIG = Config(
    upstreams=(Upstream("a", "https://h"),),
    models=(Model("anthropic/*", "a"),),
    listen=Listen(("10.0.0.1", "::1"), 9000, "/api", 2),
    store=Store("postgresql://me:secret@db/x?password=secret", "/state"),
    redis=Redis("redis://:secret@cache:6379/0"),
    quota=Quota(
        global_limits=RateLimits(max_in_flight=200),
        global_budgets=Budgets(month_micros=5_000_000_000),
        each_key_budgets=Budgets(day_micros=20_000_000),
    ),
    prices=Prices(multiplier=Fraction(11, 10), upstreams={"a": Fraction(2)}),
    admin=Admin("10.0.0.1", 8081, (AdminKey("ops", "0" * 64),)),
)


def test_all_there_is_is_told() -> None:
    assert dict(parts(CONFIG)) == {
        "listen": "10.0.0.1, ::1; port 9000, below /api; 2 workers",
        "store": "postgresql://me:***@db/x; single requests kept 90 days; state_dir /state",
        "redis": "redis://cache:6379/0",
        "limits": "all together: 200 in flight, $5000.00/month; each key: $20.00/day",
        "prices": f"the shipped list, of {price_file.load().version}; times 1.1; a times 2",
        "admin": "10.0.0.1; port 8081; 1 credential",
    }


def test_no_secret_is_told() -> None:
    assert "secret" not in str(parts(CONFIG))


COUNTED = {
    "ids alone": (("a", "b"), "2 models"),
    "one of each": (("a", "a*"), "1 model and 1 wildcard"),
    "wildcards alone": (("a*", "b*"), "2 wildcards"),
    "an upstream without any": ((), "none"),
}


@pytest.mark.parametrize(("ids", "said"), COUNTED.values(), ids=COUNTED)
def test_models_are_ids_and_wildcards_are_counted_apart(ids: tuple[str, ...], said: str) -> None:
    assert counted_models(Model(each, "up") for each in ids) == said
