"""Faults are told with file and line; what is probably not meant is a warning, which stops nothing."""

import datetime
import re
from pathlib import Path

import pytest

from proxy.config_file import doubts, load
from proxy.config_file.document import parse
from proxy.config_file.faults import ConfigError
from proxy.config_file.load import load_config, parse_config

NOW = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
GOOD = """\
upstreams:
  a: {base_url: "https://h.example", auth: {scheme: x-api-key, key: "${SECRET}"}}
models: [{id: "anthropic/*", upstream: a}]
keys: [{name: laptop, key: "${SECRET}"}]
"""
ENVIRON = {"SECRET": "ar-0123456789abcdefghij", "DB": "p"}

PLACES = {
    "a field": (
        "timeouts:\n  idle_s: 0\n",
        ["7: timeouts.idle_s: must be a number from 1 to 86400"],
    ),
    "an entry of a list": (
        "cors:\n  origins:\n    - https://a.example\n    - nonsense\n",
        ["9: cors.origins.1: must be"],
    ),
    "an unknown field": (
        "log:\n\n  formt: x\n",
        ["8: log.formt: unknown field; did you mean format?"],
    ),
    "what is missing, at what it is missing in": (
        "admin:\n  port: 1\n",
        ["6: admin.keys: missing, and required"],
    ),
    "several, in the order of the file": (
        "log: {level: x}\nlimits: {max_body_bytes: x}\n",
        ["6: log.level: must be", "7: limits.max_body_bytes: must be"],
    ),
    "a reference": ("echo_model: ${NO_SUCH}\n", ["6: echo_model: environment variable NO_SUCH"]),
    "a name written twice": ("keys: []\n", ["6: keys: written twice"]),
    "no YAML": ("a: b: c\n", ["6: not YAML: mapping values are not allowed here"]),
    "a slip of quotes": ("a: 'b\n", ["not YAML"]),
}


@pytest.mark.parametrize(("more", "said"), PLACES.values(), ids=PLACES)
def test_a_fault_is_told_with_file_and_line(tmp_path: Path, more: str, said: list[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(f"# mine\n{GOOD}{more}", "utf-8")
    with pytest.raises(ConfigError) as raised:
        load_config(file, ENVIRON)
    assert len(raised.value.faults) == len(said)
    for fault, wanted in zip(raised.value.faults, said, strict=True):
        assert fault.startswith(f"{file}:")
        assert wanted in fault


def test_a_fault_below_a_merged_mapping_is_told_where_it_is_merged_into(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(f"{GOOD}timeouts:\n  <<: {{idle_s: 0}}\n", "utf-8")
    with pytest.raises(ConfigError, match=r":5: timeouts\.idle_s: "):
        load_config(file, ENVIRON)


def doubted(text: str) -> list[str]:
    config = parse_config(text, ENVIRON)
    return [str(each) for each in doubts.about(parse(text), config, NOW)]


def test_a_good_configuration_is_not_doubted() -> None:
    assert doubted(GOOD) == []


DOUBTS = {
    "an expired key": (
        GOOD.replace('"}]', '", expires_at: "2026-12-31T00:00:00Z"}]'),
        "keys.0: laptop has expired on 2026-12-31: take it out, or renew it",
    ),
    "a plain key": (
        GOOD.replace('laptop, key: "${SECRET}"', "laptop, key: ar-plain"),
        "keys.0.key: the key itself stands in the file: ",
    ),
    "no keys": (GOOD.replace("keys: [", "#"), "keys: there is none, so that each start makes one"),
    "an upstream that nothing uses": (
        GOOD.replace("models:", '  b: {base_url: "https://b.example"}\nmodels:'),
        "upstreams.b: no model is served there",
    ),
    "an upstream's plain key": (
        GOOD.replace('x-api-key, key: "${SECRET}"', "x-api-key, key: sk-ant-0123"),
        "upstreams.a.auth.key: a secret stands in the file",
    ),
    "a plain password": (
        f"{GOOD}redis: {{url: 'redis://u:secret@h/0'}}\n",
        "redis.url: a secret stands in the file",
    ),
    "several workers and a store without redis": (
        f"{GOOD}listen: {{workers: 2}}\nstore: {{url: 'sqlite:///a.db'}}\n",
        "listen.workers: with more than one, limits and budgets of keys and owners in the store need redis",
    ),
    "no room for the largest body": (
        f"{GOOD}limits: {{max_body_bytes: 20000000, body_memory_bytes: 39999998}}\n",
        "limits.body_memory_bytes: bodies over 19999999 bytes are refused, though max_body_bytes is 20000000: ",
    ),
    "no room for the largest body in each of two workers": (
        f"{GOOD}listen: {{workers: 2}}\nlimits: {{max_body_bytes: 20000000, body_memory_bytes: 79999998}}\n",
        "limits.body_memory_bytes: bodies over 19999999 bytes are refused, though max_body_bytes is 20000000: ",
    ),
}


@pytest.mark.parametrize(("text", "said"), DOUBTS.values(), ids=DOUBTS)
def test_what_is_probably_not_meant_is_a_warning_that_shows_no_secret(text: str, said: str) -> None:
    (doubt,) = doubted(text)
    assert doubt.startswith(said)
    assert "secret@" not in doubt


UNDOUBTED = {
    "a key that expires later": GOOD.replace('"}]', '", expires_at: "2027-01-01T00:00:01Z"}]'),
    "a word for a server that takes any": GOOD.replace('key: "${SECRET}"}}', "key: sandbox}}"),
    "one worker and a store": f"{GOOD}store: {{url: 'sqlite:///a.db'}}\n",
    "several workers, a store and redis": (
        f"{GOOD}listen: {{workers: 2}}\nstore: {{url: 'sqlite:///a.db'}}\nredis: {{url: 'redis://h/0'}}\n"
    ),
    "room for the largest body": (
        f"{GOOD}limits: {{max_body_bytes: 20000000, body_memory_bytes: 40000000}}\n"
    ),
    "room for the largest body in the least that a worker has": (
        f"{GOOD}listen: {{workers: 9}}\nlimits: {{max_body_bytes: 8388608, body_memory_bytes: 16777216}}\n"
    ),
    "a password from a variable": f"{GOOD}redis: {{url: 'redis://u:${{DB}}@h/0'}}\n",
}


@pytest.mark.parametrize("text", UNDOUBTED.values(), ids=UNDOUBTED)
def test_what_is_probably_meant_is_no_warning(text: str) -> None:
    assert doubted(text) == []


def test_what_the_largest_body_needs_is_said_and_is_enough() -> None:
    for text in (DOUBTS[name][0] for name in DOUBTS if name.startswith("no room")):
        (doubt,) = doubted(text)
        needed = doubt.rpartition(" ")[2]
        assert (
            doubted(re.sub("body_memory_bytes: [0-9]+", f"body_memory_bytes: {needed}", text)) == []
        )


def test_warnings_name_file_and_line_and_stop_nothing(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(DOUBTS["a plain key"][0], "utf-8")
    loaded = load.load(file, ENVIRON)
    assert loaded.config.keys[0].name == "laptop"
    (warning,) = loaded.warnings
    assert warning.startswith(f"{file}:4: keys.0.key: ")
