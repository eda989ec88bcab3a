"""`otel` in the configuration: what arrives, and what is refused with what it needs."""

import importlib.metadata
from typing import Any

import pytest

from proxy.commands.parts import parts
from proxy.config import Config, Otel
from proxy.config_file import changes
from proxy.config_file.by_hand import document_of
from proxy.config_file.faults import ConfigError
from proxy.config_file.load import config_from

GIVEN: dict[str, Any] = {
    "upstreams": {"api": {"base_url": "http://127.0.0.1:9"}},
    "models": [{"id": "anthropic/*", "upstream": "api"}],
    "admin": {"keys": [{"name": "ops", "sha256": "0" * 64}]},
    "store": {"url": "sqlite:///x.db"},
}


def read(otel: Any, **more: Any) -> Config:
    return config_from({**GIVEN, "otel": otel, **more}, {})


@pytest.mark.parametrize(
    ("given", "otel"),
    [
        (None, None),
        ({}, Otel()),
        ({"sample": 0.1, "propagate": ["api"]}, Otel(0.1, ("api",))),
    ],
    ids=["none", "empty", "everything"],
)
def test_what_is_given_arrives_and_is_the_same_document_by_hand(
    given: Any, otel: Otel | None
) -> None:
    config = read(given)
    assert config.otel == otel
    assert config_from(document_of(config), {}).otel == otel


@pytest.mark.parametrize(
    ("otel", "more", "message"),
    [
        ({}, {"admin": None}, "otel: needs `admin`, whose process makes the spans"),
        ({}, {"store": None}, "otel: needs `store`: spans are made of the ledger's rows"),
        ({"sample": 1.1}, {}, "otel.sample: must be a number from 0 to 1"),
        ({"sample": -1}, {}, "otel.sample: must be a number from 0 to 1"),
        ({"endpoint": "x"}, {}, "otel.endpoint: unknown field; known here: sample, propagate"),
        (
            {"propagate": ["apy"]},
            {},
            "otel.propagate.0: no upstream has this name; did you mean api?",
        ),
    ],
    ids=["no-admin", "no-store", "over-one", "below-zero", "unknown-field", "unknown-upstream"],
)
def test_what_cannot_be_is_refused(otel: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(otel, **more)
    assert str(raised.value) == message


def test_without_the_extra_it_is_refused_with_the_line_to_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(ConfigError) as raised:
        read({})
    assert str(raised.value) == (
        "otel: needs the extra otel: `make install` brings it, or `pip install '.[otel]'` in a checkout"
    )
    assert read(None).otel is None


def test_check_tells_what_is_sent_and_who_is_told() -> None:
    told = dict(parts(read({"sample": 0.25, "propagate": ["api"]})))
    assert told["traces"] == "25% of them by OTLP; traceparent is the gateway's towards api"
    assert "traces" not in dict(parts(read(None)))


def test_a_running_gateway_keeps_what_it_began_with() -> None:
    running, wanted = read({"propagate": ["api"]}), read(None)
    assert changes.without_restart(running, wanted).otel == running.otel
    assert changes.between(running, wanted) == ["otel changed"]
