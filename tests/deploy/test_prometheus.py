"""Alert rules and dashboard: they name what is measured, and the rules fire when they should."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from local_stack.packages import need

from sagas.observability.metrics import METRICS, Kind, MetricName

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yml"
TESTS = ROOT / "deploy/prometheus/alerts_test.yml"
DASHBOARD = ROOT / "deploy/grafana/sagas.json"
GUIDE = ROOT / "docs/guides/observability.md"
OF_PROMETHEUS = {"le", "instance", "job"}
_METRIC = re.compile(r"\b(?P<name>sagas_\w+)(?P<matchers>\{[^}]*\})?")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_BY = re.compile(r"\bby\s*\(([^)]*)\)")
_LEGEND = re.compile(r"\{\{(\w+)\}\}")


def promtool(*arguments: str) -> str:
    """Run Prometheus's own checker; without one, skip at a developer's, and install it where CI is."""
    found = shutil.which("promtool")
    if found is None and os.environ.get("CI"):
        found = need("promtool", "prometheus")
    if found is None:
        pytest.skip("no promtool on this machine: apt-get install prometheus")
    ended = subprocess.run(
        [found, *arguments], cwd=RULES.parent, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def alerts() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        yield from (rule for rule in group["rules"] if "alert" in rule)


def panels() -> Iterator[dict[str, Any]]:
    yield from (one for one in json.loads(DASHBOARD.read_text())["panels"] if one["type"] != "row")


def targets() -> Iterator[dict[str, str]]:
    for panel in panels():
        yield from panel["targets"]


def used(expression: str) -> Iterator[tuple[MetricName, set[str]]]:
    """The metrics that an expression names, with the labels that it picks them by. Fails for others."""
    for found in _METRIC.finditer(expression):
        name = found["name"]
        base = re.sub(r"_(bucket|count|sum)$", "", name)
        metric = MetricName(base if base in set(MetricName) else name)
        if metric == base != name:
            assert METRICS[metric].kind is Kind.HISTOGRAM, name
        yield metric, set(_LABEL.findall(found["matchers"] or ""))


def check_expression(expression: str) -> set[MetricName]:
    """Every label is one of the metric's."""
    metrics = dict(used(expression))
    grouped = {one.strip() for by in _BY.findall(expression) for one in by.split(",")} - {""}
    for metric, matched in used(expression):
        known = set(METRICS[metric].labels) | OF_PROMETHEUS
        assert matched <= known, (expression, metric)
        assert grouped <= known, (expression, metric)
    return set(metrics)


def test_the_rules_fire_when_they_should() -> None:
    assert "SUCCESS" in promtool("check", "rules", RULES.name)
    assert "SUCCESS" in promtool("test", "rules", TESTS.name)


def test_every_alert_is_seen_firing_and_not_firing() -> None:
    quiet: set[str] = set()
    firing: set[str] = set()
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for one in test["alert_rule_test"]:
            (firing if one.get("exp_alerts") else quiet).add(one["alertname"])
    names = [alert["alert"] for alert in alerts()]
    assert len(names) == len(set(names))
    assert quiet == firing == set(names)


def test_alerts_name_what_is_measured_and_what_to_do() -> None:
    headings = {
        line.removeprefix("### ").strip().lower()
        for line in GUIDE.read_text().splitlines()
        if line.startswith("### ")
    }
    for alert in alerts():
        assert check_expression(alert["expr"]), alert
        assert alert["labels"]["severity"] in {"page", "ticket"}
        said = alert["annotations"]
        assert said["summary"]
        assert said["description"]
        file, _, anchor = said["runbook"].partition("#")
        assert ROOT / file == GUIDE
        assert anchor in headings, alert["alert"]


def test_the_dashboard_shows_every_metric() -> None:
    shown: set[MetricName] = set()
    for target in targets():
        expression = target["expr"]
        shown |= check_expression(expression)
        legend = set(_LEGEND.findall(target["legendFormat"]))
        grouped = {one.strip() for by in _BY.findall(expression) for one in by.split(",")}
        assert legend <= grouped | OF_PROMETHEUS, expression
    assert shown == set(MetricName)


def test_the_expressions_of_the_dashboard_are_right(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"dashboard:{number}",
            "expr": target["expr"].replace("$__rate_interval", "5m").replace("$", ""),
        }
        for number, target in enumerate(targets())
    ]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(file))


def test_panels_have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
