"""A configuration that cannot be used is refused in one line, `path: what is wrong`, that shows no secret."""

import re
from pathlib import Path
from typing import Any

import pytest

from proxy.access.keys import digest
from proxy.config_file.document import ConfigError
from proxy.config_file.load import config_from, load_config, parse_config
from tests.unit.config_file.configurations import CANARY, ENVIRON, changed, document

TOP = "listen, upstreams, models, keys, anthropic_versions, limits, timeouts, echo_model, cors, log"


def refused(given: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        config_from(given, ENVIRON)
    return str(raised.value)


def refused_text(text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        parse_config(text, ENVIRON)
    return str(raised.value)


UNKNOWN_KEYS = [
    ("x", f"x: unknown key; known here: {TOP}"),
    ("listen.x", "listen.x: unknown key; known here: host, port, base_path, workers"),
    ("upstreams.a.x", "upstreams.a.x: unknown key; known here: base_url, auth, headers"),
    ("upstreams.a.auth.x", "upstreams.a.auth.x: unknown key; known here: scheme, key"),
    (
        "models.0.x",
        (
            "models.0.x: unknown key; known here: "
            "id, upstream, upstream_model, display_name, created_at, aliases, "
            "lifecycle, line, max_input_tokens, max_tokens, deprecated_at, retires_at, capabilities"
        ),
    ),
    ("keys.0.x", "keys.0.x: unknown key; known here: name, sha256, key, models, expires_at"),
    (
        "limits.x",
        (
            "limits.x: unknown key; known here: max_body_bytes, max_connections, "
            "max_connections_per_client"
        ),
    ),
    (
        "timeouts.x",
        (
            "timeouts.x: unknown key; known here: connect_s, first_byte_s, idle_s, ping_after_s, "
            "request_head_s, request_body_idle_s, client_idle_s, drain_s"
        ),
    ),
    ("log.x", "log.x: unknown key; known here: level, format"),
]


@pytest.mark.parametrize(("path", "message"), UNKNOWN_KEYS)
def test_an_unknown_key_is_refused_at_each_level(path: str, message: str) -> None:
    given = changed(path, 1)
    if path == "upstreams.a.auth.x":
        given["upstreams"]["a"]["auth"]["scheme"] = "none"
    assert refused(given) == message


AUTH = "upstreams.a.auth"
NAME = "[A-Za-z0-9._-]+"
OURS = "the gateway sets this header itself"
WRONG_VALUES: list[tuple[str, Any, str]] = [
    ("upstreams", ..., "file: 'upstreams' is a required property"),
    ("models", ..., "file: 'models' is a required property"),
    ("upstreams", {}, "upstreams: must satisfy minProperties 1"),
    ("upstreams", None, "upstreams: must satisfy type object"),
    ("upstreams.b c", {"base_url": "https://h"}, f"upstreams.b c: must satisfy pattern ^{NAME}$"),
    ("upstreams.a.base_url", ..., "upstreams.a: 'base_url' is a required property"),
    ("upstreams.a.base_url", "https://h:99999", "upstreams.a.base_url: no valid host and port"),
    ("upstreams.a.base_url", "https://h:0", "upstreams.a.base_url: no valid host and port"),
    ("upstreams.a.base_url", "https://h:x", "upstreams.a.base_url: no valid host and port"),
    ("upstreams.a.base_url", "https://[h", "upstreams.a.base_url: no valid host and port"),
    (AUTH, {"scheme": "bearer"}, f"{AUTH}: 'key' is a required property"),
    (AUTH, {"key": CANARY}, f"{AUTH}: 'scheme' is a required property"),
    (AUTH, {"scheme": "none", "key": CANARY}, f"{AUTH}.key: not used with scheme none"),
    (
        AUTH,
        {"scheme": CANARY, "key": "x"},
        f"{AUTH}.scheme: must satisfy enum ['x-api-key', 'bearer', 'none']",
    ),
    (
        AUTH,
        {"scheme": "bearer", "key": "${EMPTY}"},
        f"{AUTH}.key: must satisfy minLength 1",
    ),
    (
        AUTH,
        {"scheme": "bearer", "key": "${NEWLINE}"},
        rf"{AUTH}.key: must satisfy pattern ^[\x21-\x7e]+$",
    ),
    (
        "upstreams.a.headers",
        {"x": f"{CANARY}\n"},
        r"upstreams.a.headers.x: must satisfy pattern ^[\x20-\x7e]*$",
    ),
    ("upstreams.a.headers", {"x": 1}, "upstreams.a.headers.x: must satisfy type string or null"),
    *(
        (f"upstreams.a.headers.{name}", "x", f"upstreams.a.headers.{name}: {OURS}")
        for name in ("Host", "HOST", "content-length", "TRANSFER-encoding", "cOnnection")
    ),
    ("models", [], "models: must satisfy minItems 1"),
    ("models", {"key": CANARY}, "models: must satisfy type array"),
    ("models.0.upstream", "b", "models.0.upstream: no upstream named b; known: a"),
    ("models.0.upstream", ..., "models.0: 'upstream' is a required property"),
    ("models.0.id", "anthropic/", "models.0.id: 'anthropic/' is too short"),
    ("models.0.aliases", ["x"], "models.0.aliases: a wildcard entry can have none"),
    *(
        ("keys.0.models", ["*", odd], r"keys.0.models.1: must satisfy pattern ^[^*]*\*?$")
        for odd in ("*-haiku", "claude-*-4", "**")
    ),
    *(
        ("keys.0.models", ["*", odd], f"keys.0.models.1: nothing in models matches {odd}")
        for odd in ("openai/*", "sonnet", "claude*")
    ),
    ("keys", None, "keys: must satisfy type array"),
    ("keys.0", {"key": CANARY}, "keys.0: 'name' is a required property"),
    ("keys.0", {"name": "a"}, "keys.0: needs either sha256 or key"),
    ("keys.0.sha256", "a" * 64, "keys.0: needs either sha256 or key"),
    ("keys.0.key", "sk-canary", r"keys.0.key: must satisfy pattern ^ar-[\x21-\x7e]{5,}$"),
    ("keys.0.key", "${NEWLINE}", r"keys.0.key: must satisfy pattern ^ar-[\x21-\x7e]{5,}$"),
    (
        "keys.0",
        {"name": "a", "sha256": "canary"},
        "keys.0.sha256: must satisfy pattern ^[0-9a-f]{64}$",
    ),
    ("keys.0.expires_at", "2027-02-30T00:00:00Z", "keys.0.expires_at: no such time"),
    ("listen", None, "listen: None is not of type 'object'"),
    ("listen.port", "8080", "listen.port: '8080' is not of type 'integer'"),
    ("listen.port", "${HOST}", "listen.port: 'h.example' is not of type 'integer'"),
    ("listen.port", "1${EMPTY}", "listen.port: '1' is not of type 'integer'"),
    ("listen.port", "${EMPTY}", "listen.port: '' is not of type 'integer'"),
    ("listen.port", "${YES}", "listen.port: True is not of type 'integer'"),
    ("listen.port", "${LIST}", "listen.port: '[1]' is not of type 'integer'"),
    ("timeouts.idle_s", "${NAN}", "timeouts.idle_s: must be a finite number"),
    ("listen.port", 8080.0, "listen.port: 8080.0 is not of type 'integer'"),
    ("listen.port", True, "listen.port: True is not of type 'integer'"),
    ("listen.port", 65536, "listen.port: 65536 is greater than the maximum of 65535"),
    (
        "listen.base_path",
        "/api/",
        r"listen.base_path: '/api/' does not match '^(/[A-Za-z0-9._~-]+)+$'",
    ),
    ("listen.workers", 0, "listen.workers: 0 is less than the minimum of 1"),
    ("anthropic_versions", "all", "anthropic_versions: 'any' was expected"),
    ("anthropic_versions", [], "anthropic_versions: must satisfy minItems 1"),
    (
        "anthropic_versions",
        ["2023"],
        r"anthropic_versions.0: '2023' does not match '^\\d{4}-\\d{2}-\\d{2}$'",
    ),
    ("limits.max_body_bytes", 0, "limits.max_body_bytes: 0 is less than the minimum of 1"),
    ("timeouts.idle_s", 0, "timeouts.idle_s: 0 is less than or equal to the minimum of 0"),
    ("timeouts.idle_s", float("nan"), "timeouts.idle_s: must be a finite number"),
    ("timeouts.idle_s", float("inf"), "timeouts.idle_s: must be a finite number"),
    ("timeouts.idle_s", [CANARY], "timeouts.idle_s: must satisfy type number"),
    ("echo_model", 1, "echo_model: 1 is not of type 'boolean'"),
    (
        "log.level",
        "loud",
        "log.level: 'loud' is not one of ['debug', 'info', 'warning', 'error']",
    ),
    ("listen.host", "${UNSET}", "listen.host: environment variable UNSET is not set"),
    ("models.0.aliases", ["${UNSET}"], "models.0.aliases.0: environment variable UNSET is not set"),
    ("keys.0.key", "${file:/no/such}", "keys.0.key: /no/such: No such file or directory"),
    ("keys.0.key", "${file:/}", "keys.0.key: /: Is a directory"),
    ("keys.0.key", "${file:a\0b}", "keys.0.key: a\0b: not a file name"),
    ("upstreams", {1: {}}, "upstreams.1: a key must be text; put it in quotes"),
]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    WRONG_VALUES,
    ids=[f"{i}-{row[0]}" for i, row in enumerate(WRONG_VALUES)],
)
def test_a_wrong_value_is_refused_with_its_path_and_no_secret(
    path: str, value: Any, message: str
) -> None:
    said = refused(changed(path, value))
    assert said == message
    assert "\n" not in said
    assert "canary" not in said


@pytest.mark.parametrize("given", [None, [], CANARY, [{"key": CANARY}], 1], ids=repr)
def test_a_document_of_another_kind_is_refused_without_being_shown(given: Any) -> None:
    assert refused(given) == "file: must satisfy type object"


MODEL = {"upstream": "a"}
DOUBLES: list[tuple[str, Any, str]] = [
    (
        "models",
        [{"id": "anthropic/m-4.5", **MODEL}, {"id": "anthropic/m-4-5", **MODEL}],
        "models.1.id: anthropic/m-4-5 is already at models.0.id",
    ),
    (
        "models",
        [{"id": "anthropic/m-4.*", **MODEL}, {"id": "anthropic/m-4-*", **MODEL}],
        "models.1.id: anthropic/m-4-* is already at models.0.id",
    ),
    (
        "models",
        [
            {"id": "anthropic/claude-m", **MODEL},
            {"id": "anthropic/n", "aliases": ["n", "claude-m[1m]"], **MODEL},
        ],
        "models.1.aliases.1: claude-m[1m] is already at models.0.id",
    ),
    (
        "keys",
        [{"name": "a", "key": CANARY}, {"name": "a", "key": CANARY + "x"}],
        "keys.1.name: a is already at keys.0.name",
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
        ("log: {}\nlog: {}", "log: written twice (line 2)"),
        ("a:\n  b: 1\n  c: 2\n  b: 3", "b: written twice (line 4)"),
        ("yes: 1\ntrue: 2", "True: written twice (line 2)"),
        ('"a\\nb": 1\n"a\\nb": 2', "a b: written twice (line 2)"),
        ("a: [", "line 1: not YAML: expected the node content, but found '<stream end>'"),
        ("a: b: c", "line 1: not YAML: mapping values are not allowed here"),
        ("x: &a [*a]", "line 1: not YAML: found unconstructable recursive node"),
        ("? [a]\n: 1", "line 1: not YAML: found unhashable key"),
        ("x: !!int abc", "file: not YAML: invalid literal for int() with base 10: 'abc'"),
        ("[" * 5000, "file: nested too deep"),
        ("", "file: must satisfy type object"),
    ],
    ids=repr,
)
def test_what_is_no_yaml_or_loses_a_key_is_refused_with_its_line(text: str, message: str) -> None:
    assert refused_text(text) == message


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
