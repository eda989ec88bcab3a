"""What is said of a changed configuration: what came, went and changed, never a value."""

import dataclasses
from typing import Any

import pytest

from proxy import (
    Admin,
    Auth,
    Budgets,
    Config,
    Cors,
    Key,
    Limits,
    Listen,
    Log,
    Model,
    Owner,
    Prices,
    Quota,
    RateLimits,
    Timeouts,
    Upstream,
)
from proxy.config_file import changes

BEFORE = Config(
    upstreams=(
        Upstream("acct-a", "https://a", Auth("bearer", "sk-canary")),
        Upstream("b", "https://b"),
    ),
    models=(Model("anthropic/*", "acct-a"), Model("anthropic/claude-x", "b")),
    keys=(Key("laptop", "1" * 64), Key("ci", "2" * 64)),
)
OTHER_KEY = dataclasses.replace(BEFORE.upstreams[0], auth=Auth("bearer", "sk-canary-2"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"keys": BEFORE.keys[:1]}, ["keys -1"], id="one less"),
        pytest.param(
            {"models": (*BEFORE.models, Model("anthropic/claude-y", "b"))},
            ["models +1"],
            id="one more",
        ),
        pytest.param(
            {"keys": (Key("phone", "3" * 64), BEFORE.keys[0])}, ["keys +1 -1"], id="one for another"
        ),
        pytest.param(
            {"upstreams": (OTHER_KEY, BEFORE.upstreams[1])},
            ["upstreams.acct-a.auth changed"],
            id="a credential",
        ),
        pytest.param(
            {"keys": (dataclasses.replace(BEFORE.keys[0], disabled=True), BEFORE.keys[1])},
            ["keys.laptop.disabled changed"],
            id="a field of a key",
        ),
        pytest.param(
            {
                "models": (
                    BEFORE.models[0],
                    dataclasses.replace(BEFORE.models[1], aliases=("claude-z",)),
                )
            },
            ["models.anthropic/claude-x.aliases changed"],
            id="a field of a model",
        ),
        pytest.param({"models": BEFORE.models[::-1]}, ["models in another order"], id="order"),
        pytest.param(
            {"timeouts": Timeouts(idle_s=5, drain_s=6), "echo_model": False},
            ["timeouts.idle_s changed", "timeouts.drain_s changed", "echo_model changed"],
            id="settings",
        ),
    ],
)
def test_each_change_is_told_by_its_name(given: dict[str, Any], told: list[str]) -> None:
    assert changes.between(BEFORE, dataclasses.replace(BEFORE, **given)) == told


def test_of_many_changes_the_first_are_told_and_the_rest_counted() -> None:
    others = tuple(dataclasses.replace(each, tags={"a": "b"}) for each in _keys())
    said = changes.describe(
        changes.between(
            dataclasses.replace(BEFORE, keys=_keys()), dataclasses.replace(BEFORE, keys=others)
        )
    )
    assert said.startswith("keys.k0.tags changed, keys.k1.tags changed")
    assert said.endswith(" and 28 more")


def _keys() -> tuple[Key, ...]:
    return tuple(Key(f"k{i}", f"{i:064x}") for i in range(40))


@pytest.mark.parametrize(
    "fixed",
    [
        {"listen": Listen(port=9)},
        {"limits": Limits(max_connections=9)},
        {"log": Log(format="json")},
        {"timeouts": Timeouts(keepalive_s=9)},
        {"cors": Cors(("https://a",))},
        {"admin": Admin()},
    ],
    ids=lambda given: next(iter(given)),
)
def test_what_is_made_once_stays_until_a_restart(fixed: dict[str, Any]) -> None:
    wanted = dataclasses.replace(BEFORE, echo_model=False, **fixed)
    running = changes.without_restart(BEFORE, wanted)
    assert changes.between(BEFORE, running) == ["echo_model changed"]
    assert len(changes.between(running, wanted)) == 1


LIMITS = RateLimits(requests_per_minute=1)
BUDGETS = Budgets(day_micros=1)


@pytest.mark.parametrize(
    "limited",
    [
        {"keys": (dataclasses.replace(BEFORE.keys[0], limits=LIMITS), BEFORE.keys[1])},
        {"keys": (*BEFORE.keys, Key("new", "3" * 64, budgets=BUDGETS))},
        {
            "keys": (*BEFORE.keys, Key("new", "3" * 64, owner="team")),
            "owners": (Owner("team", limits=LIMITS),),
        },
        {
            "keys": (*BEFORE.keys, Key("new", "3" * 64)),
            "quota": Quota(each_key_limits=LIMITS),
        },
        {"prices": Prices(file="other.json")},
    ],
    ids=["known key", "new key", "new key of a limited owner", "new key among limited", "prices"],
)
def test_limits_and_prices_wait_for_a_restart_and_so_does_a_new_key_that_is_to_have_them(
    limited: dict[str, Any],
) -> None:
    wanted = dataclasses.replace(BEFORE, echo_model=False, **limited)
    served = changes.without_limits(BEFORE, wanted)
    assert served.keys == BEFORE.keys
    assert (served.quota, served.prices) == (BEFORE.quota, BEFORE.prices)
    assert not any(owner.limits or owner.budgets for owner in served.owners)
    assert not served.echo_model
    assert changes.between(served, wanted)
