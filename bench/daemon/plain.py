"""The peer: paho-mqtt as its own examples use it, publishing at a steady rate, QoS 1.

    python -c "from bench.daemon.plain import main; main()" PORT HZ SECONDS BYTES nodelay|nagle

Each message begins with the monotonic time in ns at which it was handed over.
"""

from __future__ import annotations

import socket
import sys
import time
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


def _no_delay(_client: Any, _userdata: Any, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def publish(port: int, hz: float, seconds: float, size: int, *, no_delay: bool) -> None:
    """Publish and wait for the last acknowledgement."""
    client = paho.Client(CallbackAPIVersion.VERSION2, "bench-plain", protocol=paho.MQTTv5)
    if no_delay:
        client.on_socket_open = _no_delay
    client.connect("127.0.0.1", port)
    client.loop_start()
    began_s = time.monotonic()
    for number in range(int(hz * seconds)):
        time.sleep(max(0.0, began_s + number / hz - time.monotonic()))
        last = client.publish("plain/prediction", str(time.monotonic_ns()).encode().ljust(size), qos=1)
    last.wait_for_publish(30)
    client.disconnect()
    client.loop_stop()


def main() -> None:
    """Run it."""
    port, hz, seconds, size, how = sys.argv[1:]
    publish(int(port), float(hz), float(seconds), int(size), no_delay=how == "nodelay")
