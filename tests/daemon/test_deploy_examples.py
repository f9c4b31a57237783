"""The configurations in deploy/examples are right, and the example of recordings runs against a real broker."""

from __future__ import annotations

import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import edgesnn
from edgesnn.daemon.check import check
from edgesnn.daemon.reading import WrongConfigError, read
from edgesnn.publish.broker import available
from tests.brokers import KillableBroker, Subscriber
from tests.fake_drivers import FakeDrivers
from tests.predictions import validated

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "deploy" / "examples").glob("*.toml"))
URL = "mqtt://127.0.0.1:1883"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_right(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", FakeDrivers())
    check(read(str(path)), {})


def test_a_camera_whose_package_is_not_installed_is_an_error_with_its_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", None)
    path = str(ROOT / "deploy" / "examples" / "camera.toml")
    with pytest.raises(WrongConfigError) as caught:
        check(read(path), {})
    (error,) = caught.value.errors
    line = 1 + Path(path).read_text("utf-8").splitlines().index('source = "usb:evk4?rate_limit=5MHz"')
    where = f"{path}: line {line}: stream[0].source: usb:evk4?rate_limit=5MHz"
    assert str(error).startswith(f"{where}: neuromorphic_drivers cannot be imported")
    assert error.hint == "pip install 'edgesnn[camera]'"


def test_there_is_an_example():
    assert EXAMPLES


@pytest.mark.parametrize("kind", available())
def test_recordings_against_a_broker(kind, tmp_path):
    """Until both have seen a label; the first labels are those of a pipeline over the same file."""
    text = (ROOT / "deploy" / "examples" / "recording.toml").read_text("utf-8")
    assert URL in text
    protocol = "" if kind == "mosquitto" else 'protocol = "3.1.1"\n'
    with KillableBroker(kind, tmp_path) as broker, Subscriber(broker.broker, v5=kind == "mosquitto") as subscriber:
        path = tmp_path / "recording.toml"
        path.write_text(text.replace(f'"{URL}"\n', f'"{broker.url}"\n{protocol}') + "[http]\nenabled = false\n")
        command = [sys.executable, "-m", "edgesnn", "run", "-c", str(path)]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            try:
                gate = [validated(message) for message in subscriber.wait_for(6, "/gate/prediction", 30)][:6]
                yard = [validated(message) for message in subscriber.wait_for(2, "/yard/prediction", 30)]
                process.send_signal(signal.SIGTERM)
                _, said = process.communicate(timeout=30)
            finally:
                process.kill()
        statuses = [validated(message)["status"] for message in subscriber.wait_for(2, "/status")]
        changes = [validated(message) for message in subscriber.of("/yard/prediction")]
    assert process.returncode == 0, said
    assert (statuses[0], statuses[-1]) == ("online", "stopped")
    recording = str(ROOT / "recordings" / "left_arm_clockwise_noisy.raw")
    with edgesnn.Pipeline(recording, "gestures", filters=["hot_pixels"]) as pipeline:
        expected = [(one.window, one.decision, one.label, one.confidence) for one in pipeline]
    seen = [(one["window"], one["decision"], one["label"], one["confidence"]) for one in gate]
    assert seen[: len(expected)] == expected
    assert any(label for _, _, label, _ in expected)
    assert "hand_clap" in {one["label"] for one in yard}
    decided = [(one["decision"], one["label"]) for one in changes]
    assert all(before != after for before, after in pairwise(decided))
