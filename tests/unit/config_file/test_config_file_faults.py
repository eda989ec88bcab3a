"""Documents that are refused as a whole, of another kind or no YAML; all faults at once, and no secret shown."""

import functools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy import schema_files
from proxy.access.keys import digest
from proxy.config_file.faults import ConfigError
from proxy.config_file.load import config_from, load_config, parse_config
from tests.unit.config_file.configurations import CANARY, ENVIRON, changed, document
from tests.unit.config_file.refusals_of_files import TOP, refused


def patterned(rule: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return where a schema has a pattern; what a name must not be is told otherwise."""
    if isinstance(rule, dict):
        here = [path] if isinstance(rule.get("pattern"), str) and path[-1] != "not" else []
        return sum((patterned(each, (*path, name)) for name, each in rule.items()), here)
    return []


def rule_at(path: tuple[str, ...]) -> Any:
    return functools.reduce(lambda rule, step: rule[step], path, schema_files.load("config"))


PATTERNED = patterned(schema_files.load("config"))


def refused_text(text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        parse_config(text, ENVIRON)
    return str(raised.value)


MODEL = {"upstream": "a"}
DOUBLES: list[tuple[str, Any, str]] = [
    (
        "models",
        [{"id": "anthropic/m-4.5", **MODEL}, {"id": "anthropic/m-4-5", **MODEL}],
        "models.1.id: this id is already at models.0.id",
    ),
    (
        "models",
        [{"id": "anthropic/m-4.*", **MODEL}, {"id": "anthropic/m-4-*", **MODEL}],
        "models.1.id: this id is already at models.0.id",
    ),
    (
        "models",
        [
            {"id": "anthropic/claude-m", **MODEL},
            {"id": "anthropic/n", "aliases": ["n", "claude-m[1m]"], **MODEL},
        ],
        "models.1.aliases.1: this id is already at models.0.id",
    ),
    (
        "keys",
        [{"name": "a", "key": CANARY}, {"name": "a", "key": CANARY + "x"}],
        "keys.1.name: this name is already at keys.0.name",
    ),
    (
        "keys",
        [{"name": "a", "key": CANARY}, {"name": "b", "sha256": digest(CANARY)}],
        "keys.1: the same key is already at keys.0",
    ),
]


@pytest.mark.parametrize(("path", "value", "message"), DOUBLES)
def test_what_must_be_alone_is_refused_when_it_comes_twice(
    path: str, value: Any, message: str
) -> None:
    assert refused(changed(path, value)) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "line 1: not YAML: expected the node content, but found '<stream end>'"),
        ("a: b: c", "line 1: not YAML: mapping values are not allowed here"),
        ("x: &a [*a]", "line 1: not YAML: found unconstructable recursive node"),
        ("? [a]\n: 1", "line 1: not YAML: found unhashable key"),
        ("x: !!int abc", "file: not YAML: a value is not what its tag says"),
        ("[" * 5000, "file: nested too deep"),
        (
            "log:\n\tlevel: info",
            "line 2: not YAML: found character '\\t' that cannot start any token; lines are indented by spaces",
        ),
        (
            "",
            "file: must be a mapping; it is nothing: `anyrouter init --config FILE` writes an example to begin with",
        ),
        (
            "# listen: {}",
            "file: must be a mapping; it is nothing: `anyrouter init --config FILE` writes an example to begin with",
        ),
    ],
    ids=repr,
)
def test_what_is_no_yaml_is_refused_with_its_line(text: str, message: str) -> None:
    assert refused_text(text) == message


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("log: {}\nlog: {}", ["log: written twice; the second time in line 2"]),
        (
            "timeouts:\n  idle_s: 1\n  drain_s: 2\n  idle_s: 3",
            ["idle_s: written twice; the second time in line 4"],
        ),
        (
            "yes: 1\ntrue: 2",
            [
                "True: written twice; the second time in line 2",
                "True: a name must be text; put it in quotes",
            ],
        ),
        (
            '"a\\nb": 1\n"a\\nb": 2',
            [
                "(a name not shown here): written twice; the second time in line 2",
                f"(a name not shown here): unknown field; known here: {TOP}",
            ],
        ),
        (
            "log: {level: loud}\nlog: {format: xml}\nlog: {}\nlisten: {port: x}",
            [
                "log: written twice; the second time in line 2",
                "log: written twice; the second time in line 3",
                "listen.port: must be a whole number from 0 to 65535; it is text",
            ],
        ),
    ],
    ids=["top", "inside", "no text", "not shown", "beside other faults"],
)
def test_a_key_that_is_written_twice_is_refused_beside_whatever_else_is_wrong(
    text: str, lines: list[str]
) -> None:
    assert refused_text(f"{text}\n{yaml.safe_dump(document())}").splitlines() == lines


@pytest.mark.parametrize("text", ["a: \0", "x: !!python/object:os.system []", "x: " + "9" * 5000])
def test_no_text_is_refused_in_more_than_a_line(text: str) -> None:
    assert re.fullmatch(r"(file|line \d+): not YAML: [^\n]+", refused_text(text))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin1.yaml").write_bytes(b"a: \xe9")
    for name, said in (("none.yaml", "No such file or directory"), ("latin1.yaml", "not UTF-8")):
        with pytest.raises(ConfigError) as raised:
            load_config(tmp_path / name)
        assert str(raised.value) == f"{tmp_path / name}: {said}"


def test_the_document_the_others_are_changed_from_is_good() -> None:
    assert config_from(document(), {}).models[0].id == "anthropic/*"


def test_all_faults_are_told_at_once_each_on_a_line() -> None:
    text = """
listen: {prot: 1, host: [], base_path: api}
timeouts: {idle_s: 0, drain_s: soon}
upstreams:
  a: {base_url: "https://h.example/v1", auth: {scheme: beerer, key: "${UNSET}"}}
  b: {base_url: "${file:none}"}
models:
  - {id: "anthropic/*", upstream: c, aliases: ["${UNSET}"]}
  - {id: "anthropic/m", upstream: a}
  - {id: "anthropic/M", upstream: a}
  - {id: "anthropic/m", upstream: a, created_at: 2026-13-01T00:00:00Z}
keys:
  - {name: x y, sha256: none}
  - {name: k, key: "${SECRET}"}
  - {name: k, key: "${SECRET}"}
"""
    assert refused_text(text).splitlines() == [
        "upstreams.a.auth.key: environment variable UNSET is not set; export UNSET=... before the start",
        "upstreams.b.base_url: none: No such file or directory",
        "models.0.aliases.0: environment variable UNSET is not set; export UNSET=... before the start",
        "listen.prot: unknown field; did you mean port?",
        "listen.host: at least one is needed",
        (
            "listen.base_path: must be a path such as /api, of letters, digits and . _ ~ -, "
            "without a slash at its end"
        ),
        "upstreams.a.auth.scheme: must be one of x-api-key, bearer, none; did you mean bearer?",
        "keys.0.name: must be a name of 1 to 100 characters without spaces",
        "keys.0.sha256: must be the 64 hex digits, in lower case, that `anyrouter keys new` prints",
        "timeouts.idle_s: must be a number from 1 to 86400",
        "timeouts.drain_s: must be a number from 1 to 86400; it is text",
        "upstreams.a.base_url: leave out /v1, the gateway adds it",
        "models.0.upstream: no upstream has this name; known: a, b",
        "models.0.aliases: a wildcard entry can have none; leave it out",
        "models.3.created_at: there is no such day or time",
        "models.3.id: this id is already at models.1.id",
        "keys.2.name: this name is already at keys.1.name",
        "keys.2: the same key is already at keys.1",
    ]


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("time_outs: {}", "time_outs: unknown field; did you mean timeouts?"),
        ("port: 8080", "port: unknown field; did you mean listen.port or admin.port?"),
        ("Listen: {}", "Listen: unknown field; did you mean listen?"),
        ("log: {levle: info}", "log.levle: unknown field; did you mean level?"),
        (
            "log: {level: warn}",
            "log.level: must be one of debug, info, warning, error; did you mean warning?",
        ),
        ("timeouts: {idle: 9}", "timeouts.idle: unknown field; did you mean idle_s?"),
        ("log: {level: $HOSTS}", "log.level: must be one of debug, info, warning, error"),
        (
            "listen: {host: '${HOSTS}'}",
            "listen.host: environment variable HOSTS is not set; did you mean HOST?",
        ),
    ],
)
def test_what_was_probably_meant_is_suggested(text: str, near: str) -> None:
    said = refused_text(f"{yaml.safe_dump(document())}{text}")
    assert said == near


SECRETS = {
    "a value of a wrong kind": f"listen: {{port: {CANARY}}}",
    "a list of them": f"listen: {{port: [{CANARY}]}}",
    "an unknown field's value": f"api_key: {CANARY}",
    "an alias of a secret": f"x: &s {CANARY}\nlisten: {{port: *s, base_path: *s}}\nlog: {{level: *s}}",
    "a secret from the environment": "listen: {port: '${SECRET}'}\nlog: {level: '${SECRET}'}",
    "a part of one": "listen: {base_path: 'x ${SECRET}'}\nanthropic_versions: ['${SECRET}']",
    "a secret where a name is meant": f"listen: {{{CANARY}}}\nlog: {{sk-ant-canary-1}}",
    "a secret as a name, by an alias": f"x: &s {CANARY}\nlisten: {{*s : 1}}",
    "a long secret as a name": "listen: {canary0123456789abcdef}",
    "a secret as a name, twice": f"{CANARY}: 1\n{CANARY}: 2",
    "a secret as a variable": "listen: {host: '${sk-ant-canary-1}'}",
    "a secret as a variable that could be one": "listen: {host: '${canary0123456789abcdef}'}",
    "a secret with a tag": f"listen: {{port: !!int {CANARY}}}",
    "a secret with an unknown tag": f"listen: {{port: !x {CANARY}}}",
    "a secret that ends the YAML": f"listen: {{host: '{CANARY}",
    "a secret in a time": f"keys: [{{name: {CANARY} x, key: {CANARY} x, expires_at: {CANARY}}}]",
    "a secret in a reference": f"models: [{{id: anthropic/m, upstream: {CANARY}}}]",
    "a secret as a key's model": f"keys: [{{name: a, key: ar-1234567, models: [{CANARY}]}}]",
    "secrets as ids": f"models: [{{id: anthropic/m, upstream: a, aliases: [{CANARY}, {CANARY}]}}]",
    "a secret in a URL": f"upstreams: {{a: {{base_url: 'https://u:{CANARY}@h', headers: {{{CANARY}}}}}}}",
    "a secret as a port": f"upstreams: {{a: {{base_url: 'https://h:{CANARY}'}}}}",
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_no_value_is_ever_shown(text: str) -> None:
    given = document()
    for line in text.splitlines():
        given.pop(line.partition(":")[0], None)
    assert "canary" not in refused_text(f"{yaml.safe_dump(given)}{text}\n")


@pytest.mark.parametrize("path", PATTERNED, ids=map(str, PATTERNED))
def test_every_pattern_is_put_in_words(path: tuple[str, ...]) -> None:
    rule = rule_at(path)
    assert rule["x-expected"]
    assert not set("^$\\[") & set(rule["x-expected"].replace('["2023-06-01"]', ""))
