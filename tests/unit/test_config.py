"""The configuration model: its defaults are the schema's, and it shows no secret."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy import schema_files
from proxy.config import (
    Admin,
    AdminKey,
    Alerts,
    Auth,
    Budgets,
    Config,
    Cors,
    Drop,
    Key,
    Limits,
    Listen,
    Log,
    Model,
    Otel,
    Prices,
    Quota,
    RateLimits,
    Receiver,
    Redis,
    Reload,
    Store,
    Timeouts,
    Upstream,
)
from proxy.config_file.load import load_config

WHOLE = schema_files.load("config")
SCHEMA = WHOLE["properties"]
UPSTREAM = SCHEMA["upstreams"]["additionalProperties"]["properties"]
SHIPPED = Path(__file__).parents[2] / "config.yaml"
SECTIONS: dict[str, Any] = {
    "listen": Listen(),
    "limits": Limits(),
    "timeouts": Timeouts(),
    "cors": Cors(),
    "log": Log(),
    "reload": Reload(),
}
CONFIG = Config(
    upstreams=(Upstream("a", "https://h", Auth("bearer", "sk-canary"), (("x", "canary"),)),),
    models=(Model("anthropic/*", "a"),),
)


@pytest.mark.parametrize("name", SECTIONS)
def test_the_defaults_of_a_section_are_the_schemas(name: str) -> None:
    described = {field: rule["default"] for field, rule in SCHEMA[name]["properties"].items()}
    assert _lists(dataclasses.asdict(SECTIONS[name])) == described


def _lists(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in fields.items()}


@pytest.mark.parametrize(
    ("rules", "value"),
    [
        (SCHEMA["models"]["items"]["properties"], Model("i", "u")),
        (SCHEMA["keys"]["items"]["properties"], Key("n", "s")),
        (UPSTREAM, Upstream("n", "b")),
        (UPSTREAM["auth"]["properties"], Auth()),
        (UPSTREAM["drop"]["properties"], Drop()),
        (SCHEMA["store"]["properties"], Store("u")),
        (SCHEMA["redis"]["properties"], Redis("u")),
        (SCHEMA["quota"]["properties"], Quota()),
        (SCHEMA["prices"]["properties"], Prices()),
        (SCHEMA["admin"]["properties"], Admin()),
        (SCHEMA["admin"]["properties"]["keys"]["items"]["properties"], AdminKey("n", "s")),
        (SCHEMA["alerts"]["properties"]["to"]["items"]["properties"], Receiver("u")),
        (SCHEMA["otel"]["properties"], Otel()),
        (WHOLE["$defs"]["rate-limits"]["properties"], RateLimits()),
        (WHOLE["$defs"]["budgets"]["properties"], Budgets()),
    ],
    ids=[
        *(
            "model",
            "key",
            "upstream",
            "auth",
            "drop",
            "store",
            "redis",
            "quota",
            "prices",
            "admin",
            "admin key",
            "receiver",
            "otel",
        ),
        *("limits", "budgets"),
    ],
)
def test_the_defaults_of_an_entry_are_the_schemas(rules: dict[str, Any], value: Any) -> None:
    given = dataclasses.asdict(value)
    for name, rule in rules.items():
        if "default" not in rule:
            continue
        default = rule["default"]
        ours = given[name]
        if isinstance(default, dict):
            # What it leaves out is an entry of its own.
            ours = {key: each for key, each in dict(ours).items() if key in default}
        assert ours == (tuple(default) if isinstance(default, list) else default)


def test_the_defaults_of_the_whole_are_the_schemas() -> None:
    assert CONFIG.keys == tuple(SCHEMA["keys"]["default"])
    assert CONFIG.echo_model is SCHEMA["echo_model"]["default"]
    assert CONFIG.early_head is SCHEMA["early_head"]["default"]
    assert SCHEMA["anthropic_versions"]["default"] == "any"
    assert CONFIG.anthropic_versions is None
    assert CONFIG.owners == tuple(SCHEMA["owners"]["default"])
    for name, section in SECTIONS.items():
        assert getattr(CONFIG, name) == section
    assert (CONFIG.store, CONFIG.redis, CONFIG.admin) == (None, None, None)
    assert (CONFIG.quota, CONFIG.prices) == (Quota(), Prices())
    usd = SCHEMA["alerts"]["properties"]["session_usd_in_10_min"]["default"]
    assert CONFIG.alerts == Alerts((), usd * 1_000_000)
    assert CONFIG.otel is SCHEMA["otel"]["default"]


def test_the_shipped_file_is_valid_and_says_nothing_but_the_defaults() -> None:
    config = load_config(SHIPPED, {"ANTHROPIC_API_KEY": "sk-canary"})
    plain = dataclasses.replace(CONFIG, upstreams=config.upstreams, models=config.models)
    assert config == plain
    assert [upstream.name for upstream in config.upstreams] == ["anthropic"]
    assert config.upstreams[0].auth == Auth("x-api-key", "sk-canary")


def test_each_family_of_the_shipped_file_is_an_alias_of_its_newest() -> None:
    models = load_config(SHIPPED, {"ANTHROPIC_API_KEY": "sk-canary"}).models
    newest: dict[str, Model] = {}
    for model in models:
        if model.line:
            newest[model.line] = max(newest.get(model.line, model), model, key=_version)
    assert {"opus", "sonnet", "haiku"} <= set(newest)
    assert {alias: model.id for model in models for alias in model.aliases} == {
        line: model.id for line, model in newest.items()
    }


def _version(model: Model) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", model.id)]


def test_the_shipped_file_lists_every_key_that_has_a_default() -> None:
    document = yaml.safe_load(SHIPPED.read_text("utf-8"))
    assert list(document) == list(SCHEMA)
    for name in SECTIONS:
        assert document[name] == {
            field: rule["default"] for field, rule in SCHEMA[name]["properties"].items()
        }
    (upstream,) = document["upstreams"].values()
    assert list(upstream) == [
        field for field, rule in UPSTREAM.items() if field == "base_url" or "default" in rule
    ]
    assert all(f"{field}:" in SHIPPED.read_text("utf-8") for field in UPSTREAM)
    listed = {field for model in document["models"] for field in model}
    assert listed <= set(SCHEMA["models"]["items"]["properties"])
    text = SHIPPED.read_text("utf-8")
    for field in SCHEMA["models"]["items"]["properties"]:
        assert field in text
    for field in SCHEMA["keys"]["items"]["properties"]:
        assert f"{field}:" in text


def test_no_repr_shows_a_credential() -> None:
    assert "canary" not in repr(CONFIG)


def test_it_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CONFIG.echo_model = False  # type: ignore[misc] # what is tested
