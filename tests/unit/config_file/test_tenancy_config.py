"""Stores, limits, budgets and prices in the configuration: what arrives, and what is refused."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config import Admin, AdminKey, Budgets, Config, Owner, RateLimits, Redis, Store
from proxy.config_file import price_faults, quotas
from proxy.config_file.faults import ConfigError
from proxy.config_file.load import config_from
from proxy.store.engine import open_engine

FOLDER = Path("/etc/anyrouter")
STORE = {"url": "sqlite:///var/x.db"}
GUESSED = "a" * 32
BROUGHT = "`make install` brings it, or"


def _document(**more: Any) -> dict[str, Any]:
    return {
        "upstreams": {"a": {"base_url": "http://127.0.0.1:9"}},
        "models": [{"id": "anthropic/*", "upstream": "a"}],
        **more,
    }


def _read(**more: Any) -> Config:
    return config_from(_document(**more), {}, FOLDER)


def _refused(**more: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        _read(**more)
    return str(raised.value)


def _key(**more: Any) -> dict[str, Any]:
    return {"name": "laptop", "sha256": "0" * 64, **more}


def test_everything_arrives() -> None:
    config = _read(
        store=STORE | {"state_dir": "/var/lib/anyrouter"},
        redis={"url": "redis://cache:6379/0"},
        quota={
            "global": {"limits": {"max_in_flight": 200}, "budgets": {"month_usd": 5000}},
            "each_key": {"budgets": {"day_usd": "0.05", "fail": "closed"}},
            "contact": "Ask #ai.",
        },
        owners=[{"name": "team-a", "limits": {"input_tokens_per_minute": 9, "shadow": True}}],
        keys=[_key(owner="team-a", budgets={"day_usd": 0.1}, tags={"room": "12"}, disabled=True)],
        prices={"multiplier": 1.1, "upstreams": {"a": 1.05}},
        admin={"keys": [{"name": "ops", "sha256": "1" * 64, "role": "write"}]},
    )
    assert config.store == Store("sqlite:////etc/anyrouter/var/x.db", "/var/lib/anyrouter")
    assert config.redis == Redis("redis://cache:6379/0")
    quota = config.quota
    assert quota.global_limits == RateLimits(max_in_flight=200)
    assert quota.global_budgets == Budgets(month_micros=5_000_000_000)
    assert quota.each_key_budgets == Budgets(day_micros=50_000, fail="closed")
    assert quota.contact == "Ask #ai."
    assert config.owners == (Owner("team-a", RateLimits(input_tokens_per_minute=9, shadow=True)),)
    (key,) = config.keys
    assert (key.owner, key.limits, key.budgets) == ("team-a", None, Budgets(day_micros=100_000))
    assert (key.tags, key.disabled) == ({"room": "12"}, True)
    assert config.prices.multiplier == Fraction(11, 10)
    assert config.prices.upstreams == {"a": Fraction(21, 20)}
    assert config.admin == Admin(keys=(AdminKey("ops", "1" * 64, "write"),))


RATES = {"input": 1, "output": 5, "cache_write_5m": 1.25, "cache_write_1h": 2, "cache_read": 0.1}


def test_a_price_file_is_relative_to_the_configuration_and_read_with_it(tmp_path: Path) -> None:
    prices = {"version": "1", "unknown": RATES, "web_search_per_1000": 10, "models": []}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(prices), "utf-8")
    config = config_from(_document(prices={"file": "p.yaml"}), {}, tmp_path)
    assert config.prices.file == str(tmp_path / "p.yaml")
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({**prices, "unknown": {}}), "utf-8")
    with pytest.raises(ConfigError, match=r"prices\.file: unknown\.input: is missing"):
        config_from(_document(prices={"file": "p.yaml"}), {}, tmp_path)


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ({"file": "none.yaml"}, "prices.file: No such file or directory"),
        (
            {"overrides": [{"id": "x", **RATES}, {"id": "y", **RATES, "input": 0.0001}]},
            "prices.overrides.1.input: has more than 3 digits behind the point",
        ),
        ({"multiplier": 1001}, "prices.multiplier: must be between 0 and 1000"),
    ],
)
def test_prices_that_cannot_be_used_are_told_by_the_field_they_stand_in(
    prices: dict[str, Any], said: str
) -> None:
    assert _refused(prices=prices).startswith(said)


def test_models_without_a_price_are_told_when_costs_are_kept() -> None:
    models = [
        {"id": "anthropic/claude-opus-5.5", "upstream": "a"},
        {"id": "anthropic/deep", "upstream": "a", "upstream_model": "deepseek-chat"},
        {"id": "anthropic/*", "upstream": "a"},
    ]
    unpriced = [
        "models.1: deepseek-chat has no price: charged as unknown@2026-11-20; add a row to prices.overrides"
    ]
    own = {"overrides": [{"id": "deepseek-*", **RATES}]}

    def told(**more: Any) -> list[str]:
        return [str(each) for each in price_faults.without_price(_read(models=models, **more))]

    assert told(store=STORE) == unpriced
    assert told(prices={"multiplier": 2}) == unpriced
    assert told(store=STORE, prices=own) == []
    assert told() == []


@pytest.mark.parametrize("absent", [{}, {"store": None, "redis": None, "admin": None}])
def test_nothing_is_on_unless_it_is_configured(absent: dict[str, Any]) -> None:
    config = _read(**absent)
    assert (config.store, config.redis, config.admin) == (None, None, None)
    assert not config.quota.global_limits
    assert not config.quota.each_key_budgets


@pytest.mark.parametrize(
    ("amount", "micros"),
    [(0, 0), ("0", 0), ("5.00", 5_000_000), (0.1, 100_000), ("0.000001", 1), (3, 3_000_000)],
)
def test_an_amount_is_read_as_it_is_written(amount: float | str, micros: int) -> None:
    (key,) = _read(keys=[_key(budgets={"day_usd": amount})], store=STORE).keys
    assert key.budgets == Budgets(day_micros=micros)


def test_a_reference_may_give_a_limit() -> None:
    document = _document(keys=[_key(limits={"requests_per_minute": "${RPM}"})])
    (key,) = config_from(document, {"RPM": "60"}, FOLDER).keys
    assert key.limits == RateLimits(requests_per_minute=60)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"keys": [_key(limits={"requests_per_minute": 0})]}, "keys.0.limits.requests_per_minute: "),
    ({"keys": [_key(budgets={"day_usd": -1})], "store": STORE}, "keys.0.budgets.day_usd: "),
    ({"keys": [_key(budgets={"day_usd": "1e3"})], "store": STORE}, "keys.0.budgets.day_usd: "),
    (
        {"keys": [_key(budgets={"day_usd": 1e-7})], "store": STORE},
        "keys.0.budgets.day_usd: must have six decimals at the most",
    ),
    (
        {"keys": [_key(budgets={"day_usd": 1})]},
        "keys.0.budgets: needs a store, which knows what was spent",
    ),
    (
        {"quota": {"each_key": {"budgets": {"day_usd": 1}}}},
        "quota.each_key.budgets: needs a store, which knows what was spent",
    ),
    (
        {"listen": {"workers": 2}, "keys": [_key(limits={"max_in_flight": 2})]},
        "listen.workers: with more than one, keys.0.limits needs redis: each would count for itself",
    ),
    (
        {"owners": [{"name": "team-a"}], "keys": [_key(owner="teem-a")]},
        "keys.0.owner: no owner has this name; did you mean team-a?",
    ),
    ({"keys": [_key(owner="x")]}, "keys.0.owner: no owner has this name"),
    (
        {"owners": [{"name": "a"}, {"name": "a"}]},
        "owners.1.name: this name is already at owners.0",
    ),
    ({"store": {"url": "mysql://h/d"}}, "store.url: must be sqlite:///PATH or postgresql://"),
    ({"prices": {"upstreams": {"b": 1}}}, "prices.upstreams.b: no upstream has this name"),
    (
        {"admin": {"port": 8080, "keys": [{"name": "a", "sha256": "0" * 64}]}},
        "admin.port: must be another than listen.port",
    ),
    (
        {"admin": {"keys": [{"name": "a", "key": "ara-short"}]}},
        "admin.keys.0.key: must be at least 32 characters",
    ),
    (
        {"admin": {"keys": [{"name": "a", "key": GUESSED}]}},
        "admin.keys.0.key: too easy to guess: it has too few different characters",
    ),
    (
        {"admin": {"keys": [{"name": "a", "sha256": "0" * 64}, {"name": "a", "sha256": "1" * 64}]}},
        "admin.keys.1.name: this name is already at admin.keys.0",
    ),
]


@pytest.mark.parametrize(("more", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_cannot_be_is_refused_with_its_path(more: dict[str, Any], message: str) -> None:
    refused = _refused(**more)
    assert refused.startswith(message)
    assert "\n" not in refused
    assert GUESSED not in refused


@pytest.mark.parametrize(
    ("more", "module", "message"),
    [
        (
            {"store": {"url": "postgresql://u:p@h/d"}},
            "psycopg",
            f"store.url: needs the extra postgres: {BROUGHT} `pip install '.[postgres]'` in a checkout",
        ),
        (
            {"redis": {"url": "redis://h"}},
            "redis",
            f"redis: needs the extra redis: {BROUGHT} `pip install '.[redis]'` in a checkout",
        ),
    ],
)
def test_a_server_whose_extra_is_missing_is_refused_with_the_line_to_type(
    more: dict[str, Any], module: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "_is_installed", lambda name: name != module)
    assert _refused(**more) == message


PORTS = {
    "postgresql://u:p@h:x/d": False,
    "postgresql://u:p@h:0/d": False,
    "postgresql://u:p@h:65536/d": False,
    "postgresql://u:p@[::1]:5x/d": False,
    "postgresql://u:p@h:5432/d": True,
    "postgresql://u:p@[::1]/d": True,
    "postgresql://u:p@[::1]:5432/d": True,
    "postgresql://u:pa/s?s#:w@h/d": True,
    "postgresql://h/d?host=/run:x": True,
    "postgresql:///d": True,
    "sqlite:////a:b/c:d.db": True,
}


@pytest.mark.parametrize(("url", "is_good"), PORTS.items(), ids=PORTS)
def test_the_port_of_a_store_is_one(url: str, *, is_good: bool) -> None:
    if is_good:
        config = _read(store={"url": url})
        assert config.store is not None
        open_engine(config.store.url).dispose()
    else:
        said = "store.url: needs a port from 1 to 65535, if it has one"
        assert _refused(store={"url": url}) == said
        if "x" in url:
            with pytest.raises(ValueError, match=r"store\.url: not the URL of a database"):
                open_engine(url)


def test_the_port_of_redis_is_one() -> None:
    assert _refused(redis={"url": "redis://:p@h:x/0"}).startswith("redis.url: needs a port")


def test_no_repr_shows_the_password_of_a_server() -> None:
    config = _read(
        store={"url": "postgresql://u:canary@h/d"}, redis={"url": "redis://:canary@h:1/0"}
    )
    assert "canary" not in repr(config)
