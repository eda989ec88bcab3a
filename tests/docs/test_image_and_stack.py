"""What the image is made from can be pinned, and no container of the stack may take the whole machine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
STACK: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
OURS = {
    name: service
    for name, service in STACK["services"].items()
    if str(service.get("image", "")).startswith("anyrouter")
}


def test_the_gateway_and_its_sandbox_are_of_our_image() -> None:
    assert {"gateway", "sandbox"} <= OURS.keys()


@pytest.mark.parametrize("service", OURS.values(), ids=OURS)
def test_each_of_our_containers_is_bounded_and_has_no_rights(service: dict[str, Any]) -> None:
    assert service["mem_limit"]
    assert service["pids_limit"] > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


def test_every_stage_of_the_image_is_made_from_the_base_that_was_asked_for() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    stages = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert set(stages) == {"${BASE}"}
    assert any(line.startswith("ARG BASE=") for line in lines)
    assert "${ANYROUTER_BASE:-" in STACK["services"]["gateway"]["build"]["args"]["BASE"]


def test_what_the_image_installs_is_locked_with_hashes() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    from_index = [
        line for line in re.findall(r"pip\b.* install .*", text) if "--no-index" not in line
    ]
    assert from_index
    assert all("--require-hashes" in line and "--no-deps" in line for line in from_index)


def test_a_store_is_in_the_one_folder_that_image_stack_unit_and_manifests_give_it() -> None:
    folder = "/var/lib/anyrouter"
    line = f'store: {{url: "sqlite:///{folder}/anyrouter.db", state_dir: {folder}}}'
    for name in ("docker-compose.yml", "deploy/anyrouter.service"):
        assert f"#   {line}\n" in (ROOT / name).read_text("utf-8"), name
    assert f"state:{folder}" in STACK["services"]["gateway"]["volumes"]
    assert "state" in STACK["volumes"]
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert f"RUN install -d -o 10001 -g 10001 -m 0700 {folder}\n" in dockerfile
    for name in ("deploy/kubernetes.yaml", "deploy/scale.yaml"):
        assert f"state_dir: {folder}" in (ROOT / name).read_text("utf-8"), name
    assert f"mountPath: {folder}}}" in (ROOT / "deploy/kubernetes.yaml").read_text("utf-8")
