"""What QoS 0, 1 and 2 lose when the broker is killed, and what of that the client was told had arrived.

    python bench/qos.py [--runs 3]

mosquitto, in memory, is killed (SIGKILL) two seconds after the first of 3000 messages, 500 a second, and started again
a second later. paho-mqtt publishes and subscribes, with sessions that outlive a connection and its own sending again;
there is no outbox of ours. What has not come when nothing has moved for three seconds is lost. Such a message is
"hidden" where paho said that it was done, "warned" where the broker said that nobody subscribes (0x10, MQTT 5).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.common import record
from tests.brokers import KillableBroker

MESSAGES, RATE_HZ = 3000, 500
KILLED_S, AWAY_S, DRAIN_S = 2.0, 1.0, 15.0
NO_ONE = 0x10


class End:
    """A paho client with a session of its own, that comes back by itself."""

    def __init__(self, broker: KillableBroker, name: str) -> None:
        self.ready = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
        self.client.reconnect_delay_set(1, 1)
        self.client.max_inflight_messages_set(20)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 3600
        host, port = broker.broker.host, broker.broker.port
        self.client.on_connect = lambda *_: self.ready.set()
        self.client.connect(host, port, 5, clean_start=False, properties=properties)

    def begin(self) -> None:
        """Run its thread, and wait until it is ready."""
        self.client.loop_start()
        if not self.ready.wait(20):
            raise SystemExit("no connection to the broker")

    def end(self) -> None:
        """Leave."""
        self.client.disconnect()
        self.client.loop_stop()


def run_once(qos: int, folder: Path) -> dict[str, int]:
    """Return {"sent", "received", "lost", "warned", "hidden", "duplicates"} of one kill."""
    with KillableBroker("mosquitto", folder) as broker:
        subscriber, publisher = End(broker, "bench-subscriber"), End(broker, "bench-publisher")
        came: list[int] = []
        told: dict[int, int] = {}
        subscriber.client.on_connect = lambda client, *_: client.subscribe("bench", qos)
        subscriber.client.on_subscribe = lambda *_: subscriber.ready.set()
        subscriber.client.on_message = lambda _c, _u, message: came.append(int(message.payload))
        publisher.client.on_publish = lambda _c, _u, mid, reason, _p: told.__setitem__(mid, reason.value)
        subscriber.begin()
        publisher.begin()
        killer = threading.Thread(target=_kill, args=(broker,))
        killer.start()
        mids = _send(publisher.client, qos)
        killer.join()
        _settle(came, told, mids)
        publisher.end()
        subscriber.end()
    done = {number for number, mid in enumerate(mids) if told.get(mid, 0x80) < 0x80}
    warned = {number for number in done if told[mids[number]] == NO_ONE}
    lost = set(range(MESSAGES)) - set(came)
    return {
        "sent": MESSAGES,
        "received": len(set(came)),
        "lost": len(lost),
        "warned": len(lost & warned),
        "hidden": len(lost & done - warned),
        "duplicates": len(came) - len(set(came)),
    }


def _kill(broker: KillableBroker) -> None:
    time.sleep(KILLED_S)
    broker.kill()
    time.sleep(AWAY_S)
    broker.start()


def _send(client: paho.Client, qos: int) -> list[int]:
    began, mids = time.monotonic(), []
    for number in range(MESSAGES):
        time.sleep(max(0.0, began + number / RATE_HZ - time.monotonic()))
        mids.append(client.publish("bench", str(number).encode().ljust(200), qos).mid)
    return mids


def _settle(came: list[int], told: dict[int, int], mids: list[int]) -> None:
    """Wait until nothing has come for three seconds, `DRAIN_S` at most."""
    until, last, since = time.monotonic() + DRAIN_S, -1, time.monotonic()
    while time.monotonic() < until and time.monotonic() - since < 3.0:
        if (now := len(came) + len(told)) != last:
            last, since = now, time.monotonic()
        time.sleep(0.1)


def main() -> int:
    """Print a row for each QoS and run; record them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    results: dict[str, list[dict[str, int]]] = {str(qos): [] for qos in (0, 1, 2)}
    for _ in range(runs):
        for qos in (0, 1, 2):
            with tempfile.TemporaryDirectory() as folder:
                found = run_once(qos, Path(folder))
            results[str(qos)].append(found)
            print(f"QoS {qos}: {found}", flush=True)
    facts: dict[str, Any] = {"rate_hz": RATE_HZ, "killed_s": KILLED_S, "away_s": AWAY_S}
    record("qos", {**facts, "qos": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
