"""A node of ROS 2 that predicts from a camera's EventPacket messages and publishes JSON.

    python3 -m venv --system-site-packages ~/edgesnn-venv      # so that it sees ROS 2's rclpy
    ~/edgesnn-venv/bin/pip install edgesnn
    source /opt/ros/humble/setup.bash
    ~/edgesnn-venv/bin/python examples/ros2_node.py --topic /event_camera/events --model gestures

Predictions go to the topic `predictions` as std_msgs/String. A message that is lost is counted, and damaged words are
passed over: see `Camera.counters`.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator
from typing import Any

import edgesnn


class Camera:
    """One camera's messages, decoded and predicted from. What a message leaves open goes on in the next."""

    def __init__(self, model: str) -> None:
        self._model = edgesnn.load(model)
        self._decoder: edgesnn.Decoder | None = None
        self._pipeline: edgesnn.Pipeline | None = None
        self._next_seq: int | None = None
        self.lost_packets = 0

    @property
    def counters(self) -> dict[str, int]:
        """What the decoder counted (docs/formats.md), with the messages that are missing."""
        counted = self._decoder.counters if self._decoder is not None else {}
        return {**counted, "lost_packets": self.lost_packets}

    def take(self, message: Any) -> Iterator[edgesnn.Prediction]:
        """Yield the predictions that a message completes."""
        decoder, pipeline = self._begun(message)
        if self._next_seq not in (None, message.seq):
            self.lost_packets += max(message.seq - self._next_seq, 1)
            decoder.lost()
        self._next_seq = message.seq + 1
        events, t_end_us = decoder.feed(message.events)
        stamp = message.header.stamp
        pipeline.push(events, stamp.sec * 10**9 + stamp.nanosec, t_end_us=t_end_us)
        while (prediction := pipeline.poll()) is not None:
            yield prediction

    def _begun(self, message: Any) -> tuple[edgesnn.Decoder, edgesnn.Pipeline]:
        """Return decoder and pipeline; the first message says what the camera is."""
        if self._decoder is None or self._pipeline is None:
            if message.encoding != "evt3":
                raise edgesnn.UsageError("another encoding", found=repr(message.encoding), expected="'evt3'")
            sensor = message.width, message.height
            self._decoder = edgesnn.Decoder("evt3", sensor=sensor, on_corrupt="skip", where="EventPacket")
            self._pipeline = edgesnn.Pipeline(None, self._model, sensor=sensor)
        return self._decoder, self._pipeline


class Lines(io.TextIOBase):
    """A stream of lines, each handed to `publish`."""

    def __init__(self, publish: Callable[[str], None]) -> None:
        self._publish = publish

    def write(self, text: str) -> int:
        """Publish a line."""
        self._publish(text.rstrip("\n"))
        return len(text)


def main() -> None:
    """Run the node until it is interrupted."""
    import rclpy
    from event_camera_msgs.msg import EventPacket
    from rclpy.node import Node
    from rclpy.qos import qos_profile_sensor_data
    from std_msgs.msg import String

    from edgesnn.publish import Publisher, new_boot_id
    from edgesnn.publish.sinks.jsonl import JsonlSink

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--topic", default="/event_camera/events")
    parser.add_argument("--model", default="gestures", help="a file, or a name in the zoo")
    options, others = parser.parse_known_args()

    rclpy.init(args=others)
    node = Node("edgesnn")
    camera = Camera(options.model)
    topic = node.create_publisher(String, "predictions", 10)
    sink = JsonlSink(Lines(lambda line: topic.publish(String(data=line))))
    with Publisher([sink], node="ros2", boot_id=new_boot_id()) as publisher:

        def on_message(message: EventPacket) -> None:
            for prediction in camera.take(message):
                publisher.write(prediction)

        node.create_subscription(EventPacket, options.topic, on_message, qos_profile_sensor_data)
        try:
            rclpy.spin(node)
        except KeyboardInterrupt:
            node.get_logger().info(f"counters: {camera.counters}")
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
