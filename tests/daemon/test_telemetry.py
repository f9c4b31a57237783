"""What a service tells of its board, and what a decision costs, on trees of files as a kernel makes them."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from edgesnn.board import Board
from edgesnn.daemon import telemetry as module
from edgesnn.daemon.schema import Telemetry as Section
from edgesnn.daemon.telemetry import OLD_S, SPAN_S, Telemetry
from edgesnn.publish.broker import free_port
from edgesnn.schemas import load_schema
from tests.daemon.test_home_assistant import documents, listener, value
from tests.daemon.test_service import RECORDING, configuration, one_broker, run, stream, subscribed, wait_for
from tests.sysfs import orin, server, write

__all__ = ["one_broker", "run"]  # fixtures
COUNTER = "class/powercap/intel-rapl:0/energy_uj"


class Scene:
    """A machine whose clock, counter and streams a test moves."""

    def __init__(self, root: Path, **keys: Any) -> None:
        self.root, self.now_s, self.joules = server(root), 50.0, 0.0
        shutil.rmtree(root / "class/powercap/intel-rapl:1")  # one package is enough
        self.one = SimpleNamespace(decisions={"label": 0, "none": 0, "idle": 0}, energy_uj=0.0)
        section = Section(sysfs=str(root), **keys)
        self.telemetry = Telemetry(section, lambda: [self.one], lambda: self.now_s)  # type: ignore[list-item, return-value]

    def second(self, watts: float, decisions: int, idle: int = 0, estimate_uj: float = 0.0) -> None:
        """Let a second pass, with so many decisions and windows without events."""
        self.now_s += 1.0
        self.joules += watts
        write(self.root, {COUNTER: round(self.joules * 1e6) % 1_000_000_000})
        self.one.decisions["label"] += decisions
        self.one.decisions["idle"] += idle
        self.one.energy_uj += decisions * estimate_uj
        self.telemetry._look()

    def energy(self) -> Any:
        return self.telemetry.facts()["energy_uj_per_decision"]


def test_measured_is_what_lies_above_idle_by_decision(tmp_path):
    scene = Scene(tmp_path, idle_power=4.0)
    scene.second(4.0, 0)
    for _ in range(5):
        scene.second(6.5, 50, idle=3, estimate_uj=120.0)
    # 5 s of 2.5 W above idle, 250 decisions
    assert scene.energy() == {"measured": pytest.approx(50_000.0), "estimated": 120.0}
    assert scene.telemetry.facts()["total_w"] == 6.5
    assert scene.telemetry.facts()["idle_w"] == 4.0


def test_of_the_last_ten_seconds_alone(tmp_path):
    scene = Scene(tmp_path, idle_power=1.0)
    for _ in range(30):
        scene.second(100.0, 1000)
    for _ in range(round(SPAN_S)):
        scene.second(2.0, 10)
    assert scene.energy()["measured"] == pytest.approx(100_000.0)


def test_nothing_is_measured_without_idle_power_decisions_or_a_gap(tmp_path):
    scene = Scene(tmp_path / "a")
    scene.second(4.0, 0)
    scene.second(6.0, 10, estimate_uj=2.0)
    assert scene.energy() == {"measured": None, "estimated": 2.0}

    scene = Scene(tmp_path / "b", idle_power=1.0)
    scene.second(4.0, 0)
    scene.second(6.0, 0, idle=5)
    assert scene.energy() == {"measured": None, "estimated": None}

    scene = Scene(tmp_path / "c", idle_power=1.0)
    scene.second(4.0, 0)
    (scene.root / COUNTER).rename(scene.root / "away")
    scene.now_s += 1.0
    scene.telemetry._look()
    (scene.root / "away").rename(scene.root / COUNTER)
    scene.second(4.0, 10)
    scene.second(4.0, 10)
    assert scene.energy()["measured"] is None


def test_a_reload_begins_anew_and_sensors_that_hang_are_not_told(tmp_path):
    scene = Scene(tmp_path, idle_power=1.0)
    scene.second(4.0, 0)
    scene.second(4.0, 100)
    scene.telemetry.begin_anew()
    assert scene.telemetry.facts() is None
    scene.second(4.0, 0)
    scene.second(4.0, 30)
    assert scene.energy()["measured"] == pytest.approx(100_000.0)
    scene.now_s += OLD_S + 4
    assert scene.telemetry.facts() is None


def test_a_machine_without_sensors_has_no_thread_and_tells_nothing(tmp_path):
    telemetry = Telemetry(Section(sysfs=str(tmp_path)), lambda: [])
    telemetry.start()
    assert not telemetry._thread.is_alive()
    assert telemetry.facts() is None


def test_nothing_is_measured_over_a_time_without_looks(tmp_path):
    write(tmp_path, {"class/hwmon/hwmon1/name": "ina3221", "class/hwmon/hwmon1/in1_label": "VDD_IN"})
    write(tmp_path, {"class/hwmon/hwmon1/in1_input": 5000, "class/hwmon/hwmon1/curr1_input": 1000})
    one, now = SimpleNamespace(decisions={"label": 0, "none": 0}, energy_uj=0.0), [50.0]
    section = Section(sysfs=str(tmp_path), idle_power=4.0)
    telemetry = Telemetry(section, lambda: [one], lambda: now[0])  # type: ignore[list-item, return-value]
    measured = []
    for step_s in (1.0, 1.0, SPAN_S + 5.0, *[1.0] * 12):
        now[0] += step_s
        one.decisions["label"] += round(10 * step_s)
        telemetry._look()
        measured.append(telemetry.facts()["energy_uj_per_decision"]["measured"])
    # 1 W above idle, 10 decisions a second: what is told is never anything else
    assert [value for value in measured if value is not None] == pytest.approx([100_000.0] * 3)
    assert measured[-1] is not None


def test_a_service_begins_without_sensors_that_hang(tmp_path, caplog, monkeypatch):
    answer = threading.Event()
    monkeypatch.setattr(module, "FIRST_S", 0.05)
    monkeypatch.setattr(Board, "look", lambda self: answer.wait(60))
    telemetry = Telemetry(Section(sysfs=str(orin(tmp_path))), lambda: [])
    telemetry.start()
    answer.set()
    assert (telemetry.has_power, telemetry.has_temperature) == (False, False)
    assert telemetry.facts() is None
    said = [record.message for record in caplog.records]
    assert said == ["the board's sensors do not answer: nothing is told of it (docs/telemetry.md)"]


def test_a_fault_at_the_first_look_is_said_as_such_and_not_waited_for(tmp_path, caplog, monkeypatch):
    def look(self: Board) -> None:
        raise ValueError("odd")

    monkeypatch.setattr(module, "FIRST_S", 60.0)  # longer than a test may take
    monkeypatch.setattr(Board, "look", look)
    telemetry = Telemetry(Section(sysfs=str(orin(tmp_path))), lambda: [])
    telemetry.start()
    assert telemetry.facts() is None
    assert not telemetry._thread.is_alive()
    (said,) = caplog.records
    assert said.message == "the board's sensors: this is a fault of edgesnn: please report it"
    assert str(said.exc_info[1]) == "odd"


def test_what_tells_nothing_is_said_once(tmp_path, caplog, monkeypatch):
    (orin(server(tmp_path)) / "class/thermal/thermal_zone2").mkdir()
    write(tmp_path, {"class/thermal/thermal_zone2/type": "gpu-thermal", "class/thermal/thermal_zone2/temp": 50_000})
    denied, opened = str(tmp_path / COUNTER), os.open

    def refuse(path: Any, *more: Any, **keys: Any) -> int:
        if str(path) == denied:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, *more, **keys)

    monkeypatch.setattr(os, "open", refuse)
    telemetry = Telemetry(Section(sysfs=str(tmp_path), rails=["VDD_IN", "VIN"]), lambda: [])
    monkeypatch.setattr(telemetry, "_run", lambda: None)
    telemetry.start()
    telemetry._look()
    said = [record.message for record in caplog.records]
    assert said == [
        "telemetry.rails: no rail VIN on this board (there are: VDD_IN, VDD_CPU_GPU_CV, package-0, package-1)",
        f"rail package-0 has no power: {denied}: permission denied (docs/telemetry.md)",
    ]
    current = tmp_path / "class/hwmon/hwmon4/curr1_input"
    current.unlink()
    (tmp_path / "class/thermal/thermal_zone2/temp").unlink()
    telemetry._look()
    write(tmp_path, {"class/hwmon/hwmon4/curr1_input": 400})
    telemetry._look()
    current.unlink()
    telemetry._look()
    assert [record.message for record in caplog.records][len(said) :] == [
        f"rail VDD_IN has no power: {current}: no such file or directory (docs/telemetry.md)",
        "thermal zone gpu-thermal tells nothing any more (docs/telemetry.md)",
    ]


def test_a_service_tells_its_board(one_broker, run, tmp_path):
    root, port = orin(tmp_path / "sys"), free_port()
    more = f'[http]\nport = {port}\n[home_assistant]\nenabled = true\n[telemetry]\nsysfs = "{root}"\nperiod = "100ms"\n'
    with subscribed(one_broker) as published, listener(one_broker) as told:
        daemon = run(configuration(one_broker, stream("door", f"replay:{RECORDING}?loop"), more=more))
        published.wait_for(1, "/door/prediction")
        wait_for(lambda: "/config" in documents(told), what=daemon.log)
        write(root, {"class/hwmon/hwmon4/curr1_input": 600})
        time.sleep(0.5)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            page = answer.read().decode()
        assert daemon.end() == 0, daemon.log
        stats = json.loads(published.wait_for(1, "/stats")[-1].payload)
        node = {key.rsplit(".", 1)[1]: part for key, part in documents(told)["/config"]["cmps"].items()}
        assert float(value(node["power"], published)) == 11.4
        assert float(value(node["temperature"], published)) == 48.5
    jsonschema.validate(stats, load_schema("stats-1"))
    assert stats["board"]["power_w"] == {"VDD_IN": 11.4, "VDD_CPU_GPU_CV": 1.9}
    assert stats["board"]["throttle_events"] == {"oc1": 2, "oc3": 0}
    assert stats["board"]["energy_uj_per_decision"]["measured"] is None
    for row in (
        'edgesnn_board_power_watts{rail="VDD_IN"} 11.4',
        "edgesnn_board_input_watts 11.4",
        'edgesnn_board_temperature_celsius{zone="cpu-thermal"} 48.5',
        'edgesnn_board_throttle_events_total{cause="oc1"} 2.0',
        'edgesnn_board_slowed_steps{device="cpufreq-cpu0"} 0.0',
    ):
        assert row in page
    assert 'edgesnn_energy_per_decision_joules{kind="estimated"}' in page
    assert 'kind="measured"' not in page
