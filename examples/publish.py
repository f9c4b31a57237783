"""Publish predictions as a lasting node, from a program of your own.

    python examples/publish.py RECORDING mqtt://127.0.0.1:1883 [--node gate] [--speed 1x]

A lasting node leaves its status and each stream's last state at the broker, retained: who subscribes later knows at
once what is there. Where the program dies without a goodbye, the broker publishes `offline` for it (docs/mqtt.md).
"""

from __future__ import annotations

import argparse

import edgesnn
from edgesnn.broker_url import parse_broker
from edgesnn.publish import Publisher, new_boot_id
from edgesnn.publish.registry import make_sink


def main() -> None:
    """Predict, publish, say goodbye."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording")
    parser.add_argument("broker", help="mqtt://[user@]host[:port]; the password comes from EDGESNN_MQTT_PASSWORD")
    parser.add_argument("--node", default="gate", help="one topic level")
    parser.add_argument("--speed", default="1x")
    options = parser.parse_args()

    boot_id = new_boot_id()
    broker = parse_broker(options.broker)
    sink = make_sink("mqtt", broker=broker, node=options.node, boot_id=boot_id, role="example", transient=False)
    with Publisher([sink], node=options.node, boot_id=boot_id) as publisher:
        for prediction in edgesnn.Pipeline(options.recording, "gestures", speed=options.speed):
            publisher.write(prediction)
            print(prediction.decision, prediction.label, flush=True)
        publisher.finish()


if __name__ == "__main__":
    main()
