"""What a configuration file may say, and what it becomes."""

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.access.keys import digest
from proxy.config import Auth, Key, Limits, Listen, Log, Model, Timeouts, Upstream
from proxy.config_file.faults import ConfigError
from proxy.config_file.load import check_key_name, config_from, load_config, parse_config
from tests.unit.config_file.configurations import CANARY, ENVIRON, changed, document

ROOT = Path(__file__).parents[3]
FULL = """
listen: {host: 0.0.0.0, port: 0, base_path: /x/y.z, workers: 4}
upstreams:
  one:
    base_url: https://h.example/prefix/
    auth: &auth {scheme: bearer, key: "${SECRET}"}
    headers: {x-one: "1", X-Two: "${HOST}"}
  two:
    base_url: http://[::1]:9090
    auth: {<<: *auth, scheme: x-api-key}
models:
  - {id: anthropic/m-1.0, upstream: one, upstream_model: n, display_name: M,
     created_at: 2026-01-02T03:04:05Z, aliases: [m]}
  - {id: "anthropic/*", upstream: two}
keys:
  - {name: ci, sha256: "%s", models: ["anthropic/m*"], expires_at: 2027-01-01T00:00:00Z}
  - {name: laptop, key: "${SECRET}"}
anthropic_versions: [2023-06-01, "2026-10-21"]
limits: {max_body_bytes: 1, max_connections: 2, max_connections_per_client: 3}
timeouts: {connect_s: 0.5, first_byte_s: 1.5, idle_s: 2, ping_after_s: 3, request_head_s: 4,
           request_body_idle_s: 5, client_idle_s: 7, drain_s: 6}
echo_model: false
early_head: true
log: {level: debug, format: text}
""" % ("a" * 64)


def test_every_key_arrives_where_it_belongs() -> None:
    config = parse_config(FULL, ENVIRON)
    assert config.listen == Listen("0.0.0.0", 0, "/x/y.z", 4)
    assert config.upstreams == (
        Upstream(
            "one",
            "https://h.example/prefix",
            Auth("bearer", CANARY),
            (("x-one", "1"), ("X-Two", "h.example")),
        ),
        Upstream("two", "http://[::1]:9090", Auth("x-api-key", CANARY)),
    )
    assert config.models == (
        Model("anthropic/m-1.0", "one", "n", "M", "2026-01-02T03:04:05Z", ("m",)),
        Model("anthropic/*", "two"),
    )
    expires_at = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
    assert config.keys == (
        Key("ci", "a" * 64, ("anthropic/m*",), expires_at),
        Key("laptop", digest(CANARY)),
    )
    assert config.anthropic_versions == frozenset({"2023-06-01", "2026-10-21"})
    assert config.limits == Limits(1, 2, 3)
    assert config.timeouts == Timeouts(0.5, 1.5, 2, 3, 4, 5, 7, 6)
    assert config.echo_model is False
    assert config.early_head is True
    assert config.log == Log("debug", "text")


def test_what_is_left_out_has_its_default() -> None:
    config = config_from({key: document()[key] for key in ("upstreams", "models")}, {})
    assert (config.listen, config.limits, config.timeouts) == (Listen(), Limits(), Timeouts())
    assert (config.keys, config.anthropic_versions) == ((), None)
    assert (config.echo_model, config.early_head) == (True, False)
    assert config.upstreams[0].auth == Auth("none", None)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("${HOST}", "h.example"),
        ("x-${HOST}-${PORT}", "x-h.example-8080"),
        ("${EMPTY}x", "x"),
        ("$HOST ${", "$HOST ${"),
        ("$${HOST}", "$h.example"),
    ],
)
def test_variables_are_expanded_inside_strings(written: str, read: str) -> None:
    assert config_from(changed("listen.host", written), ENVIRON).listen.host == read


def test_a_number_or_boolean_may_be_a_variable_and_a_key_of_digits_stays_text() -> None:
    given = changed("listen.port", "${PORT}")
    given["timeouts"] = {"connect_s": "${SECONDS}", "drain_s": "${PORT}"}
    given["echo_model"] = "${YES}"
    given["upstreams"]["a"]["auth"] = {"scheme": "bearer", "key": "${PORT}"}
    given["upstreams"]["a"]["headers"] = {"x": "${PORT}"}
    config = config_from(given, ENVIRON)
    assert config.listen.port == 8080
    assert (config.timeouts.connect_s, config.timeouts.drain_s) == (0.5, 8080)
    assert config.echo_model is True
    assert config.upstreams[0].auth.key == "8080"
    assert config.upstreams[0].headers == (("x", "8080"),)


def test_a_key_may_name_a_model_by_its_alias() -> None:
    given = changed("models.0", {"id": "anthropic/m", "upstream": "a", "aliases": ["quick"]})
    given["keys"][0]["models"] = ["quick"]
    assert config_from(given, {}).keys[0].models == ("quick",)


def test_what_a_variable_holds_is_not_expanded_again() -> None:
    config = config_from(changed("listen.host", "${A}"), {"A": "${B}", "B": "b"})
    assert config.listen.host == "${B}"


def test_a_file_gives_its_text_without_the_line_end(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{CANARY}\r\n")
    config = config_from(changed("keys.0.key", "${file:%s}" % (tmp_path / "key")), {})
    assert config.keys[0].sha256 == digest(CANARY)


def test_a_files_name_may_hold_variables(tmp_path: Path) -> None:
    (tmp_path / "prod").mkdir()
    (tmp_path / "prod" / "key").write_text(f"{CANARY}\n")
    given = changed("keys.0.key", "${file:${SECRETS}/${STAGE}/key}")
    config = config_from(given, {"SECRETS": str(tmp_path), "STAGE": "prod"})
    assert config.keys[0].sha256 == digest(CANARY)


def test_a_credential_is_a_file_in_the_folder_that_systemd_names(tmp_path: Path) -> None:
    (tmp_path / "client-key").write_text(f"{CANARY}\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    config = config_from(changed("keys.0.key", "${credential:client-key}"), environ)
    assert config.keys[0].sha256 == digest(CANARY)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_a_variable_gives_its_text_without_the_line_end(end: str) -> None:
    given = changed("keys.0.key", "${KEY}")
    given["listen"] = {"port": "${PORT}"}
    config = config_from(given, {"KEY": CANARY + end, "PORT": f"9090{end}"})
    assert config.keys[0].sha256 == digest(CANARY)
    assert config.listen.port == 9090


def test_a_files_name_is_relative_to_the_configuration_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc" / "secrets").mkdir(parents=True)
    (tmp_path / "etc" / "secrets" / "key").write_text(f"{CANARY}\n")
    path = tmp_path / "etc" / "config.yaml"
    path.write_text(yaml.safe_dump(changed("keys.0.key", "${file:secrets/key}")), "utf-8")
    monkeypatch.chdir(tmp_path)
    for name in (path, "etc/config.yaml"):
        assert load_config(name, {}).keys[0].sha256 == digest(CANARY)
    monkeypatch.chdir(path.parent)
    assert load_config("config.yaml", {}).keys[0].sha256 == digest(CANARY)


def test_a_configuration_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(document()), "utf-8")
    assert load_config(path, {}) == load_config(str(path), {}) == config_from(document(), {})


@pytest.mark.parametrize(
    ("url", "becomes"),
    [
        ("https://h", "https://h"),
        ("https://h/", "https://h"),
        ("http://127.0.0.1:9090", "http://127.0.0.1:9090"),
        ("https://h/a/b//", "https://h/a/b"),
        ("https://bedrock-mantle.eu.api.aws/anthropic", None),
    ],
)
def test_an_upstreams_address_may_have_a_port_and_a_path(url: str, becomes: str | None) -> None:
    config = config_from(changed("upstreams.a.base_url", url), {})
    assert config.upstreams[0].base_url == (becomes or url)


@pytest.mark.parametrize("name", ["laptop", "a.b-c_d", "é", "x" * 100])
def test_a_key_may_have_any_name_without_space(name: str) -> None:
    check_key_name(name)


@pytest.mark.parametrize("name", ["", "a b", "a\n", "\x00", "x" * 101])
def test_a_key_may_have_no_other_name(name: str) -> None:
    with pytest.raises(ConfigError):
        check_key_name(name)


@pytest.mark.parametrize("slash", ["", "/", "//"])
@pytest.mark.parametrize(
    "end",
    [
        *("/v1", "/v1/messages", "/v1/messages/count_tokens", "/V1", "/v1/v1", "//v1//messages"),
        *("/messages", "/messages/count_tokens", "/v1/models"),
    ],
)
def test_a_base_url_that_holds_what_the_gateway_adds_is_refused(end: str, slash: str) -> None:
    given = changed("upstreams.a.base_url", f"https://x.test/prefix{end}{slash}")
    with pytest.raises(ConfigError, match=rf"^upstreams.a.base_url: leave out {end}, the gateway"):
        config_from(given, {})


@pytest.mark.parametrize(
    "end", ["/v10", "/messages/v1x", "/v1/messages2", "/xmessages", "/models", "/v1/x"]
)
def test_a_base_url_that_only_looks_like_it_is_taken(end: str) -> None:
    config_from(changed("upstreams.a.base_url", f"https://x.test{end}"), {})


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "https://app.example.com", "http://localhost:3000", "https://app.example.com:8443"),
        *("http://[::1]:3000", "https://app.example.com:80", "chrome-extension://abcdef"),
        *("capacitor://localhost", "https://xn--bcher-kva.example", "https://app.example.com:4430"),
    ],
)
def test_an_origin_is_what_a_browser_writes(origin: str) -> None:
    assert config_from(changed("cors.origins", [origin]), {}).cors.origins == (origin,)


@pytest.mark.parametrize(
    "origin",
    [
        *("", "null", "app.example.com", "https://", "https://app.example.com/", "https://a b"),
        *("https://app.example.com/x", "https://App.example.com", "HTTPS://app.example.com"),
        *("https://app.example.com:443", "http://app.example.com:80", "https://a.example\n"),
    ],
)
def test_an_origin_that_no_browser_would_write_is_refused(origin: str) -> None:
    """It would let nobody in, and nobody would know why."""
    with pytest.raises(ConfigError, match=r"^cors.origins.0: must be an origin as browsers write"):
        config_from(changed("cors.origins", [origin]), {})


@pytest.mark.parametrize("name", ["anthropic.yaml", "sandbox.yaml"])
def test_a_containers_catalog_is_of_the_one_that_is_shipped(name: str) -> None:
    """As clients see it: what an entry is called upstream, and where it goes, is each configuration's own.

    The sandbox's has fewer models, so that aliases mean others there.
    """
    own: dict[str, Any] = {"upstream": "", "upstream_model": None}
    if name == "sandbox.yaml":
        own["aliases"] = ()
    environ = {"ANTHROPIC_API_KEY": "sk-1", "ANYROUTER_KEY": CANARY}

    def catalog(path: str) -> list[Model]:
        models = load_config(ROOT / path, environ).models
        return [dataclasses.replace(each, **own) for each in models]

    shipped, ours = catalog("config.yaml"), catalog(f"deploy/{name}")
    assert ours == [each for each in shipped if each in ours]
    if name == "anthropic.yaml":
        assert ours == shipped


def test_a_header_of_an_upstream_is_a_text_a_reference_or_null() -> None:
    given = {"x-a": "1", "x-b": "${VALUE}", "anthropic-beta": None}
    config = config_from(changed("upstreams.a.headers", given), {"VALUE": "2"})
    due = (("x-a", "1"), ("x-b", "2"), ("anthropic-beta", None))
    assert config.upstreams[0].headers == due


@pytest.mark.parametrize("value", [1, True, ["a"], "\u00e9", "a\n"])
def test_a_header_of_an_upstream_is_nothing_else(value: object) -> None:
    with pytest.raises(ConfigError, match=r"^upstreams.a.headers.x-a: "):
        config_from(changed("upstreams.a.headers.x-a", value), {})
