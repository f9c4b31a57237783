"""The parts of the service by themselves: what is published, what waits, who is stalled, what is said and logged."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesnn.broker_url import Broker
from edgesnn.daemon import facts, logs
from edgesnn.daemon.beacon import Beacon
from edgesnn.daemon.gate import Gate
from edgesnn.daemon.notify import Notifier
from edgesnn.daemon.outlet import Outlet
from edgesnn.daemon.pages import Pages, as_json
from edgesnn.daemon.reading import ConfigError
from edgesnn.daemon.reloading import changes
from edgesnn.daemon.schema import Config, Http, Log
from edgesnn.daemon.troubles import Troubles
from edgesnn.errors import PublishError
from edgesnn.mqtt import Lost
from edgesnn.publish.outbox import Outbox
from edgesnn.publish.outbox_durable import DurableOutbox
from edgesnn.publish.sinks.mqtt import MqttSink
from tests.predictions import BOOT, NODE, make_prediction

LABELS = st.sampled_from(["a", "b", None])


@given(st.lists(LABELS, max_size=40))
def test_of_changes_only_what_differs_from_the_one_before_passes(labels):
    gate = Gate("change", None)
    passed = [gate.passes(make_prediction(number, label)) for number, label in enumerate(labels)]
    assert passed == [number == 0 or label != labels[number - 1] for number, label in enumerate(labels)]
    assert {**gate.held_back, "unchanged": 0} == dict.fromkeys(gate.held_back, 0)
    assert gate.held_back["unchanged"] == passed.count(False)


@given(st.lists(st.floats(0, 0.4), min_size=1, max_size=200), st.integers(1, 20))
def test_a_rate_is_kept_and_used(steps, rate_hz):
    now = [0.0]
    gate = Gate("window", rate_hz, clock=lambda: now[0])
    times = []
    for number, step in enumerate(steps):
        now[0] += step
        if gate.passes(make_prediction(number)):
            times.append(now[0])
    for at, begin in enumerate(times):  # one more than the rate in any second: the first of it, and what follows
        assert sum(begin <= time_s < begin + 1.0 - 1e-9 for time_s in times[at:]) <= rate_hz + 1
    assert gate.held_back["rate_limit"] == len(steps) - len(times)
    if max(steps) <= 0.5 / rate_hz:
        assert len(times) >= int(now[0] * rate_hz)


def test_a_change_that_came_too_early_passes_when_it_is_time():
    now = [0.0]
    gate = Gate("change", 1, clock=lambda: now[0])
    passed = []
    for number, label in enumerate(["a", "b", "b", "b"]):
        passed.append(gate.passes(make_prediction(number, label)))
        now[0] += 0.4
    assert passed == [True, False, False, True]


def test_labels_that_are_not_sure_are_held_back_and_counted_and_change_nothing_of_what_follows():
    gate = Gate("change", None, 0.5)
    sure = [(None, None), ("a", 0.49), ("a", 0.5), ("a", 0.2), ("b", 0.4), (None, None), ("b", 1.0)]
    passed = [
        gate.passes(replace(make_prediction(number, label), confidence=confidence))
        for number, (label, confidence) in enumerate(sure)
    ]
    assert passed == [True, False, True, False, False, True, True]
    assert gate.held_back == {"unchanged": 0, "rate_limit": 0, "paused": 0, "low_confidence": 3}
    gate.set("window", None, 0.0)
    assert gate.passes(replace(make_prediction(9, "b"), confidence=0.0))


class Sink:
    """A sink that fails as it is told to."""

    def __init__(self, taken: list[Any], *, opens: bool, takes: int) -> None:
        self.taken, self.opens, self.takes = taken, opens, takes

    def open(self) -> None:
        if not self.opens:
            raise PublishError("no broker")

    where, why, connected, alive = "mqtt://host", None, True, True

    def write_many(self, predictions: Any) -> int:
        if self.takes < len(predictions):
            raise PublishError("the connection failed for good")
        self.takes -= len(predictions)
        self.taken += predictions
        return 0

    def drain(self, timeout_s: float) -> int:
        return 0

    def leave(self, timeout_s: float = 0.0) -> None: ...

    def stats(self) -> dict[str, Any]:
        return {}


def outlet_of(sinks: list[Any], monkeypatch: pytest.MonkeyPatch, capacity: int = 100) -> Outlet:
    monkeypatch.setattr("edgesnn.daemon.outlet.MOST_AT_ONCE", 2)
    monkeypatch.setattr("edgesnn.daemon.outlet.BACK_OFF_S", (0.001, 0.002))
    make = lambda: sinks.pop(0) if len(sinks) > 1 else sinks[0]  # noqa: E731
    return Outlet(make, node=NODE, boot_id=BOOT, capacity=capacity, outbox=Outbox())


def test_what_one_sink_did_not_take_the_next_one_gets_in_order(monkeypatch):
    taken: list[Any] = []
    makers = [(False, 0), (True, 4), (False, 0), (True, 0), (True, 100)]
    outlet = outlet_of([Sink(taken, opens=opens, takes=takes) for opens, takes in makers], monkeypatch)
    put = [outlet.put(make_prediction(number, stream=f"s{number % 2}")) for number in range(10)]
    outlet.start()
    deadline = time.monotonic() + 10
    while len(taken) < 10 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert outlet.close(1.0) == 0
    assert taken == put
    assert [prediction.seq for prediction in taken] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert outlet.stats()["opened"] == 3


def test_the_thread_that_publishes_outlives_an_exception(monkeypatch, caplog):
    taken: list[Any] = []

    class Broken(Sink):
        def write_many(self, predictions: Any) -> int:
            if "it broke" not in caplog.text:
                raise ZeroDivisionError("it broke")
            return super().write_many(predictions)

    outlet = outlet_of([Broken(taken, opens=True, takes=9)], monkeypatch)
    put = outlet.put(make_prediction(0))
    outlet.start()
    assert outlet.close(5.0) == 0
    assert taken == [put]


def test_without_a_broker_the_oldest_go_and_are_counted(monkeypatch):
    outlet = outlet_of([Sink([], opens=False, takes=0)], monkeypatch, capacity=4)
    outlet.start()
    for number in range(10):
        outlet.put(make_prediction(number))
    assert outlet.stats()["queue"] == {"waiting": 4, "dropped": 6}
    assert not outlet.connected
    assert outlet.close(0.1) == 4


def test_an_open_sink_is_connected_when_its_broker_has_it(monkeypatch):
    sink = Sink([], opens=True, takes=0)
    outlet = outlet_of([sink], monkeypatch)
    assert not outlet.connected
    outlet.start()
    deadline = time.monotonic() + 10
    while not outlet.stats()["opened"] and time.monotonic() < deadline:
        time.sleep(0.01)
    sink.connected = False
    assert not outlet.connected
    sink.connected = True
    assert outlet.connected
    outlet.close(1.0)


def test_what_holds_predictions_up_is_said_until_they_have_caught_up(monkeypatch):
    sink = Sink([], opens=True, takes=0)
    outlet = outlet_of([sink], monkeypatch)
    outlet._sink = sink  # type: ignore[assignment]
    now = [0.0]
    monkeypatch.setattr("edgesnn.daemon.outlet.time", SimpleNamespace(monotonic=lambda: now[0]))
    said = []
    for oldest_s, why in ((10, "refused"), (40, "refused"), (80, None), (60, "elsewhere"), (10, None), (50, None)):
        now[0] += 40
        sink.why, sink.oldest_s = why, lambda waited=oldest_s: waited
        outlet.look()
        said.append(outlet.held_up)
    assert said == [None, "refused", "refused", None, None, "the broker acknowledges too few"]


def test_each_error_of_a_broker_is_said_once(caplog):
    caplog.set_level(logging.INFO, "edgesnn.daemon")
    lost = {name: Lost(PublishError(name), final=False) for name in ("silent", "refused")}
    script = [lost["silent"], lost["refused"], lost["silent"], lost["refused"]]
    beacon = Beacon(Broker("127.0.0.1", 1), node=NODE, boot_id=BOOT, protocol="5")
    beacon._client.close()
    beacon._client = SimpleNamespace(broker=Broker("host", 1), connected=False, poll=lambda _: [script.pop(0)])  # type: ignore[assignment]
    for _ in range(len(script)):
        beacon._turn(0.0)
    assert [record.getMessage().split(": ")[-1] for record in caplog.records] == [
        "silent; trying again",
        "refused; trying again",
    ]
    assert beacon.why == "refused"


def test_what_had_to_go_while_it_was_being_written_is_not_counted_as_lost(monkeypatch):
    taken: list[Any] = []
    outlet: Any = None

    class Slow(Sink):
        def write_many(self, predictions: Any) -> int:
            if not taken:
                for number in range(10, 13):
                    outlet.put(make_prediction(number))
            return super().write_many(predictions)

    outlet = outlet_of([Slow(taken, opens=True, takes=99)], monkeypatch, capacity=4)
    for number in range(4):
        outlet.put(make_prediction(number))
    outlet.start()
    assert outlet.close(5.0) == 0
    assert [prediction.window for prediction in taken] == [0, 1, 3, 10, 11, 12]
    assert outlet.stats()["queue"] == {"waiting": 0, "dropped": 1}


def test_many_threads_put_and_each_stream_is_numbered_without_a_gap(monkeypatch):
    taken: list[Any] = []
    outlet = outlet_of([Sink(taken, opens=True, takes=10_000)], monkeypatch, capacity=10_000)
    outlet.start()

    def stream(name: str) -> None:
        for number in range(200):
            outlet.put(make_prediction(number, stream=name))

    threads = [threading.Thread(target=stream, args=(f"s{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outlet.close(10.0) == 0
    for n in range(4):
        assert [one.seq for one in taken if one.stream == f"s{n}"] == list(range(200))


def test_no_prediction_waits_for_an_outbox_that_waits_for_its_disk(tmp_path):
    with closing(DurableOutbox(tmp_path / "outbox.sqlite")) as outbox:
        for window in range(3):
            outbox.put(make_prediction(window))
        sink: Any = Sink([], opens=False, takes=0)
        outlet = Outlet(lambda: sink, node=NODE, boot_id=BOOT, capacity=10, outbox=outbox)
        put: list[Any] = []
        thread = threading.Thread(target=lambda: put.append(outlet.put(make_prediction(3))), daemon=True)
        with outbox._changed:  # as while it commits
            thread.start()
            thread.join(10.0)
        assert [one.seq for one in put] == [3]


@pytest.mark.parametrize(("folder", "lost"), [(None, 0), ("/proc/nowhere", 5)])
def test_what_no_file_has_at_the_end_is_lost_and_the_rest_waits(tmp_path, folder, lost):
    outbox = DurableOutbox(Path(folder or tmp_path) / "outbox.sqlite")
    make = partial(MqttSink, Broker("127.0.0.1", 9), node=NODE, boot_id=BOOT, transient=False, outbox=outbox)
    outlet = Outlet(make, node=NODE, boot_id=BOOT, capacity=10, outbox=outbox)
    outlet.start()
    for window in range(5):
        outlet.put(make_prediction(window))
    assert (outlet.close(1.0), outlet.lost) == (5, lost)


def runner(name: str, state: str, age_s: float, *, over: bool = False) -> Any:
    stream, beat_s = SimpleNamespace(name=name), time.monotonic() - age_s
    return SimpleNamespace(stream=stream, state=state, beat_s=beat_s, over=over, alive=True)


def test_no_broker_is_said_when_an_attempt_has_failed_and_what_waits_where_there_is_one():
    def reasons(connected: bool, why: str | None, held_up: str | None = None) -> list[str]:
        outlet: Any = SimpleNamespace(
            connected=connected, why=why, held_up=held_up, degraded=None, since=None, last_error=why
        )
        beacon: Any = SimpleNamespace(connected=True, why=None)
        found: list[str] = facts.health([], outlet, beacon, [])["reasons"]
        return found

    assert reasons(False, None) == reasons(True, None) == reasons(True, "refused") == []
    assert reasons(False, "refused") == reasons(False, "refused", "refused") == ["no broker"]
    assert reasons(True, "refused", "refused") == ["predictions wait: refused"]


def test_who_does_not_come_round_is_stalled_and_a_timer_would_not_see_it():
    outlet: Any = SimpleNamespace(beat_s=time.monotonic(), alive=True, over=False)
    runners = [runner("a", "live", 11), runner("b", "idle", 1), runner("c", "ended", 900, over=True)]
    assert facts.stalled([*runners, runner("d", "starting", 60)], outlet, {}) == ["a"]
    assert facts.stalled([runner("d", "starting", 130)], outlet, {}) == ["d"]
    outlet.beat_s -= 60
    assert facts.stalled([], outlet, {}) == ["outlet"]
    outlet.over = True
    assert facts.stalled([], outlet, {}) == []


def test_whose_thread_has_died_is_stalled_at_once():
    outlet: Any = SimpleNamespace(beat_s=time.monotonic(), alive=True, over=False)
    one, dead = runner("a", "live", 0), SimpleNamespace(alive=False)
    assert facts.stalled([one], outlet, {"node": SimpleNamespace(alive=True), "http": None}) == []
    assert facts.stalled([one], outlet, {"node": dead, "http": dead}) == ["node", "http"]
    one.alive = outlet.alive = False
    assert facts.stalled([one], outlet, {}) == ["a", "outlet"]


def test_the_watchdog_hears_nothing_while_a_stream_is_stalled(tmp_path, monkeypatch):
    from edgesnn.daemon.service import Service

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(0.2)
        service: Any = object.__new__(Service)
        service.notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        service.beacon = SimpleNamespace(say=lambda *_, **__: None, alive=True)
        service.outbox = Outbox()
        service.pages = service.desk = service.home = None
        service.outlet = SimpleNamespace(beat_s=time.monotonic(), alive=True, over=False, look=lambda: None)
        service._told, service._faults, service._troubles = {}, {}, Troubles()
        service._stats_due_s = float("inf")
        service._health = lambda: {"broker": {"connected": True}, "reasons": []}
        service.runners = [runner("a", "live", 0)]
        service.tick()
        assert systemd.recv(999) == b"WATCHDOG=1"
        assert systemd.recv(999).startswith(b"STATUS=")
        service.runners = [runner("a", "live", 11)]
        service.tick()
        with pytest.raises(TimeoutError):
            systemd.recv(999)


def test_an_abstract_socket_is_found_and_another_process_s_watchdog_is_not_ours():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0edgesnn-test-{time.monotonic_ns()}")
        systemd.settimeout(5)
        name = "@" + systemd.getsockname()[1:].decode()
        notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"})
        notifier.status("one\nline")
        assert systemd.recv(999) == b"STATUS=one line"
    assert notifier.watchdog_s is None
    assert Notifier({"WATCHDOG_USEC": "500000"}).watchdog_s == 0.5
    Notifier({"NOTIFY_SOCKET": "/no/such/socket"}).ready()


@pytest.mark.parametrize(
    ("format", "expected"),
    [("text", "edgesnn: warning: a\\nb?c"), ("journal", "<4>a\\nb?c"), ("auto", "edgesnn: warning: a\\nb?c")],
)
def test_a_record_is_one_line_that_a_terminal_does_not_obey(format, expected, capsys):
    before = logging.getLogger().handlers[:]
    try:
        logs.set_up(Log(format=format), {"JOURNAL_STREAM": "1:2"})
        logging.getLogger("edgesnn.daemon").warning("a\nb\x1bc")
        logging.getLogger("edgesnn.daemon").debug("not said")
    finally:
        logging.getLogger().handlers[:] = before
    assert capsys.readouterr().err.splitlines() == [expected]


def test_json_records_hold_their_traceback(capsys):
    before = logging.getLogger().handlers[:]
    try:
        logs.set_up(Log(format="json"), {})
        try:
            raise ValueError("no")
        except ValueError:
            logging.getLogger("edgesnn.daemon").exception("it failed")
    finally:
        logging.getLogger().handlers[:] = before
    (line,) = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    assert (record["level"], record["logger"]) == ("error", "edgesnn.daemon")
    assert record["message"].startswith("it failed | Traceback")


def config(*streams: dict[str, Any], **sections: Any) -> Config:
    named = [{"source": "x.raw", "model": "gestures", **stream} for stream in streams]
    return Config.model_validate({"mqtt": {"url": "mqtt://host"}, **sections, "stream": named})


def test_a_reload_sorts_what_changes_at_once_from_what_needs_a_restart():
    old = config({"name": "a"}, {"name": "b"}, {"name": "c"})
    new = config(
        {"name": "a", "publish": "change", "filters": ["flip:axis=x"]},
        {"name": "b"},
        {"name": "d"},
        mqtt={"url": "mqtt://other"},
        log={"level": "debug"},
    )
    change = changes(old, new)
    assert [stream.name for stream in change.added] == ["d"]
    assert [stream.name for stream in change.adjusted] == ["a"]
    assert change.removed == ("c",)
    assert change.needs_restart == ("mqtt.url", "stream a: filters")
    assert change.running.mqtt.url == "mqtt://host"
    assert change.running.log.level == "debug"
    assert [(one.name, one.publish, one.filters) for one in change.running.stream] == [
        ("a", "change", []),
        ("b", "window", []),
        ("d", "window", []),
    ]
    assert changes(change.running, new).needs_restart == change.needs_restart


def test_a_port_that_is_taken_is_an_error_of_the_configuration():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="cannot listen here"):
            Pages(Http(port=taken.getsockname()[1]), {})


def test_clients_that_say_nothing_do_not_keep_others_out(monkeypatch):
    monkeypatch.setattr("edgesnn.daemon.pages._Handler.timeout", 0.5)
    pages = Pages(Http(port=0), {"/x": lambda: as_json(200, {})})
    silent = [socket.create_connection(("127.0.0.1", pages.port)) for _ in range(30)]
    deadline, answer = time.monotonic() + 10, b""
    while not answer.startswith(b"HTTP/1.0 200") and time.monotonic() < deadline:
        with socket.create_connection(("127.0.0.1", pages.port), timeout=2) as asking:
            try:
                asking.sendall(b"GET /x HTTP/1.0\r\n\r\n")
                answer = asking.recv(999)
            except OSError:
                answer = b""
    for one in silent:
        one.close()
    pages.close()
    assert answer.startswith(b"HTTP/1.0 200")
