"""A configuration made by hand is checked as a file is."""

import dataclasses
import datetime
from fractions import Fraction
from typing import Any

import pytest
import yaml

import proxy
from proxy.config_file.by_hand import check, document_of
from proxy.config_file.faults import ConfigError
from proxy.config_file.load import config_from, load_config
from tests.docs.snippets import ROOT

GOOD = proxy.Config(
    upstreams=(
        proxy.Upstream("api", "https://api.anthropic.com", proxy.Auth("x-api-key", "sk-x")),
    ),
    models=(proxy.Model("anthropic/*", "api"),),
    keys=(proxy.Key("laptop", "0" * 64),),
)
FULL = dataclasses.replace(
    GOOD,
    upstreams=(
        *GOOD.upstreams,
        proxy.Upstream("b", "http://127.0.0.1:9", headers=(("x-a", "1"), ("x-b", None))),
    ),
    models=(
        *GOOD.models,
        proxy.Model("anthropic/m", "b", "m", "M", aliases=("m2",), capabilities={"vision": True}),
    ),
    keys=(
        proxy.Key(
            "old",
            "1" * 64,
            ("anthropic/m",),
            datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC),
            owner="team-a",
            limits=proxy.RateLimits(requests_per_minute=60),
            budgets=proxy.Budgets(day_micros=5_500_000),
            tags={"room": "12"},
        ),
    ),
    listen=proxy.Listen(("127.0.0.1", "::1"), 0, "/llm"),
    anthropic_versions=frozenset({"2023-06-01"}),
    log=proxy.Log(level="warning", probes=True),
    store=proxy.Store("sqlite:////var/x.db", "/var/lib/x"),
    quota=proxy.Quota(each_key_budgets=proxy.Budgets(month_micros=1), contact="Ask."),
    owners=(proxy.Owner("team-a"),),
    prices=proxy.Prices(multiplier=Fraction(11, 10), upstreams={"b": Fraction(1, 2)}),
    admin=proxy.Admin(keys=(proxy.AdminKey("ops", "2" * 64, "write"),)),
)


@pytest.mark.parametrize("config", [GOOD, FULL], ids=["small", "full"])
def test_a_good_one_is_that_of_the_document_that_says_the_same(config: proxy.Config) -> None:
    check(config)
    document = yaml.safe_load(yaml.safe_dump(document_of(config)))
    assert config_from(document, {}) == config


@pytest.mark.parametrize("zone", [datetime.UTC, datetime.timezone(datetime.timedelta(hours=2))])
def test_a_key_may_expire_at_any_moment_of_any_zone(zone: datetime.timezone) -> None:
    at = datetime.datetime(2030, 1, 1, 12, 30, 15, 123456, tzinfo=zone)
    check(dataclasses.replace(GOOD, keys=(proxy.Key("laptop", "0" * 64, expires_at=at),)))


def test_a_moment_without_a_zone_is_refused() -> None:
    at = datetime.datetime(2030, 1, 1)  # noqa: DTZ001 - the mistake
    with pytest.raises(ConfigError, match="expires_at"):
        check(dataclasses.replace(GOOD, keys=(proxy.Key("laptop", "0" * 64, expires_at=at),)))


def test_what_was_read_from_a_file_is_good() -> None:
    check(load_config(ROOT / "config.yaml", {"ANTHROPIC_API_KEY": "sk-x"}))


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a price file that is not there": (
        {"prices": proxy.Prices(file="/nowhere/prices.yaml")},
        "prices.file: No such file",
    ),
    "a model of no upstream": (
        {"models": (proxy.Model("anthropic/*", "apj"),)},
        "models.0.upstream: no upstream has this name; did you mean api?",
    ),
    "a key without a digest": (
        {"keys": (proxy.Key("laptop"),)},
        "keys.0.sha256: must be ",
    ),
    "two keys of one name": (
        {"keys": (proxy.Key("a", "0" * 64), proxy.Key("a", "1" * 64))},
        "keys.1.name: this name is already at keys.0.name",
    ),
    "a path of the API in a base URL": (
        {"upstreams": (proxy.Upstream("api", "https://api.anthropic.com/v1"),)},
        "upstreams.api.base_url: leave out /v1, the gateway adds it",
    ),
    "two upstreams of one name": (
        {"upstreams": (*GOOD.upstreams, *GOOD.upstreams)},
        "upstreams.api: this name comes twice",
    ),
    "a timeout that is none": (
        {"timeouts": proxy.Timeouts(idle_s=0)},
        "timeouts.idle_s: must be ",
    ),
    "a budget without a store": (
        {"quota": proxy.Quota(each_key_budgets=proxy.Budgets(day_micros=1))},
        "quota.each_key.budgets: needs a store",
    ),
    "no models": ({"models": ()}, "models: at least one is needed"),
}


@pytest.mark.parametrize(("changes", "fault"), FAULTS.values(), ids=FAULTS)
def test_a_bad_one_is_refused_in_the_words_of_a_file(changes: dict[str, Any], fault: str) -> None:
    config = dataclasses.replace(GOOD, **changes)
    with pytest.raises(ConfigError) as raised:
        proxy.create_app(config)
    assert str(raised.value).startswith(fault)
