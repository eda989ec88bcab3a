"""A configuration's files: any change of any is seen, and none is read while it is written."""

from pathlib import Path

import pytest

from proxy.config_file.faults import ConfigError
from proxy.config_file.source import Source

TEXT = """\
upstreams: {a: {base_url: "https://a", auth: {scheme: bearer, key: "${file:secret}"}}}
models: [{id: "anthropic/*", upstream: a}]
"""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "config.yaml").write_text(TEXT)
    (tmp_path / "secret").write_text("sk-first\n")
    source = Source(str(tmp_path / "config.yaml"), lambda config: config)
    source.read()
    assert not source.has_changed()
    return source


def test_a_change_counts_when_it_was_seen_twice_alike(source: Source, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as file:
        for part in ("sk", "-", "more"):
            file.write(part)
            file.flush()
            assert not source.has_changed(), "it is still being written"
    assert source.has_changed()
    source.read()
    assert not source.has_changed()
    assert not source.has_changed()


@pytest.mark.parametrize("name", ["config.yaml", "secret"])
def test_a_file_that_goes_and_comes_back_is_a_change(
    source: Source, tmp_path: Path, name: str
) -> None:
    content = (tmp_path / name).read_text()
    (tmp_path / name).unlink()
    assert not source.has_changed()
    assert source.has_changed()
    (tmp_path / name).write_text(content)
    assert not source.has_changed()
    assert source.has_changed()


def test_a_link_on_the_way_to_a_file_that_is_exchanged_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes does it: `config.yaml` leads to `..data/config.yaml`, `..data` to a folder that changes."""
    for version, secret in (("one", "sk-first"), ("two", "sk-second")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "config.yaml").write_text(TEXT)
        (tmp_path / version / "secret").write_text(secret)
    (tmp_path / "..data").symlink_to("one")
    for name in ("config.yaml", "secret"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    source = Source(str(tmp_path / "config.yaml"), lambda config: config)
    assert source.read().config.upstreams[0].auth.key == "sk-first"
    (tmp_path / "..data.new").symlink_to("two")
    (tmp_path / "..data.new").replace(tmp_path / "..data")
    assert not source.has_changed()
    assert source.has_changed()
    assert source.read().config.upstreams[0].auth.key == "sk-second"


def test_what_cannot_be_used_is_read_once_until_it_changes_again(
    source: Source, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("upstreams: {")
    assert not source.has_changed()
    assert source.has_changed()
    with pytest.raises(ConfigError):
        source.read()
    assert not source.has_changed()
    assert not source.has_changed()
    (tmp_path / "config.yaml").write_text(TEXT)
    assert not source.has_changed()
    assert source.has_changed()
    source.read()


def test_a_file_that_is_missing_is_awaited(source: Source, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(TEXT.replace("secret", "other"))
    with pytest.raises(ConfigError, match="No such file"):
        source.read()
    assert not source.has_changed()
    (tmp_path / "other").write_text("sk-other")
    assert not source.has_changed()
    assert source.has_changed()


def test_the_same_content_has_the_same_name_and_other_content_another(
    source: Source, tmp_path: Path
) -> None:
    first = source.name
    (tmp_path / "secret").write_text("sk-second\n")
    source.read()
    second = source.name
    (tmp_path / "secret").write_text("sk-first\n")
    source.read()
    assert source.name == first != second
