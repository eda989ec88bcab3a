"""The files of deploy/observe are made of one list, and name nothing that `/metrics` does not have."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.observe.files import FILES
from deploy.observe.panels import ROWS
from deploy.observe.rules import ALERTS
from proxy.admin.metric_list import METRICS
from tests.observe.rules import TABLE

FOLDER = Path(__file__).parents[2] / "deploy" / "observe"
PANELS = [panel for row in ROWS.values() for panel in row]
EXPRESSIONS = [*(each.expression for each in PANELS), *(each.expression for each in ALERTS)]
_SUFFIXES = ("", "_bucket", "_sum", "_count")
_OURS = {metric.name + suffix: metric for metric in METRICS for suffix in _SUFFIXES}
_NOT_OURS = {"instance", "job", "le"}


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_as_the_list_has_it(name: str) -> None:
    made = FILES[name]()
    assert (FOLDER / name).read_text("utf-8") == made, "run python -m deploy.observe.files"


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_metrics_and_labels_that_there_are(expression: str) -> None:
    names = re.findall(r"anyrouter_\w+", expression)
    assert names or expression.startswith("up{")
    labels = {label for name in names for label in _OURS[name].labels} | _NOT_OURS
    for listed in re.findall(r"by \(([\w, ]+)\)", expression):
        assert set(listed.split(", ")) <= labels, listed
    for name in re.findall(r'(\w+)(?:=|!=)"', expression):
        assert name in labels, name


def test_each_panel_asks_a_question_and_has_a_title_of_its_own() -> None:
    assert all(panel.question.endswith("?") for panel in PANELS)
    assert len({panel.title for panel in PANELS}) == len(PANELS)


def test_each_alert_is_tested_and_says_what_to_do() -> None:
    assert {each.name for each in ALERTS} == {row[0] for row in TABLE}
    assert all(each.summary and each.todo.endswith(".") for each in ALERTS)


def test_the_dashboard_asks_the_source_that_is_provisioned() -> None:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
    (source,) = _yaml("datasources/prometheus.yml")["datasources"]
    asked = {
        target["datasource"]["uid"]
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    }
    assert asked == {source["uid"]}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert ids == sorted(set(ids))


def test_the_stack_mounts_them_where_they_are_looked_for() -> None:
    stack = yaml.safe_load((FOLDER.parents[1] / "docker-compose.yml").read_text("utf-8"))
    grafana, prometheus = (stack["services"][name] for name in ("grafana", "prometheus"))
    (provider,) = _yaml("dashboards/anyrouter.yml")["providers"]
    mounted = {each.split(":")[1] for each in grafana["volumes"]}
    assert f"{provider['options']['path']}/anyrouter.json" in mounted
    for service in (grafana, prometheus):
        assert service["profiles"] == ["observe"]
        assert service["read_only"] is True
        assert all(each.startswith("127.0.0.1:") for each in service["ports"])
    (scraped,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    for target in scraped["static_configs"][0]["targets"]:
        assert target.partition(":")[0] in stack["services"]


def _yaml(name: str) -> Any:
    return yaml.safe_load((FOLDER / "grafana" / "provisioning" / name).read_text("utf-8"))
