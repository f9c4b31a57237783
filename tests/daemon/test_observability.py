"""What dashboards, alerts and telegraf name is what a running service says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

import jsonschema
import pytest
import yaml
from paho.mqtt import publish

from edgesnn.daemon.toml import loads
from edgesnn.publish.broker import available, free_port
from tests.brokers import KillableBroker
from tests.daemon.test_service import RECORDING, ROOT, Daemon, configuration, stream, subscribed, wait_for
from tests.sysfs import orin
from tools import promql
from tools.make_dashboard import dashboard
from tools.promql import Labels
from tools.show_homes import check as check_schema

FOLDER = ROOT / "deploy" / "observability"
LABELS = re.compile(r"(edgesnn_\w+|process_\w+)\{([^}]*)\}")


RULES = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"][0]["rules"]
TARGET = {"job": "edgesnn", "instance": "gate-1:9469"}
MINUTES = 20  # longer than any rule looks back or waits; two scrapes a minute
PROMTOOL = shutil.which("promtool")
Change = tuple[str, dict[str, str], float]  # of the rows of this name and these labels: to the value, or by it a minute
RAISED: dict[str, tuple[Change, ...]] = {
    "EdgesnnAbsent": (("up", {}, 0),),
    "EdgesnnDegraded": (("edgesnn_healthy", {}, 0),),
    "EdgesnnNoBroker": (("edgesnn_broker_connected", {}, 0),),
    "EdgesnnStreamDown": (("edgesnn_stream_state", {"stream": "door", "state": "dead"}, 1),),
    "EdgesnnSilent": (("edgesnn_decision_rate_hertz", {"stream": "door"}, 0),),
    "EdgesnnDeadlinesMissed": (("edgesnn_deadlines_missed_total", {"stream": "door"}, 3),),
    "EdgesnnInputDropped": (("edgesnn_events_dropped_total", {"stream": "door", "reason": "ring_full"}, 5),),
    "EdgesnnLinesDropped": (("edgesnn_lines_dropped_total", {"stream": "log", "reason": "restarted"}, 1),),
    "EdgesnnPredictionsLost": (("edgesnn_outbox_dropped_total", {"reason": "expired"}, 2),),
    "EdgesnnOutboxOld": (("edgesnn_outbox_oldest_seconds", {}, 301),),
    "EdgesnnOutboxInMemory": (("edgesnn_outbox_in_memory", {}, 7),),
    "EdgesnnThrottled": (("edgesnn_board_throttle_events_total", {"cause": "oc1"}, 1),),
    "EdgesnnRestarts": (("edgesnn_restarts_total", {"stream": "door"}, 1),),
}
AS_IT_SHOULD = ("between_windows", "unfinished_window", "refractory", "restarted", "stopped")
LOSSES = ("ring_full", "decimated", "window_full", "impossible_event")
OTHERWISE: list[tuple[str, Change]] = [  # the other causes of a rule of several
    *(
        ("EdgesnnInputDropped", ("edgesnn_events_dropped_total", {"stream": "door", "reason": reason}, 5))
        for reason in LOSSES
    ),
    ("EdgesnnPredictionsLost", ("edgesnn_queue_dropped_total", {}, 2)),
    ("EdgesnnThrottled", ("edgesnn_board_slowed_steps", {"device": "cpufreq-cpu0"}, 2)),
]
STEADY: list[Change] = [
    *(("edgesnn_events_dropped_total", {"stream": "door", "reason": reason}, 500) for reason in AS_IT_SHOULD),
    ("edgesnn_stream_state", {"stream": "log", "state": "idle"}, 1),
    ("up", {}, 1),
    ("edgesnn_healthy", {}, 1),
    ("edgesnn_broker_connected", {}, 1),
    ("edgesnn_decision_rate_hertz", {"stream": "door"}, 4),
    ("edgesnn_stream_state", {"stream": "door", "state": "live"}, 1),
    ("edgesnn_outbox_oldest_seconds", {}, 1),
    ("edgesnn_outbox_in_memory", {}, 0),
    ("edgesnn_decisions_total", {"stream": "door", "decision": "label"}, 100),
    ("edgesnn_decisions_total", {"stream": "door", "decision": "none"}, 100),
    ("edgesnn_decisions_total", {"stream": "door", "decision": "idle"}, 900),
    ("edgesnn_deadlines_missed_total", {"stream": "door"}, 1),  # half of a hundredth
]


def expressions() -> list[str]:
    board = json.loads((FOLDER / "dashboard.json").read_text())
    queries = [one["definition"] for one in board["templating"]["list"] if "definition" in one]
    return [one["expr"] for one in RULES] + [t["expr"] for p in board["panels"] for t in p["targets"]] + queries


def panels() -> Iterator[tuple[str, str]]:
    """Yield each query of the dashboard, for all boards and streams, and its legend."""
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield promql.everything(target["expr"]), target["legendFormat"]


def series(page: str, changes: Sequence[Change]) -> dict[Labels, tuple[float, float]]:
    """Return of each row of a service its value and what comes to it a minute, after these changes."""
    found = {row: (float(round(value)), 0.0) for row, value in promql.rows(page, **TARGET).items()}
    for name, labels, value in changes:
        wanted = {(promql.NAME, name), *labels.items()}
        rows = [row for row in found if wanted <= row]
        if not rows and name == "edgesnn_stream_state":  # the row of another state
            rows = [row for row in found if {(promql.NAME, name), ("stream", labels["stream"])} <= row]
            del found[rows[0]]
            rows = [promql.without(rows[0], "state") | {("state", labels["state"])}]
        assert rows, f"a running service has no row {name} {labels}"
        for row in rows:
            found[row] = (1000.0, float(value)) if name.endswith("_total") else (float(value), 0.0)
    return found


def scrapes(of: dict[Labels, tuple[float, float]]) -> list[promql.Page]:
    steps = range(2 * MINUTES + 1)
    return [(30.0 * step, {row: begin + step / 2 * more for row, (begin, more) in of.items()}) for step in steps]


def alerts(pages: list[promql.Page]) -> dict[str, list[dict[str, str]]]:
    """Return the labels of the rows that each rule gives, by alert."""
    found = {rule["alert"]: promql.evaluate(rule["expr"], pages) for rule in RULES}
    return {name: [dict(promql.without(row, promql.NAME)) for row in rows] for name, rows in found.items() if rows}


def metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> tuple[str, Any, Any, Any]:
    """Return the page of metrics, a prediction, stats and `tools.show_homes` of a service on a board that measures."""
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    with KillableBroker(available()[0], folder) as broker, subscribed(broker) as subscriber:
        more = f"[http]\nport = {port}\n[commands]\nenabled = true\n[home_assistant]\nenabled = true\n"
        more += f'[telemetry]\nsysfs = "{orin(folder / "sys")}"\nperiod = "100ms"\nidle_power = 1.0\n'
        door = stream("door", f"replay:{RECORDING}?loop", 'filters = ["refractory:period=1ms"]')
        (folder / "app.log").touch()
        log = f'[[stream]]\nname = "log"\nsource = "{folder / "app.log"}"\nmodel = "shakespeare"\nfollow = true\n'
        (folder / "config.toml").write_text(configuration(broker, door, log, more=more))
        daemon = Daemon(folder / "config.toml")
        try:
            prediction = json.loads(subscriber.wait_for(1)[0].payload)
            wait_for(lambda: 'kind="measured"' in metrics(port), what=daemon.log)
            wait_for(lambda: "edgesnn_lines_in_total{" in metrics(port), what=daemon.log)
            (folder / "app.log").write_text("ROMEO:\n")
            protocol = "auto" if broker.kind == "mosquitto" else "3.1.1"
            places = [
                "--mqtt",
                broker.url,
                "--mqtt-protocol",
                protocol,
                "--metrics",
                f"http://127.0.0.1:{port}/metrics",
            ]
            place = {"hostname": broker.broker.host, "port": broker.broker.port, "retain": True}
            publish.single("homeassistant/device/another/config", "of other people", 1, **place)
            command = [sys.executable, "-m", "tools.show_homes", *places]
            shown = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
            page = metrics(port)
            assert daemon.end() == 0, daemon.log
            stats = json.loads(subscriber.wait_for(1, "/stats")[-1].payload)
        finally:
            daemon.process.kill()
            daemon.process.wait()
    return page, prediction, stats, json.loads(shown)


def test_names_are_those_of_a_running_service(said):
    page, prediction, stats, _ = said
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
    consumers = loads((FOLDER / "telegraf.conf").read_text())["inputs"]["mqtt_consumer"]
    for consumer, record in zip(consumers, (prediction, stats), strict=True):
        assert consumer["topics"][0].endswith(record["schema"].removeprefix("edgesnn.").removesuffix("/1"))
        layout = consumer["json_v2"][0]
        for path in [layout["timestamp_path"], *(one["path"] for one in layout["tag"] + layout["field"])]:
            found: Any = record
            for level in path.split("."):
                assert level in found, path
                found = found[level]


def test_every_alert_is_raised_by_what_it_is_for_and_by_nothing_else(said):
    page = said[0]
    assert alerts(scrapes(series(page, STEADY))) == {}
    assert set(RAISED) == {rule["alert"] for rule in RULES}
    for alert, changes in [*RAISED.items(), *((alert, (change,)) for alert, change in OTHERWISE)]:
        found = alerts(scrapes(series(page, [*STEADY, *changes])))
        assert set(found) == {alert}, changes
        (row,) = found[alert]
        (summary,) = [rule["annotations"]["summary"] for rule in RULES if rule["alert"] == alert]
        assert set(re.findall(r"\$labels\.(\w+)", summary)) <= set(row), summary
        assert all(row.get(name, value) == value for _, labels, _ in changes for name, value in labels.items())


def test_every_reason_to_drop_is_a_loss_or_as_it_should_be(said):
    reasons = set(re.findall(r'^edgesnn_events_dropped_total\{.*\breason="(\w+)"', said[0], re.MULTILINE))
    assert reasons == {*LOSSES, *AS_IT_SHOULD}


def test_every_query_of_the_dashboard_has_rows_and_its_legend_their_labels(said):
    pages = scrapes(series(said[0], STEADY))
    for query, legend in panels():
        found = promql.evaluate(query, pages)
        assert found, query
        for row in found:
            assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= set(dict(row)), query


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
def test_prometheus_gives_the_same_rows(said, tmp_path):
    scenes = [[], *([*changes] for changes in RAISED.values()), *([change] for _, change in OTHERWISE)]
    tests = []
    for changes in scenes:
        of = series(said[0], [*STEADY, *changes])
        pages = scrapes(of)
        severity = {rule["alert"]: rule["labels"]["severity"] for rule in RULES}
        firing = [
            {promql.NAME: "ALERTS", "alertname": name, "alertstate": "firing", "severity": severity[name], **row}
            for name, rows in alerts(pages).items()
            for row in rows
        ]
        checks = [check('ALERTS{alertstate="firing"}', firing, 1)]
        for query, _ in panels() if not changes else ():
            rows = [dict(promql.without(row, promql.NAME)) for row in promql.evaluate(query, pages)]
            checks.append(check(f"0 * ({query})", rows, 0))
        inputs = [
            {"series": written(dict(row)), "values": f"{begin}+{more / 2}x{2 * MINUTES}"}
            for row, (begin, more) in of.items()
        ]
        tests.append({"interval": "30s", "input_series": inputs, "promql_expr_test": checks})
    (tmp_path / "rules.yaml").write_text((FOLDER / "rules.yaml").read_text())
    (tmp_path / "test.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "30s", "tests": tests})
    )
    done = subprocess.run([str(PROMTOOL), "test", "rules", tmp_path / "test.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def check(query: str, rows: list[dict[str, str]], value: float) -> dict[str, Any]:
    samples = [{"labels": written(row), "value": value} for row in rows]
    return {"expr": query, "eval_time": f"{MINUTES}m", "exp_samples": samples}


def written(labels: dict[str, str]) -> str:
    more = ", ".join(f"{name}={json.dumps(value)}" for name, value in labels.items() if name != promql.NAME)
    return f"{labels.get(promql.NAME, '')}{{{more}}}"


def test_what_home_assistant_and_grafana_get_is_shown_with_its_values(said):
    shown = said[3]
    topics = [one["topic"].removeprefix("homeassistant/device/edgesnn-gate-1/") for one in shown["home_assistant"]]
    assert topics == ["config", "door/config", "log/config"]
    node, door, _ = shown["home_assistant"]
    assert node["available"]
    assert door["available"]
    values = {name.rsplit(".", 1)[1]: value for one in (node, door) for name, value in one["shows"].items()}
    assert (values["power"], values["temperature"], values["problem"]) == ("7.6", "48.5", "OFF")
    assert values["label"] in door["document"]["cmps"]["edgesnn-gate-1.door.label"]["options"]
    assert float(values["rate"]) > 0
    assert float(values["latency"]) > 0
    rows = {one["query"]: one["rows"] for one in shown["grafana"]}
    assert set(rows) == {target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]}
    assert rows["sum(edgesnn_healthy)"] == {"healthy": 1.0}
    assert [value for query, found in rows.items() if "input_watts" in query for value in found.values()] == [7.6]
    assert sum(sum(found.values()) for query, found in rows.items() if "decisions_total" in query) > 0


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("panels", 0, "targets", 0, "expr"), ""),
        (("panels", 0, "type"), "graph"),
        (("panels", 0, "gridPos", "w"), 25),
        (("panels", 0, "fieldConfig", "defaults", "unit"), "Hz"),
        (("templating", "list", 0, "type"), "prometheus"),
        (("time", "from"), "1h"),
        (("schemaVersion",), "39"),
    ],
)
def test_a_dashboard_that_grafana_would_not_take_is_refused(place, value):
    document: Any = json.loads((FOLDER / "dashboard.json").read_text())
    check_schema(document, "grafana-dashboard")
    *levels, last = place
    inner = document
    for level in levels:
        inner = inner[level]
    inner[last] = value
    with pytest.raises(jsonschema.ValidationError):
        check_schema(document, "grafana-dashboard")


def test_a_rate_is_that_of_the_samples_in_its_range_and_a_counter_may_begin_anew():
    row = frozenset({(promql.NAME, "c_total"), ("a", "x")})
    pages = [(60.0 * minute, {row: value}) for minute, value in enumerate((900.0, 0.0, 30.0, 90.0, 12.0))]
    (rate,) = promql.evaluate("rate(c_total[3m])", pages).values()
    assert rate == pytest.approx((60 + 12) / 120)
    (more,) = promql.evaluate('0.5 * sum by (a) (increase(c_total{a=~"x|y"}[3m]))', pages).values()
    assert more == pytest.approx(0.5 * 180 * (60 + 12) / 120)


@pytest.mark.parametrize("text", ["a +", "a - b", "a offset 5m", "rate(a)", "5", "a * b", "histogram_quantile(0.9, a)"])
def test_what_is_no_part_of_it_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        promql.evaluate(text, [(0.0, {frozenset({(promql.NAME, "a")}): 1.0, frozenset({(promql.NAME, "b")}): 1.0})])


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
