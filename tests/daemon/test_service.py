"""`edgesnn run` with a real broker: what it publishes, how it starts, fails, reloads and ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import edgesnn
from edgesnn.publish.broker import available, free_port
from tests.brokers import KillableBroker, Subscriber
from tests.predictions import validated

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "recordings" / "hand_clap.raw"
MODEL = "gestures"
SAME = ("window", "sensor", "decision", "label", "class", "confidence", "topk", "spikes", "synops")


class Daemon:
    """`edgesnn run` in a process of its own."""

    def __init__(
        self, configuration: Path, environment: dict[str, str] | None = None, prefix: Sequence[str] = ()
    ) -> None:
        self.said = configuration.with_suffix(".log")
        command = [*prefix, sys.executable, "-m", "edgesnn", "run", "-c", str(configuration)]
        with self.said.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "XDG_STATE_HOME": str(configuration.parent), **(environment or {})},
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return self.said.read_text()

    def tell(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.tell(number)
        return self.process.wait(30)


@pytest.fixture(params=available())
def broker(request, tmp_path) -> Iterator[KillableBroker]:
    with KillableBroker(request.param, tmp_path) as running:
        yield running


@pytest.fixture
def one_broker(tmp_path) -> Iterator[KillableBroker]:
    with KillableBroker(available()[0], tmp_path) as running:
        yield running


@pytest.fixture
def run(tmp_path) -> Iterator[Callable[..., Daemon]]:
    started: list[Daemon] = []

    def start(text: str, environment: dict[str, str] | None = None) -> Daemon:
        path = tmp_path / "config.toml"
        path.write_text(text, "utf-8")
        started.append(Daemon(path, environment))
        return started[-1]

    yield start
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()


def configuration(broker: KillableBroker, *streams: str, more: str = "") -> str:
    protocol = "auto" if broker.kind == "mosquitto" else "3.1.1"
    """Return a configuration; without a subscriber its end does not wait for one."""
    head = f'[node]\nname = "gate-1"\n[mqtt]\nurl = "{broker.url}"\nprotocol = "{protocol}"\n[outbox]\ndrain = "2s"\n'
    return head + (more or "[http]\nenabled = false\n") + "".join(streams)


def stream(name: str, source: str, *keys: str) -> str:
    lines = [f'name = "{name}"', f'source = "{source}"', f'model = "{MODEL}"', *keys]
    return "[[stream]]\n" + "\n".join(lines) + "\n"


def subscribed(broker: KillableBroker) -> Subscriber:
    return Subscriber(broker.broker, v5=broker.kind == "mosquitto")


def wait_for(found: Callable[[], Any], timeout_s: float = 60.0, what: str = "") -> Any:
    deadline = time.monotonic() + timeout_s
    while not (value := found()):
        assert time.monotonic() < deadline, what or "what was waited for did not come"
        time.sleep(0.02)
    return value


def pending(port: int) -> int:
    """Return how many predictions wait in the outbox, as /metrics says it."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            found = re.search(r"^edgesnn_outbox_pending (\d+)", answer.read().decode(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def assert_counted(counters: dict[str, int]) -> None:
    dropped = sum(count for name, count in counters.items() if name.startswith("dropped."))
    assert counters["events_in"] == counters["processed"] + dropped + counters["pending"] > 0


def states(subscriber: Subscriber) -> dict[str, str]:
    """Return stream -> state as the last health says it."""
    messages = subscriber.of("/health")
    record = validated(messages[-1]) if messages else {"streams": {}}
    return {name: one["state"] for name, one in record["streams"].items()}


def test_a_recording_s_predictions_arrive_once_in_order_as_a_pipeline_makes_them(broker, run):
    """The oracle is the chain in the caller's thread: other code from the ring on, and no broker."""
    with edgesnn.Pipeline(str(RECORDING), MODEL) as pipeline:
        expected = [prediction.to_dict() for prediction in pipeline]
    with subscribed(broker) as subscriber:
        daemon = run(configuration(broker, stream("door", str(RECORDING)), stream("yard", str(RECORDING))))
        assert daemon.process.wait(30) == 0, daemon.log
        for name in ("door", "yard"):
            messages = subscriber.wait_for(len(expected), f"/{name}/prediction")
            records = [validated(message) for message in messages]
            assert [record["seq"] for record in records] == list(range(len(expected)))
            assert [{key: record[key] for key in SAME} for record in records] == [
                {key: record[key] for key in SAME} for record in json.loads(json.dumps(expected))
            ]
            assert {record["node"] for record in records} == {"gate-1"}
        statuses = [validated(message)["status"] for message in subscriber.wait_for(2, "/status")]
        assert (statuses[0], statuses[-1]) == ("online", "stopped")
        stats = validated(subscriber.wait_for(1, "/stats")[-1])
        config = validated(subscriber.wait_for(1, "/config")[-1])
    assert "all streams have ended" in daemon.log
    assert config["config"]["stream"][0]["source"] == str(RECORDING)
    for one in stats["streams"].values():
        assert_counted(one["counters"])
        assert sum(one["decisions"].values()) == len(expected)
    assert stats["outbox"]["acknowledged"] == 2 * len(expected)


def test_sigterm_delivers_what_was_predicted_and_ends_with_0(one_broker, run):
    with subscribed(one_broker) as subscriber:
        daemon = run(configuration(one_broker, stream("door", f"replay:{RECORDING}?loop")))
        subscriber.wait_for(5)
        assert daemon.end() == 0, daemon.log
        stats = validated(subscriber.wait_for(1, "/stats")[-1])
        made = sum(stats["streams"]["door"]["decisions"].values())
        assert_counted(stats["streams"]["door"]["counters"])
        records = [validated(message) for message in subscriber.wait_for(made)]
        assert [record["seq"] for record in records] == list(range(made))
        assert [validated(message)["status"] for message in subscriber.wait_for(2, "/status")][-1] == "stopped"
        wait_for(lambda: states(subscriber) == {"door": "stopped"})
        assert validated(subscriber.of("/health")[-1])["reasons"] == []


def test_a_stream_that_fails_is_begun_again_alone(one_broker, run):
    with socket.socket() as taken, subscribed(one_broker) as subscriber:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        there = stream("there", f"replay:{RECORDING}?loop")
        gone = stream("gone", f"tcp://127.0.0.1:{port}?listen&format=evt3&sensor=128x128")
        daemon = run(configuration(one_broker, there, gone))
        wait_for(lambda: states(subscriber) == {"there": "live", "gone": "restarting"}, what=daemon.log)
        record = validated(subscriber.of("/health")[-1])
        assert (record["health"], record["reasons"]) == ("degraded", ["stream gone: restarting"])
        assert str(port) in record["streams"]["gone"]["why"]
        before = len(subscriber.of("/there/prediction"))
        subscriber.wait_for(before + 5, "/there/prediction")
        taken.close()
        wait_for(lambda: states(subscriber) == {"there": "live", "gone": "waiting"}, what=daemon.log)
        assert validated(subscriber.of("/health")[-1])["health"] == "ok"
        assert daemon.end() == 0


def test_a_recording_that_is_damaged_fails_once_and_the_exit_code_says_so(one_broker, run, tmp_path):
    damaged = tmp_path / "damaged.raw"
    data = RECORDING.read_bytes()
    damaged.write_bytes(data[:2000] + b"\xff" * 64 + data[2064:])
    daemon = run(configuration(one_broker, stream("door", str(damaged)), stream("yard", str(RECORDING))))
    assert daemon.process.wait(30) == 3, daemon.log
    assert "stream door: " in daemon.log
    assert "damaged.raw" in daemon.log


def test_a_sender_that_is_quiet_is_idle_and_one_that_is_gone_is_dead(one_broker, run):
    port = free_port()
    source = f"udp://127.0.0.1:{port}?format=evt3&sensor=128x128&dead_ms=2500"
    data = edgesnn.open(str(RECORDING)).open_data(0).read()
    with subscribed(one_broker) as subscriber, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        daemon = run(configuration(one_broker, stream("door", source)))
        wait_for(lambda: states(subscriber) == {"door": "waiting"}, what=daemon.log)
        for at in range(0, 20_000, 1000):
            sender.sendto(data[at : at + 1000], ("127.0.0.1", port))
            time.sleep(0.05)
        seen: list[str] = []
        wait_for(lambda: (seen.append(states(subscriber)["door"]), seen[-1] == "dead")[1], what=daemon.log)
        assert [state for at, state in enumerate(seen) if at == 0 or seen[at - 1] != state][-3:] == [
            "live",
            "idle",
            "dead",
        ]
        assert daemon.end() == 0


def test_without_a_broker_it_starts_and_delivers_when_there_is_one(one_broker, run):
    one_broker.kill()
    daemon = run(configuration(one_broker, stream("door", f"replay:{RECORDING}?loop")))
    wait_for(lambda: "cannot reach the broker" in daemon.log)
    time.sleep(1.0)
    one_broker.start()
    with subscribed(one_broker) as subscriber:
        records = [validated(message) for message in subscriber.wait_for(8)]
        assert [record["seq"] for record in records] == list(range(len(records)))
        assert daemon.end() == 0, daemon.log
    assert daemon.log.count("cannot reach the broker") == 1


def test_what_a_killed_service_had_accepted_the_next_one_delivers_and_numbers_go_on(one_broker, run):
    """No subscriber, then a kill: nothing has left the outbox's file."""
    if one_broker.kind != "mosquitto":
        pytest.skip("MQTT 3.1.1 does not say that nobody subscribes")
    door = stream("door", f"replay:{RECORDING}?loop")
    port = free_port()
    pages = f"[http]\nport = {port}\n"

    first = run(configuration(one_broker, door, more=pages))
    least = wait_for(lambda: (count := pending(port)) > 8 and count, 60, first.log)
    first.process.kill()
    first.process.wait()
    with subscribed(one_broker) as subscriber:
        second = run(configuration(one_broker, door, more=pages))
        records = [validated(message) for message in subscriber.wait_for(least + 8, timeout_s=60)]
        assert second.end() == 0, second.log
    assert [record["seq"] for record in records] == list(range(len(records)))
    boots = list(dict.fromkeys(record["boot_id"] for record in records))
    assert len(boots) == 2
    old = [record for record in records if record["boot_id"] == boots[0]]
    assert len(old) >= least
    assert all(record["late"] for record in old)


def test_two_services_do_not_share_an_outbox(one_broker, run, tmp_path):
    door = stream("door", f"replay:{RECORDING}?loop")
    first = run(configuration(one_broker, door))
    wait_for(lambda: "as node gate-1" in first.log)
    second = Daemon(tmp_path / "config.toml")
    assert second.process.wait(30) == 6
    assert "outbox-gate-1.sqlite" in second.log
    assert first.end() == 0


def test_sighup_changes_what_needs_no_gap_and_names_the_rest(one_broker, run, tmp_path):
    door = stream("door", f"replay:{RECORDING}?loop")
    with subscribed(one_broker) as subscriber:
        daemon = run(configuration(one_broker, door))
        subscriber.wait_for(3, "/door/prediction")
        path = tmp_path / "config.toml"
        path.write_text(configuration(one_broker, door.replace("name", "nam")))
        daemon.tell(signal.SIGHUP)
        wait_for(lambda: "not reloaded" in daemon.log, what=daemon.log)
        assert re.search(r"config\.toml: line \d+: stream\[0\]\.nam: no such key: .*did you mean name\?", daemon.log)
        before = len(subscriber.of("/door/prediction"))
        subscriber.wait_for(before + 3, "/door/prediction")

        changed = door + 'publish = "change"\nfilters = ["flip:axis=x"]\n'
        path.write_text(configuration(one_broker, changed, stream("yard", f"replay:{RECORDING}?loop")))
        daemon.tell(signal.SIGHUP)
        subscriber.wait_for(3, "/yard/prediction")
        wait_for(lambda: "stream door: filters has changed: this needs a restart" in daemon.log, what=daemon.log)
        config = validated(subscriber.of("/config")[-1])
        assert config["needs_restart"] == ["stream door: filters"]

        path.write_text(configuration(one_broker, changed))
        daemon.tell(signal.SIGHUP)
        wait_for(lambda: states(subscriber) == {"door": "live"}, what=daemon.log)
        assert daemon.end() == 0
        stats = validated(subscriber.wait_for(1, "/stats")[-1])["streams"]["door"]
        seqs = [validated(message)["seq"] for message in subscriber.of("/door/prediction")]
    assert seqs == list(range(len(seqs))), "a gap, or a stream that was begun again"
    assert stats["held_back"]["unchanged"] == sum(stats["decisions"].values()) - len(seqs) > 0
    assert stats["restarts"] == 0


def test_systemd_hears_of_every_step(one_broker, run, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        daemon = run(configuration(one_broker, stream("door", f"replay:{RECORDING}?loop")), environment)

        def hear(wanted: str) -> str:
            while wanted not in (text := systemd.recv(4096).decode()):
                pass
            return text

        hear("READY=1")
        hear("STATUS=1 streams: 1 live; broker connected")
        hear("WATCHDOG=1")
        began = time.monotonic()
        for _ in range(4):
            hear("WATCHDOG=1")
        assert time.monotonic() - began < 2.0
        daemon.tell(signal.SIGHUP)
        assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", hear("RELOADING=1"))
        hear("READY=1")
        daemon.tell(signal.SIGTERM)
        hear("STOPPING=1")
        assert daemon.process.wait(30) == 0


def test_pages_of_this_machine(one_broker, run):
    port = free_port()

    def get(page: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    door = stream("door", f"replay:{RECORDING}?loop", 'rate_limit = "1Hz"')
    daemon = run(configuration(one_broker, door, more=f"[http]\nport = {port}\n"))
    wait_for(lambda: get("/readyz")[0] == 200, what=daemon.log)
    status, text = get("/healthz")
    assert (status, json.loads(text)["stalled"]) == (200, [])
    held = 'edgesnn_held_back_total{reason="rate_limit",stream="door"} '
    wait_for(lambda: re.search(re.escape(held) + "[1-9]", get("/metrics")[1]), what=daemon.log)
    metrics = get("/metrics")[1]
    assert 'edgesnn_stream_state{state="live",stream="door"} 1.0' in metrics
    assert "edgesnn_broker_connected 1.0" in metrics
    assert get("/other")[0] == 404
    one_broker.kill()
    wait_for(lambda: get("/readyz")[0] == 503)
    assert get("/healthz")[0] == 200
    assert daemon.end() == 0


def test_lines_of_a_log_that_grows(one_broker, run, tmp_path):
    log = tmp_path / "app.log"
    log.write_text("ROMEO:\n")
    text = f'[[stream]]\nname = "log"\nsource = "{log}"\nmodel = "shakespeare"\nfollow = true\nthreshold = 3.5\n'
    with subscribed(one_broker) as subscriber:
        daemon = run(configuration(one_broker, text))
        subscriber.wait_for(1)
        with log.open("a") as file:
            file.write("What light through yonder window breaks?\n")
        records = [validated(message) for message in subscriber.wait_for(2)]
        assert daemon.end() == 0, daemon.log
    with edgesnn.TokenStream(str(log), "shakespeare", threshold=3.5) as lines:
        expected = [prediction.tokens.surprise_bits for prediction in lines]
    assert [record["tokens"]["surprise_bits"] for record in records] == expected


def test_a_configuration_that_is_wrong_starts_nothing(one_broker, run):
    daemon = run(configuration(one_broker, stream("door", "no.raw")))
    assert daemon.process.wait(30) == 5
    assert "stream[0].source: no.raw: no such file" in daemon.log
