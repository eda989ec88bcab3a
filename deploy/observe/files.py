"""The dashboard and the alert rules as files, made of the lists of panels and rules.

    python -m deploy.observe.files

rewrites dashboard.json and alerts.yml; a test fails while they differ from the lists, and another evaluates each
expression in a real Prometheus.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from deploy.observe.panels import ROWS, Panel
from deploy.observe.rules import ALERTS

FOLDER = Path(__file__).parent
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 24


def dashboard() -> str:
    """Return the dashboard, as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
        panels.append({"type": "row", "title": title, "gridPos": place, "panels": []})
        top += 1
        for i, panel in enumerate(row):
            column, line = i % (_COLUMNS // _WIDTH), i // (_COLUMNS // _WIDTH)
            place = {
                "x": column * _WIDTH,
                "y": top + line * _HEIGHT,
                "w": _WIDTH,
                "h": _HEIGHT,
            }
            panels.append(_panel(panel, place))
        top += -(-len(row) // (_COLUMNS // _WIDTH)) * _HEIGHT
    for number, each in enumerate(panels, 1):
        each["id"] = number
    made = {
        "uid": "anyrouter",
        "title": "AnyRouter",
        "tags": ["anyrouter"],
        "timezone": "utc",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "panels": panels,
    }
    return json.dumps(made, indent=1) + "\n"


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "anyrouter-prometheus"}
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.question,
        "gridPos": place,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {
                "refId": "A",
                "datasource": source,
                "expr": panel.expression,
                "legendFormat": panel.legend,
            }
        ],
    }


def alerts() -> str:
    """Return the alert rules, as Prometheus reads them."""
    rules = [
        {
            "alert": f"AnyRouter{each.name}",
            "expr": each.expression,
            "for": each.after,
            "labels": {"severity": each.severity},
            "annotations": {"summary": each.summary, "todo": each.todo},
        }
        for each in ALERTS
    ]
    made = {"groups": [{"name": "anyrouter", "rules": rules}]}
    head = "# Made of ALERTS in rules.py, which is where to change them.\n"
    return head + yaml.safe_dump(made, sort_keys=False, width=1000, allow_unicode=False)


FILES = {"dashboard.json": dashboard, "alerts.yml": alerts}


def main() -> None:
    """Write the files."""
    for name, made in FILES.items():
        (FOLDER / name).write_text(made(), "utf-8")


if __name__ == "__main__":
    main()
