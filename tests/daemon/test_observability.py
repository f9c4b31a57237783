"""What dashboards, alerts and telegraf name is what a running service says."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgesnn.daemon.toml import loads
from edgesnn.publish.broker import free_port
from tests.daemon.test_service import RECORDING, configuration, one_broker, run, stream, subscribed, wait_for
from tests.sysfs import orin
from tools.make_dashboard import dashboard

__all__ = ["one_broker", "run"]  # fixtures
FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "observability"
LABELS = re.compile(r"(edgesnn_\w+|process_\w+)\{([^}]*)\}")


def expressions() -> list[str]:
    rules = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"][0]["rules"]
    board = json.loads((FOLDER / "dashboard.json").read_text())
    queries = [one["definition"] for one in board["templating"]["list"] if "definition" in one]
    return [one["expr"] for one in rules] + [t["expr"] for p in board["panels"] for t in p["targets"]] + queries


def metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()


@pytest.fixture
def said(one_broker, run, tmp_path) -> Any:
    """Return the page of metrics, a prediction and stats of a service on a board that measures."""
    port, board = free_port(), orin(tmp_path / "sys")
    with subscribed(one_broker) as subscriber:
        more = f"[http]\nport = {port}\n[commands]\nenabled = true\n"
        more += f'[telemetry]\nsysfs = "{board}"\nperiod = "100ms"\nidle_power = 1.0\n'
        daemon = run(configuration(one_broker, stream("door", f"replay:{RECORDING}?loop"), more=more))
        prediction = json.loads(subscriber.wait_for(1)[0].payload)
        wait_for(lambda: 'kind="measured"' in metrics(port), what=daemon.log)
        page = metrics(port)
        assert daemon.end() == 0, daemon.log
        stats = json.loads(subscriber.wait_for(1, "/stats")[-1].payload)
    return page, prediction, stats


def test_names_are_those_of_a_running_service(said):
    page, prediction, stats = said
    # a counter without a row yet is named by its type alone
    known = set(re.findall(r"^# TYPE (\w+) ", page, re.MULTILINE))
    rows = dict(re.findall(r"^(\w+)\{([^}]*)\}", page, re.MULTILINE))
    for expression in expressions():
        names = re.findall(r"\b(?:edgesnn|process)_\w+", re.sub(r"\{[^}]*\}", "", expression))
        assert names or expression.startswith("up{"), expression
        for name in names:
            assert name in known, f"{name} of {expression}"
        for name, labels in LABELS.findall(expression):
            for label in re.findall(r"(\w+)[=!]~?", labels):
                assert label == "instance" or name not in rows or f'{label}="' in rows[name], (name, label)
    for panel in json.loads((FOLDER / "dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            for name in set(re.findall(r"\b(?:edgesnn|process)_\w+", target["expr"])) & set(rows):
                for label in set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) - {"instance"}:
                    assert f'{label}="' in rows[name], (name, label)
    consumers = loads((FOLDER / "telegraf.conf").read_text())["inputs"]["mqtt_consumer"]
    for consumer, record in zip(consumers, (prediction, stats), strict=True):
        assert consumer["topics"][0].endswith(record["schema"].removeprefix("edgesnn.").removesuffix("/1"))
        layout = consumer["json_v2"][0]
        for path in [layout["timestamp_path"], *(one["path"] for one in layout["tag"] + layout["field"])]:
            found: Any = record
            for level in path.split("."):
                assert level in found, path
                found = found[level]


def test_the_dashboard_is_what_its_script_makes():
    assert json.loads((FOLDER / "dashboard.json").read_text()) == dashboard()


def test_panels_do_not_overlap():
    places = set()
    for panel in dashboard()["panels"]:
        grid = panel["gridPos"]
        squares = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not places & squares
        assert max(x for x, _ in squares) < 24
        places |= squares
