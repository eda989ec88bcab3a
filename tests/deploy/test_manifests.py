"""The manifests are of Kubernetes' schemas, and say of the gateway what is so."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import proxy
from tests.deploy.proxies import DEPLOY
from tests.support.commands import status_of
from tests.support.gateways import config_for, running

MANIFESTS = DEPLOY / "kubernetes.yaml"
VALIDATE = Path(sys.executable).parents[1] / "deploy" / "bin" / "kubernetes-validate"
PORT = 8080


def manifest(kind: str) -> dict[str, Any]:
    """Return the manifest of a kind."""
    every = yaml.safe_load_all(MANIFESTS.read_text("utf-8"))
    (found,) = [each for each in every if each["kind"] == kind]
    return dict(found)


def pod() -> dict[str, Any]:
    return dict(manifest("Deployment")["spec"]["template"]["spec"])


def container() -> dict[str, Any]:
    (only,) = pod()["containers"]
    return dict(only)


def test_each_manifest_is_of_its_schema() -> None:
    done = subprocess.run(
        [VALIDATE, "--strict", MANIFESTS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).count(" passed ") == 4


def test_the_configuration_is_good_but_for_the_keys_that_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mounted,) = [each for each in container()["volumeMounts"] if each["name"] == "secrets"]
    (tmp_path / "anthropic-api-key").write_text("sk-x\n", "utf-8")
    text = manifest("ConfigMap")["data"]["anyrouter.yaml"]
    assert mounted["mountPath"] == "/secrets"
    path = tmp_path / "anyrouter.yaml"
    path.write_text(text.replace("/secrets", str(tmp_path)), "utf-8")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    config = proxy.load_config(path)
    assert config.upstreams[0].auth.key == "sk-x"
    assert config.listen.hosts == ("0.0.0.0",)
    assert config.listen.port == PORT == container()["ports"][0]["containerPort"]
    assert container()["args"] == ["serve", "--config", "/config/anyrouter.yaml"]


def test_a_store_waits_in_a_folder_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "anthropic-api-key").write_text("sk-x\n", "utf-8")
    (tmp_path / "store-url").write_text("postgresql://u:p@db/anyrouter\n", "utf-8")
    text = manifest("ConfigMap")["data"]["anyrouter.yaml"].replace("/secrets", str(tmp_path))
    path = tmp_path / "anyrouter.yaml"
    path.write_text(re.sub(r"^#(store|redis):", r"\1:", text, flags=re.MULTILINE), "utf-8")
    config = proxy.load_config(path)
    assert config.store is not None
    assert config.redis is not None
    assert config.store.url == "postgresql://u:p@db/anyrouter"
    (mounted,) = [each for each in container()["volumeMounts"] if not each.get("readOnly")]
    assert config.store.state_dir == mounted["mountPath"]
    (volume,) = [each for each in pod()["volumes"] if each["name"] == mounted["name"]]
    assert volume["emptyDir"] == {"sizeLimit": "2Gi"}
    assert config.store.spool_max_bytes < 2 << 30


async def test_the_probes_ask_for_paths_that_answer() -> None:
    async with running(config_for("http://127.0.0.1:9")) as gateway:
        for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
            asks = container()[probe]["httpGet"]
            assert asks["port"] == container()["ports"][0]["name"]
            url = f"http://{gateway.host}:{gateway.port}{asks['path']}"
            assert await status_of(gateway.session, url) == 200
        gateway.gateway.draining = True
        url = f"http://{gateway.host}:{gateway.port}"
        assert await status_of(gateway.session, f"{url}/readyz") == 503
        assert await status_of(gateway.session, f"{url}/healthz") == 200


def test_the_end_waits_for_the_drain_and_for_those_who_still_send() -> None:
    timeouts = yaml.safe_load(manifest("ConfigMap")["data"]["anyrouter.yaml"])["timeouts"]
    readiness_s = container()["readinessProbe"]["periodSeconds"]
    assert timeouts["leave_s"] > readiness_s
    assert (
        pod()["terminationGracePeriodSeconds"] > timeouts["leave_s"] + proxy.Timeouts().drain_s + 5
    )


def test_it_runs_as_the_images_user_without_rights() -> None:
    dockerfile = (DEPLOY.parent / "Dockerfile").read_text("utf-8")
    context = pod()["securityContext"]
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}\n" in dockerfile
    rights = container()["securityContext"]
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}


def test_the_service_and_the_budget_find_the_pods() -> None:
    labels = manifest("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert manifest("Service")["spec"]["selector"] == labels
    assert manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
