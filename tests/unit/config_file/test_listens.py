"""Where a gateway is reached is read from its configuration, whatever else of it cannot be read here."""

from pathlib import Path

import pytest

from proxy.config_file.listens import admin_url_of, base_url_of

FILES = {
    "the defaults": ("upstreams: {}\n", "http://127.0.0.1:8080/api"),
    "a port": ("upstreams: {}\nlisten: {port: 9000}\n", "http://127.0.0.1:9000/api"),
    "everywhere": ('upstreams: {}\nlisten: {host: "::"}\n', "http://127.0.0.1:8080/api"),
    "an address": ('upstreams: {}\nlisten: {host: "fd00::1"}\n', "http://[fd00::1]:8080/api"),
    "the first of several": (
        "upstreams: {}\nlisten: {host: [10.0.0.1, 10.0.0.2], base_path: /llm}\n",
        "http://10.0.0.1:8080/llm",
    ),
    "a variable that is not set elsewhere": (
        "upstreams: {a: {auth: {key: '${UNSET}'}}}\nlisten: {port: 81}\n",
        "http://127.0.0.1:81/api",
    ),
    "a variable that is not set": ("upstreams: {}\nlisten: {port: '${UNSET}'}\n", None),
    "tls": (
        "upstreams: {}\nlisten: {port: 8443, tls: {cert: elsewhere.pem}}\n",
        "https://127.0.0.1:8443/api",
    ),
    "any free port": ("upstreams: {}\nlisten: {port: 0}\n", None),
    "a wrong port": ("upstreams: {}\nlisten: {port: x}\n", None),
    "another program's": ("listen: {port: 9000}\n", None),
    "no YAML": ("listen: [\n", None),
}


@pytest.mark.parametrize(("text", "url"), FILES.values(), ids=FILES)
def test_the_base_url_is_that_of_the_file(tmp_path: Path, text: str, url: str | None) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text, "utf-8")
    assert base_url_of(str(file)) == url


ADMINS = {
    "its default": ("upstreams: {}\nadmin: {keys: []}\n", "http://127.0.0.1:8081"),
    "a port": ("upstreams: {}\nadmin: {port: 9001, keys: ['${UNSET}']}\n", "http://127.0.0.1:9001"),
    "a wrong port": ("upstreams: {}\nadmin: {port: x}\n", None),
    "none": ("upstreams: {}\nadmin: null\n", None),
}


@pytest.mark.parametrize(("text", "url"), ADMINS.values(), ids=ADMINS)
def test_so_is_the_url_of_the_admin_api(tmp_path: Path, text: str, url: str | None) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text, "utf-8")
    assert admin_url_of(str(file)) == url


def test_no_file_is_no_url(tmp_path: Path) -> None:
    assert base_url_of(str(tmp_path / "c.yaml")) is None
