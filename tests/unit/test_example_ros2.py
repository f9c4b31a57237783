"""examples/ros2_node.py with messages of rosbags' classes, and with a stand-in for rclpy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

import edgesnn
from tests.predictions import validated
from tests.property.ros_files import PACKET, Packet, message, store
from tests.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "recordings" / "air_drums.raw"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return load_script("examples/ros2_node.py")


def camera_messages() -> list[Any]:
    """The words of a recording in packets, cut anywhere."""
    recording = edgesnn.open(RECORDING)
    assert recording.format == "evt3"
    assert recording.sensor is not None
    data = b"".join(recording.chunks())
    cuts = [0, *np.sort(np.random.default_rng(1).integers(0, len(data), 300)).tolist(), len(data)]
    parts = [data[a:b] for a, b in pairwise(cuts)]
    return [message(Packet("evt3", part, 5 + seq, 0, recording.sensor), 2) for seq, part in enumerate(parts)]


def told(predictions: list[edgesnn.Prediction]) -> list[Any]:
    return [(p.window, p.decision, p.label, p.confidence, p.spikes) for p in predictions]


def test_its_predictions_are_those_of_the_recording(example: ModuleType) -> None:
    camera = example.Camera("gestures")
    seen = [prediction for one in camera_messages() for prediction in camera.take(one)]
    expected = list(edgesnn.Pipeline(RECORDING, "gestures"))
    assert len(seen) >= 2
    assert told(seen) == told(expected)[: len(seen)]
    assert len(expected) - len(seen) <= 1
    assert seen[0].stamp_ns == 12 * 10**9 + 34
    assert not any(camera.counters.values())


def test_missing_messages_are_counted_and_it_goes_on(example: ModuleType) -> None:
    camera = example.Camera("gestures")
    messages = camera_messages()
    seen = [prediction for one in [*messages[:100], *messages[103:]] for prediction in camera.take(one)]
    assert len(seen) >= 2
    assert camera.counters["lost_packets"] == 3


def test_another_encoding_is_refused(example: ModuleType) -> None:
    with pytest.raises(edgesnn.UsageError, match="found 'mono', expected 'evt3'"):
        list(example.Camera("gestures").take(message(Packet("mono", bytes(8)), 2)))


@pytest.mark.conformance
def test_a_real_camera_s_messages_give_the_predictions_of_its_bag(
    example: ModuleType, shared: Callable[[str], Path]
) -> None:
    path = shared("recordings/rosbag2_db3/event_camera_msgs_evt3.db3")
    camera, seen = example.Camera("gestures"), []
    with AnyReader([path], default_typestore=store(2)) as reader:
        for connection, _, raw in reader.messages():
            seen += camera.take(store(2).deserialize_cdr(raw, PACKET) if connection.msgtype == PACKET else None)
    assert len(seen) >= 2
    assert told(seen) == told(list(edgesnn.Pipeline(path, "gestures")))[: len(seen)]
    assert not any(camera.counters.values())


class FakeNode:
    """What the example asks of rclpy's node."""

    def __init__(self, name: str) -> None:
        self.callback: Callable[[Any], None] | None = None
        self.published: list[Any] = []

    def create_publisher(self, kind: Any, topic: str, depth: int) -> FakeNode:
        assert topic == "predictions"
        return self

    def publish(self, one: Any) -> None:
        self.published.append(one)

    def create_subscription(self, kind: Any, topic: str, callback: Callable[[Any], None], qos: Any) -> None:
        assert topic == "/cam/events"
        self.callback = callback

    def get_logger(self) -> Any:
        return SimpleNamespace(info=lambda text: self.published.append(text))

    def destroy_node(self) -> None:
        pass


def test_the_node_publishes_what_the_schema_says(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes: list[FakeNode] = []

    def made(name: str) -> FakeNode:
        nodes.append(FakeNode(name))
        return nodes[-1]

    def spin(node: FakeNode) -> None:
        assert node.callback is not None
        for one in camera_messages():
            node.callback(one)
        raise KeyboardInterrupt

    fakes: dict[str, dict[str, Any]] = {
        "rclpy": {"init": lambda args: None, "spin": spin, "try_shutdown": lambda: None},
        "rclpy.node": {"Node": made},
        "rclpy.qos": {"qos_profile_sensor_data": None},
        "std_msgs": {},
        "std_msgs.msg": {"String": SimpleNamespace},
        "event_camera_msgs": {},
        "event_camera_msgs.msg": {"EventPacket": object},
    }
    for name, attributes in fakes.items():
        module = ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys, "argv", ["ros2_node.py", "--topic", "/cam/events", "--ros-args"])
    example.main()
    (node,) = nodes
    *records, last = node.published
    assert len(records) >= 2
    for record in records:
        validated(SimpleNamespace(payload=record.data, topic="predictions/prediction"))
    assert "lost_packets" in last
