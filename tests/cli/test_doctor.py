"""`edgesnn doctor`: the report, and its exit codes."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgesnn.cli.doctor import _extra
from edgesnn.publish.broker import available
from edgesnn.runtime.backends.onnx import OnnxBackend
from edgesnn.runtime.backends.tensorrt import TensorrtBackend
from tests.brokers import KillableBroker

tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

ROOT = Path(__file__).resolve().parents[2]


def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgesnn", "doctor", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_healthy_installation():
    done = doctor("--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["exit_code"] == 0
    assert report["native"]["available"]
    assert report["native"]["arm"] in report["native"]["arms"]
    assert "scalar" in report["native"]["arms"]
    others = {"onnx": OnnxBackend().available(), "tensorrt": TensorrtBackend().available()}
    assert report["backends"] == {"native": None, "reference": None, **others}
    assert all(model["error"] is None for model in report["zoo"].values())
    assert report["clock"]["synchronised"] in (True, False, None)


def test_the_text_names_everything_the_data_has():
    text = doctor().stdout
    for word in ("native", "backend", "broker", "clock", "numpy", "paho-mqtt"):
        assert word in text


def test_an_extra_is_listed_with_each_of_its_packages():
    """As pyproject.toml has them; of `train` what training itself needs, and TensorRT, which is in no registry."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = pyproject["project"]["optional-dependencies"]
    report = json.loads(doctor("--json").stdout)["extras"]
    assert set(report) == {"broker", "camera", "daemon", "events", "nir", "onnx", "tensorrt", "tokens", "train"}
    for name, versions in report.items():
        always = [package for package in named[name] if "python_version" not in package]
        packages = [re.split("[>=]", package)[0].replace("-", "_") for package in always]
        packages += ["tensorrt"] if name == "tensorrt" else []
        assert list(versions) == (["torch"] if name == "train" else packages)
        for package, version in versions.items():
            found = importlib.util.find_spec(package) is not None
            assert version == (importlib.metadata.version(package) if found else None)


def test_of_an_extra_that_is_there_in_part_the_missing_packages_are_named():
    versions = {"h5py": "3.11.0", "lz4": None}
    assert _extra(versions) == "h5py 3.11.0, lz4 missing"
    assert _extra(dict.fromkeys(versions)) == "not installed"


def test_each_arm_that_can_run_is_taken_when_it_is_asked_for():
    for arm in json.loads(doctor("--json").stdout)["native"]["arms"]:
        assert json.loads(doctor("--json", EDGESNN_ARM=arm).stdout)["native"]["arm"] == arm


def test_an_arm_that_cannot_run_is_exit_code_7_and_named():
    done = doctor(EDGESNN_ARM="abacus")
    assert done.returncode == 7
    assert "abacus" in done.stdout
    assert done.stderr == ""


def test_what_the_environment_says_steers_no_terminal_and_fills_no_page():
    arm = "a\nb\x1b[2J\u202e" + "c" * 5000
    done = doctor(EDGESNN_ARM=arm)
    assert done.returncode == 7
    assert all(line.isprintable() and len(line) < 300 for line in done.stdout.split("\n"))
    (native,) = (line for line in done.stdout.split("\n") if line.startswith("native "))
    assert "found a\ufffdb\ufffd[2J\ufffdccc" in native
    assert "ccc..., expected scalar" in native


def test_a_model_of_tokens_has_no_sensor_and_no_window():
    lines = [line for line in doctor().stdout.splitlines() if line.startswith("model ")]
    assert any(line.endswith(" shakespeare: int8, tokens: lines of text") for line in lines)
    assert any(line.endswith(" gestures: int8, sensor 128x128, window 500 ms") for line in lines)


@pytest.mark.parametrize("kind", available())
def test_a_named_broker_that_accepts_us(kind, tmp_path):
    with KillableBroker(kind, tmp_path) as broker:
        done = doctor("--mqtt", broker.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "accepts us" in done.stdout


def test_a_named_broker_that_is_not_there_is_exit_code_6():
    done = doctor("--mqtt", "mqtt://127.0.0.1:1", "--json")
    assert done.returncode == 6
    assert json.loads(done.stdout)["broker"]["reachable"] is False
    (line,) = (line for line in doctor("--mqtt", "mqtt://127.0.0.1:1").stdout.splitlines() if "broker  " in line)
    assert line.count("127.0.0.1:1") == 1


@pytest.mark.skipif("mosquitto" not in available(), reason="mosquitto is not installed: no broker that asks who we are")
def test_a_named_broker_that_refuses_us_is_exit_code_6_with_the_remedy(tmp_path):
    with KillableBroker("mosquitto", tmp_path, password=("ann", "secret")) as broker:
        done = doctor("--mqtt", broker.url)
    assert done.returncode == 6
    assert "EDGESNN_MQTT_PASSWORD" in done.stdout


@pytest.mark.skipif("amqtt" not in available(), reason="amqtt is not installed: no broker that speaks 3.1.1 only")
def test_a_named_broker_is_asked_in_the_protocol_that_was_named(tmp_path):
    with KillableBroker("amqtt", tmp_path) as broker:
        assert doctor("--mqtt", broker.url, "--mqtt-protocol", "3.1.1").returncode == 0
        assert doctor("--mqtt", broker.url, "--mqtt-protocol", "5").returncode == 6
