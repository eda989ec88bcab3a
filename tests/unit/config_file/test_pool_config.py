"""Pools of a configuration: what they become, and what is wrong with them, with its path."""

import datetime
from typing import Any

import pytest
import yaml

import proxy
from proxy.config_file import doubts
from proxy.config_file.by_hand import check, document_of
from proxy.config_file.faults import ConfigError
from proxy.config_file.load import config_from, parse_config

TEXT = """
upstreams:
  a: {base_url: "https://a.example", auth: {scheme: bearer, key: one}}
  b: {base_url: "https://b.example", counts_tokens: false}
  c: {base_url: "https://c.example", model_ids: {"claude-*": "eu.anthropic.claude-*", claude-x: y}}
pools:
  claude: {members: [{upstream: a, weight: 2}, {upstream: b}, {upstream: c, priority: 2}]}
  quick: {members: [{upstream: a}], prefer: speed, attempts: 1}
models:
  - {id: "anthropic/claude-*", upstream: claude}
  - {id: anthropic/claude-x, upstream: c}
keys: [{name: laptop, sha256: "%s"}]
"""
GOOD = TEXT % ("0" * 64)


def changed(old: str, new: str) -> Any:
    assert GOOD.count(old) == 1
    return yaml.safe_load(GOOD.replace(old, new))


def test_a_pool_is_what_the_file_says() -> None:
    config = parse_config(GOOD)
    a, b, c = proxy.Member("a", 2), proxy.Member("b"), proxy.Member("c", 1, 2)
    assert config.pools == (
        proxy.Pool("claude", (a, b, c)),
        proxy.Pool("quick", (proxy.Member("a"),), "speed", 1),
    )
    assert [each.counts_tokens for each in config.upstreams] == [True, False, True]
    assert dict(config.upstreams[2].model_ids) == {
        "claude-*": "eu.anthropic.claude-*",
        "claude-x": "y",
    }


def test_one_made_by_hand_is_that_of_its_document() -> None:
    config = parse_config(GOOD)
    check(config)
    assert config_from(document_of(config), {}) == config


FAULTS = {
    "a pool that is an upstream": (
        ("  quick:", "  b:"),
        "pools.b: an upstream has this name already",
    ),
    "an unknown member": (
        ("{upstream: c, priority: 2}", "{upstream: cc}"),
        "pools.claude.members.2.upstream: no upstream has this name; did you mean c?",
    ),
    "a member twice": (
        ("{upstream: b},", "{upstream: a},"),
        "pools.claude.members.1.upstream: this upstream is already at pools.claude.members.0.upstream",
    ),
    "no member": (("[{upstream: a}]", "[]"), "pools.quick.members: at least one is needed"),
    "a weight below 0": (
        ("weight: 2", "weight: -1"),
        "pools.claude.members.0.weight: must be a whole number from 0 to 1000",
    ),
    "a priority of 0": (
        ("priority: 2", "priority: 0"),
        "pools.claude.members.2.priority: must be a whole number from 1 to 100",
    ),
    "an unknown preference": (
        ("prefer: speed", "prefer: sped"),
        "pools.quick.prefer: must be one of cache, speed; did you mean speed?",
    ),
    "an unknown field": (
        ("attempts: 1", "attemps: 1"),
        "pools.quick.attemps: unknown field; did you mean attempts?",
    ),
    "a model of no pool": (
        ('"anthropic/claude-*", upstream: claude', '"anthropic/claude-*", upstream: claud'),
        "models.0.upstream: no upstream or pool has this name; did you mean claude?",
    ),
    "a model that no member serves": (
        ("id: anthropic/claude-x", "id: anthropic/gemini"),
        "models.1.upstream: gemini is in no model_ids there",
    ),
    "a star for nothing": (
        ("claude-x: y", "claude-x: y-*"),
        "upstreams.c.model_ids.claude-x: * stands for what a * of the native id matched",
    ),
    "another dialect without its ids": (
        (
            '"https://b.example", ',
            '"https://b.example", dialect: vertex, auth: {scheme: bearer, key: t}, ',
        ),
        "upstreams.b.model_ids: missing, and required with dialect vertex",
    ),
    "another dialect with another credential": (
        (
            '"https://c.example", ',
            '"https://c.example", dialect: vertex, auth: {scheme: x-api-key, key: t}, ',
        ),
        "upstreams.c.auth.scheme: must be bearer with dialect vertex",
    ),
    "another dialect without a credential": (
        ('"https://c.example", ', '"https://c.example", dialect: vertex, '),
        "upstreams.c.auth.scheme: must be bearer with dialect vertex",
    ),
    "no dialect": (
        ('"https://c.example", ', '"https://c.example", dialect: vertx, '),
        "upstreams.c.dialect: must be one of messages, vertex; did you mean vertex?",
    ),
    "two stars": (
        ("claude-x: y", "claude-x: '**'"),
        "upstreams.c.model_ids.claude-x: must be the id there, with at most one *",
    ),
}


@pytest.mark.parametrize(("change", "fault"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_is_told_with_its_path(change: tuple[str, str], fault: str) -> None:
    with pytest.raises(ConfigError) as raised:
        config_from(changed(*change), {})
    assert str(raised.value) == fault


def test_what_is_probably_not_meant_is_a_warning() -> None:
    document = changed(
        '{base_url: "https://b.example", counts_tokens: false}',
        '{base_url: "https://a.example", auth: {scheme: bearer, key: one}}',
    )
    now = datetime.datetime.now(datetime.UTC)
    found = [str(each) for each in doubts.about(document, config_from(document, {}), now)]
    assert found == [
        "pools.quick: no model is served there",
        (
            "pools.claude.members.1: b is the same account as a: it has the same limits and caches, "
            "so nothing is won by asking it, too"
        ),
    ]
