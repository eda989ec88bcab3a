"""A configuration that cannot be used is refused with every fault, `path: what is wrong`, and no secret is shown."""

import re
from pathlib import Path
from typing import Any

import pytest

from proxy import schema_files
from proxy.config_file.faults import ConfigError
from proxy.config_file.load import config_from
from tests.unit.config_file.configurations import CANARY, changed
from tests.unit.config_file.refusals_of_files import refused

KEY_EXPECTED = (
    "ar- and at least five more characters, or another gateway's key of 16 or more (no sk-ant-...), "
    "without spaces"
)


REFERENCE = "${...} takes the name of an environment variable, file:NAME, or credential:NAME"


WRONG_VALUES: list[tuple[str, Any, str]] = [
    ("upstreams", ..., "upstreams: missing, and required"),
    ("models", ..., "models: missing, and required"),
    ("upstreams", {}, "upstreams: at least one is needed"),
    ("upstreams", None, "upstreams: must be a mapping; it is nothing"),
    (
        "upstreams.b c",
        {"base_url": "https://h"},
        "upstreams.(a name not shown here): the name must be of letters, digits and . _ -",
    ),
    ("upstreams.a.base_url", ..., "upstreams.a.base_url: missing, and required"),
    (
        "upstreams.a.base_url",
        "https://h:99999",
        "upstreams.a.base_url: needs a valid host, and a port from 1 to 65535 if it has one",
    ),
    (
        "upstreams.a.base_url",
        "https://h:0",
        "upstreams.a.base_url: needs a valid host, and a port from 1 to 65535 if it has one",
    ),
    (
        "upstreams.a.base_url",
        "https://h:x",
        "upstreams.a.base_url: needs a valid host, and a port from 1 to 65535 if it has one",
    ),
    (
        "upstreams.a.base_url",
        "https://[h",
        "upstreams.a.base_url: needs a valid host, and a port from 1 to 65535 if it has one",
    ),
    ("upstreams.a.auth", {"scheme": "bearer"}, "upstreams.a.auth.key: missing, and required"),
    ("upstreams.a.auth", {"key": CANARY}, "upstreams.a.auth.scheme: missing, and required"),
    (
        "upstreams.a.auth",
        {"scheme": "none", "key": CANARY},
        "upstreams.a.auth.key: not used with scheme none; leave it out",
    ),
    (
        "upstreams.a.auth",
        {"scheme": CANARY, "key": "x"},
        "upstreams.a.auth.scheme: must be one of x-api-key, bearer, none",
    ),
    (
        "upstreams.a.auth",
        {"scheme": "bearer", "key": "${EMPTY}"},
        "upstreams.a.auth.key: must be printable ASCII without spaces; it is empty",
    ),
    (
        "upstreams.a.headers",
        {"x": f"{CANARY}\n"},
        "upstreams.a.headers.x: must be one line of printable ASCII, or null",
    ),
    (
        "upstreams.a.headers",
        {"x": 1},
        "upstreams.a.headers.x: must be one line of printable ASCII, or null; it is a number",
    ),
    (
        "upstreams.a.headers.Host",
        "x",
        "upstreams.a.headers.Host: the gateway sets this header itself; leave it out",
    ),
    (
        "upstreams.a.headers.HOST",
        "x",
        "upstreams.a.headers.HOST: the gateway sets this header itself; leave it out",
    ),
    (
        "upstreams.a.headers.content-length",
        "x",
        "upstreams.a.headers.content-length: the gateway sets this header itself; leave it out",
    ),
    (
        "upstreams.a.headers.TRANSFER-encoding",
        "x",
        "upstreams.a.headers.TRANSFER-encoding: the gateway sets this header itself; leave it out",
    ),
    (
        "upstreams.a.headers.cOnnection",
        "x",
        "upstreams.a.headers.cOnnection: the gateway sets this header itself; leave it out",
    ),
    ("models", [], "models: at least one is needed"),
    ("models", {"key": CANARY}, "models: must be a list; it is a mapping"),
    ("models.0.upstream", "b", "models.0.upstream: no upstream has this name; known: a"),
    ("models.0.upstream", ..., "models.0.upstream: missing, and required"),
    (
        "models.0.id",
        "anthropic/",
        "models.0.id: must be anthropic/NAME, or anthropic/PREFIX* for every id that starts so",
    ),
    ("models.0.aliases", ["x"], "models.0.aliases: a wildcard entry can have none; leave it out"),
    (
        "keys.0.models",
        ["*", "*-haiku"],
        "keys.0.models.1: must be an id, or the start of ids with one * at its end",
    ),
    (
        "keys.0.models",
        ["*", "claude-*-4"],
        "keys.0.models.1: must be an id, or the start of ids with one * at its end",
    ),
    (
        "keys.0.models",
        ["*", "**"],
        "keys.0.models.1: must be an id, or the start of ids with one * at its end",
    ),
    ("keys.0.models", ["*", "openai/*"], "keys.0.models.1: nothing in models matches"),
    ("keys.0.models", ["*", "sonnet"], "keys.0.models.1: nothing in models matches"),
    ("keys.0.models", ["*", "claude*"], "keys.0.models.1: nothing in models matches"),
    ("keys", None, "keys: must be a list; it is nothing: take the name out, too, to leave it out"),
    ("keys.0", {"key": CANARY}, "keys.0.name: missing, and required"),
    ("keys.0", {"name": "a"}, "keys.0: needs one of sha256 and key, and not both"),
    ("keys.0.sha256", "a" * 64, "keys.0: needs one of sha256 and key, and not both"),
    (
        "keys.0.key",
        "sk-canary",
        f"keys.0.key: must be {KEY_EXPECTED}",
    ),
    (
        "keys.0",
        {"name": "a", "sha256": "canary"},
        "keys.0.sha256: must be the 64 hex digits, in lower case, that `anyrouter keys new` prints",
    ),
    (
        "keys.0.expires_at",
        "2027-02-30T00:00:00Z",
        "keys.0.expires_at: there is no such day or time",
    ),
    (
        "listen",
        None,
        "listen: must be a mapping; it is nothing: take the name out, too, to leave it out",
    ),
    (
        "timeouts.idle_s",
        None,
        "timeouts.idle_s: must be a number from 1 to 86400; it is nothing: take the name out, too, to leave it out",
    ),
    ("models", None, "models: must be a list; it is nothing"),
    ("models.0.upstream", None, "models.0.upstream: must be text; it is nothing"),
    ("upstreams.a", None, "upstreams.a: must be a mapping; it is nothing"),
    ("listen.port", "8080", "listen.port: must be a whole number from 0 to 65535; it is text"),
    ("listen.port", "${HOST}", "listen.port: must be a whole number from 0 to 65535; it is text"),
    ("listen.port", "1${EMPTY}", "listen.port: must be a whole number from 0 to 65535; it is text"),
    ("listen.port", "${EMPTY}", "listen.port: must be a whole number from 0 to 65535; it is text"),
    (
        "listen.port",
        "${YES}",
        "listen.port: must be a whole number from 0 to 65535; it is true or false",
    ),
    ("listen.port", "${LIST}", "listen.port: must be a whole number from 0 to 65535; it is text"),
    ("timeouts.idle_s", "${NAN}", "timeouts.idle_s: must be a finite number"),
    ("listen.port", 8080.0, "listen.port: must be a whole number from 0 to 65535; it is a number"),
    (
        "listen.port",
        True,
        "listen.port: must be a whole number from 0 to 65535; it is true or false",
    ),
    ("listen.port", 65536, "listen.port: must be a whole number from 0 to 65535"),
    (
        "listen.base_path",
        "/api/",
        "listen.base_path: must be a path such as /api, of letters, digits and . _ ~ -, without a slash at its end",
    ),
    ("listen.workers", 0, "listen.workers: must be a whole number from 1 to 256"),
    (
        "anthropic_versions",
        "all",
        'anthropic_versions: must be any, or a list of dates such as ["2023-06-01"]; it is text',
    ),
    ("anthropic_versions", [], "anthropic_versions: at least one is needed"),
    ("anthropic_versions", ["2023"], "anthropic_versions.0: must be a date such as 2023-06-01"),
    ("limits.max_body_bytes", 0, "limits.max_body_bytes: must be a whole number, 1 or more"),
    ("timeouts.idle_s", 0, "timeouts.idle_s: must be a number from 1 to 86400"),
    ("timeouts.idle_s", float("nan"), "timeouts.idle_s: must be a finite number"),
    ("timeouts.idle_s", float("inf"), "timeouts.idle_s: must be a finite number"),
    (
        "timeouts.idle_s",
        [CANARY],
        "timeouts.idle_s: must be a number from 1 to 86400; it is a list",
    ),
    ("echo_model", 1, "echo_model: must be true or false; it is a number"),
    (
        "trusted_proxies",
        ["10.0.0.0/8", "x"],
        "trusted_proxies.1: must be an address or a network such as 10.0.0.0/8",
    ),
    ("log.level", "loud", "log.level: must be one of debug, info, warning, error"),
    (
        "listen.host",
        "${UNSET}",
        "listen.host: environment variable UNSET is not set; export UNSET=... before the start",
    ),
    ("keys.0.key", "${file:/no/such}", "keys.0.key: /no/such: No such file or directory"),
    ("keys.0.key", "${file:/}", "keys.0.key: /: Is a directory"),
    ("keys.0.key", "${file:a\x00b}", "keys.0.key: a?b: not a file name"),
    (
        "keys.0.key",
        "${file:${UNSET}/x}",
        "keys.0.key: environment variable UNSET is not set; export UNSET=... before the start",
    ),
    ("keys.0.key", "${file:${a b}}", f"keys.0.key: {REFERENCE}"),
    ("keys.0.key", "${A{}", f"keys.0.key: {REFERENCE}"),
    ("keys.0.key", "${${A}}", f"keys.0.key: {REFERENCE}"),
    (
        "keys.0.key",
        "${credential:key}",
        "keys.0.key: CREDENTIALS_DIRECTORY is not set: systemd sets it for LoadCredential=key:FILE",
    ),
]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "credential none: No such file or directory"),
        ("../key", "credential: takes a name, as LoadCredential= has it, and no path"),
        ("..", "credential: takes a name, as LoadCredential= has it, and no path"),
    ],
)
def test_a_credential_that_is_not_there_is_told(tmp_path: Path, name: str, said: str) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    with pytest.raises(ConfigError) as raised:
        config_from(changed("keys.0.key", f"${{credential:{name}}}"), environ)
    assert str(raised.value) == f"keys.0.key: {said}"


def test_what_a_variable_holds_is_not_shown_as_a_files_name() -> None:
    with pytest.raises(ConfigError) as raised:
        config_from(changed("keys.0.key", "${file:${CANARY}/key}"), {"CANARY": CANARY})
    assert CANARY not in str(raised.value)
    assert "No such file or directory" in str(raised.value)


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


@pytest.mark.parametrize("seconds", [0, 0.01, -1, float("inf")], ids=str)
@pytest.mark.parametrize(
    # Nothing need be left slowly.
    "name",
    sorted(
        schema_files.load("config")["properties"]["timeouts"]["properties"].keys() - {"leave_s"}
    ),
)
def test_no_timeout_may_be_so_short_that_nothing_is_served(name: str, seconds: float) -> None:
    assert refused(changed(f"timeouts.{name}", seconds)).startswith(f"timeouts.{name}: must be ")


@pytest.mark.parametrize("given", [[], CANARY, [{"key": CANARY}], 1], ids=repr)
def test_a_document_of_another_kind_is_refused_without_being_shown(given: Any) -> None:
    assert re.fullmatch("file: must be a mapping; it is (a list|text|a number)", refused(given))
