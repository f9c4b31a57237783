"""The service: starts the streams of a configuration, looks after them, and ends when it is told to."""

from __future__ import annotations

import gc
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from edgesnn.broker_url import Broker
from edgesnn.daemon import facts, logs
from edgesnn.daemon.beacon import Beacon
from edgesnn.daemon.bundles import Bundles
from edgesnn.daemon.check import broker_of, check, client_id_of
from edgesnn.daemon.checkpoints import Checkpoints, wanted
from edgesnn.daemon.commands.desk import Desk
from edgesnn.daemon.commands.verbs import Verbs
from edgesnn.daemon.deadline import Deadline
from edgesnn.daemon.disk import Disk
from edgesnn.daemon.flight import FlightRecorder
from edgesnn.daemon.home import Home
from edgesnn.daemon.metrics import CONTENT_TYPE, Page
from edgesnn.daemon.notify import Notifier
from edgesnn.daemon.outlet import Outlet
from edgesnn.daemon.pages import Answer, Pages, as_json
from edgesnn.daemon.process import apply_process, set_priority
from edgesnn.daemon.reading import Read, WrongConfigError, read
from edgesnn.daemon.reloading import Change, changes
from edgesnn.daemon.runner import Runner
from edgesnn.daemon.schema import Log, Stream
from edgesnn.daemon.signals import Signals
from edgesnn.daemon.storage import IN_MEMORY, bundle_folder, checkpoint_folder, outbox_of, outbox_path
from edgesnn.daemon.telemetry import Telemetry
from edgesnn.daemon.troubles import Troubles
from edgesnn.publish import new_boot_id
from edgesnn.publish.sinks.mqtt import MqttSink
from edgesnn.runtime import Model

TICK_S = 0.5
STATS_S = 10.0
AT_ONCE = 8  # commands between two ticks
END_S = 15.0  # of which the parts may have, where they hang, besides `outbox.drain`:
STREAMS_S, LEAVE_S, DISK_S, GOODBYE_S = 5.0, 4.0, 10.0, 4.0
FAILED = 3  # exit code where every stream is over and one failed
_log = logging.getLogger("edgesnn.daemon")


class Service:
    """The streams of one configuration, running. One thread uses it, save what the pages read.

    Args:
        configuration: what to run.
        environment: passwords, and what systemd says.

    Raises:
        ConfigError: what the configuration names is not there, does not fit or is not permitted.
        PublishError: another process has the outbox's file.
    """

    def __init__(self, configuration: Read, environment: Mapping[str, str]) -> None:
        self.read = configuration
        self.models = check(configuration, environment)
        apply_process(configuration.config.process)
        self.began_s = time.monotonic()
        self.notifier = Notifier(environment)
        config = configuration.config
        node, boot_id = config.node.name, new_boot_id()
        broker = broker_of(config.mqtt, environment)
        self.outbox = outbox_of(config, environment)
        sink = partial(self._sink, broker, node, boot_id)
        self.outlet = Outlet(sink, node=node, boot_id=boot_id, capacity=IN_MEMORY, outbox=self.outbox)
        own = client_id_of(config.mqtt, "node")
        self.beacon = Beacon(broker, node=node, boot_id=boot_id, protocol=config.mqtt.protocol, client_id=own)
        self.telemetry = Telemetry(config.telemetry, lambda: self.runners) if config.telemetry.enabled else None
        section = config.home_assistant
        self.home = Home(section, node, self.beacon, self.telemetry) if section.enabled else None
        self.disk = Disk()
        self.bundles = Bundles(
            bundle_folder(config, environment), config.recorder.max_bundles, config.recorder.max_size
        )
        self.reloads = {"done": 0, "refused": 0}
        self._environment = environment
        self._config = config  # as it runs: what needs a restart is as it was
        self._needs_restart: Sequence[str] = ()
        self.desk = self._desk(broker, node, boot_id) if config.commands.enabled else None
        self.verbs = Verbs(lambda: self.runners, self._pong, self._set_log, lambda: self.wake())
        self.wake: Callable[[], None] = lambda: None
        self.runners = [self._runner(stream) for stream in config.stream]
        self.pages = Pages(config.http, self._pages()) if config.http.enabled else None
        self._told: dict[str, Any] = {}
        self._troubles = Troubles()
        self._faults: dict[str, str] = {}  # of the parts of a tick, until they succeed
        self._stats_due_s = self.began_s + STATS_S

    def start(self) -> None:
        """Begin everything; returns at once."""
        self.disk.start()
        gone = set(self.outbox.streams) - {one.name for one in self._config.stream}
        for name in gone:
            self.outlet.forget(name)
        if self.home is not None:
            self.home.tell(self.runners, gone)
        if self.telemetry is not None:
            self.telemetry.start()
        self.outlet.start()
        self.beacon.start()
        if self.desk is not None:
            self.desk.start()
        self._say_config()
        for runner in self.runners:
            runner.start()
        self.notifier.ready()
        _log.info("%s: %d streams as node %s", self.read.path, len(self.runners), self.read.config.node.name)

    def tick(self) -> None:
        """Say what has changed, and to systemd that the streams go on. Called at least every `period_s`.

        What fails in it is logged once and tried again; it ends neither the service nor the rest.
        """
        for name, part in (
            ("watchdog", self._feed_watchdog),
            ("commands", self._obey),
            ("health", self._tell_health),
            ("stats", self._tell_stats),
            ("home", self._tell_home),
        ):
            try:
                part()
                self._faults.pop(name, None)
            except Exception as error:
                if self._faults.get(name) != repr(error):
                    self._faults[name] = repr(error)
                    _log.exception("%s failed: this is a fault of edgesnn: please report it", name)

    def _feed_watchdog(self) -> None:
        if not self._stalled():
            self.notifier.alive()

    def _tell_health(self) -> None:
        self.outlet.look()
        health = self._health()
        self._troubles.log(health["reasons"], self.outbox.note)
        if health != self._told:
            self._told = health
            self.beacon.say("health", health, retain=True)
        self.notifier.status(facts.sentence(self.runners, health["broker"]["connected"]))

    def _tell_stats(self) -> None:
        if time.monotonic() >= self._stats_due_s:
            self._stats_due_s = max(self._stats_due_s + STATS_S, time.monotonic())
            self.beacon.say("stats", self._stats(), retain=False)

    def _tell_home(self) -> None:
        if self.home is not None:
            self.home.turn()

    def _obey(self) -> None:
        """Do some of the commands that wait, the others after the next tick; answer those that are done."""
        if self.desk is None:
            return
        before = dict(self.verbs.values)
        for _ in range(AT_ONCE):
            if (command := self.desk.take()) is None:
                break
            if (answer := self.verbs.obey(command)) is not None:
                self.desk.answer(command, answer)
        else:
            self.wake()
        for command, answer in self.verbs.answers():
            self.desk.answer(command, answer)
        if self.verbs.values != before:
            self._say_config(self._needs_restart)

    def reload(self) -> None:
        """Read the file again: what needs no gap changes now, the rest is named. A wrong file changes nothing."""
        self.notifier.reloading()
        try:
            new = read(self.read.path)
            check(new, self._environment, self.models)
            self._apply(new, changes(self._config, new.config))
            self.reloads["done"] += 1
        except WrongConfigError as wrong:
            self.reloads["refused"] += 1
            for error in wrong.errors:
                _log.error("%s", error)
            _log.error("%s: not reloaded; the configuration before it goes on", self.read.path)
        except Exception:
            self.reloads["refused"] += 1
            _log.exception("%s: the reload failed: this is a fault of edgesnn: please report it", self.read.path)
        self.notifier.ready()

    def _apply(self, new: Read, change: Change) -> None:
        logs.set_up(new.config.log, self._environment)
        self.verbs.values.clear()
        by_name = {runner.stream.name: runner for runner in self.runners}
        for name in change.removed:
            by_name[name].stop()
        for name in change.removed:
            by_name[name].join()
            self.outlet.forget(name)
        for stream in change.running.stream:
            if stream.name in by_name:  # also one that has not changed: a command may have set it
                by_name[stream.name].change(stream)
        added = [self._runner(stream) for stream in change.added]
        self.runners = [runner for runner in self.runners if runner.stream.name not in change.removed] + added
        if self.telemetry is not None:
            self.telemetry.begin_anew()
        for runner in added:
            self.outlet.remember(runner.stream.name)
            runner.start()
        self.read, self._config = new, change.running
        self.models.keep(change.running.stream)
        if self.home is not None:
            self.home.tell(self.runners, change.removed)
        self._needs_restart = change.needs_restart
        self._say_config(change.needs_restart)
        _log.info("%s: reloaded: %s", new.path, change)
        for key in change.needs_restart:
            _log.warning("%s: %s has changed: this needs a restart", new.path, key)

    def record(self, stream: str | None = None) -> dict[str, Future[Path]]:
        """Ask for a bundle of a stream, or of each; by stream what gives its path, or raises why there is none.

        Any thread. Without a flight recorder: nothing. Wait with a timeout: a disk may hang.
        """
        flights = {one.stream.name: one.flight for one in list(self.runners) if stream in (None, one.stream.name)}
        return {name: flight.ask() for name, flight in flights.items() if flight is not None}

    @property
    def period_s(self) -> float:
        """How often `tick` is wanted."""
        return TICK_S if self.notifier.watchdog_s is None else min(TICK_S, self.notifier.watchdog_s / 4)

    @property
    def over(self) -> bool:
        """Whether no stream will predict any more."""
        return all(runner.over for runner in self.runners)

    def stop(self) -> int:
        """End the streams, deliver what they gave, say goodbye; return the exit code.

        Takes `outbox.drain` and `END_S` at most, whatever hangs.
        """
        drain_s = self._config.outbox.drain / 1e6
        end = Deadline(drain_s + END_S)
        self.notifier.stopping()
        for runner in self.runners:
            runner.stop()
        streams = Deadline(STREAMS_S)
        for runner in self.runners:
            if not runner.join(streams.left()):
                _log.error("stream %s: something holds it; it is left behind", runner.stream.name)
        failed = any(runner.state == "failed" for runner in self.runners)
        if self.telemetry is not None:
            self.telemetry.close()
        left = self.outlet.close(drain_s, LEAVE_S)
        if not self.disk.close(Deadline(end.left() - GOODBYE_S).left(DISK_S)):
            _log.error("the disk takes too long: the last checkpoints and bundles are not written")
        if left > self.outlet.lost:
            path = outbox_path(self._config, self._environment)
            _log.warning("%d predictions were not delivered; they wait in %s", left - self.outlet.lost, path)
        if self.outlet.lost:
            _log.error("%d predictions were not delivered and are lost", self.outlet.lost)
        self.beacon.say("stats", self._stats(), retain=False)
        self.beacon.say("health", self._health(), retain=True)
        self.beacon.close(end.left())
        if self.desk is not None:
            for command, answer in self.verbs.answers("before the service ended"):
                self.desk.answer(command, answer)
            self.desk.close(end.left())
        if self.pages is not None:
            self.pages.close(end.left())
        return FAILED if failed else 0

    def _runner(self, stream: Stream) -> Runner:
        begin = partial(set_priority, self._config.process)
        model, section = self.models.get(stream), self._config.recorder
        flight = FlightRecorder(section, stream, model, self.disk, self.bundles) if section.enabled else None
        checkpoints = self._checkpoints(stream, model)
        return Runner(stream, model, self.outlet.put, checkpoints=checkpoints, flight=flight, begin=begin)

    def _checkpoints(self, stream: Stream, model: Model) -> Checkpoints | None:
        if not wanted(stream, model):
            return None
        section, folder = self._config.checkpoint, checkpoint_folder(self._config, self._environment)
        period_s = section.period / 1e6
        return Checkpoints(folder, stream, model, self.disk, period_s=period_s, most_bytes=section.max_size)

    def _desk(self, broker: Broker, node: str, boot_id: str) -> Desk:
        mqtt, allow = self._config.mqtt, tuple(self._config.commands.allow)
        return Desk(
            broker,
            node=node,
            boot_id=boot_id,
            protocol=mqtt.protocol,
            client_id=client_id_of(mqtt, "cmd"),
            allow=allow,
            wake=lambda: self.wake(),
        )

    def _pong(self) -> dict[str, Any]:
        """What an answer to `ping` says."""
        return {"uptime_s": round(time.monotonic() - self.began_s, 3), "health": self._health()["health"]}

    def _set_log(self, log: Log) -> None:
        logs.set_up(self._config.log.model_copy(update={"level": log.level}), self._environment)

    def _sink(self, broker: Broker, node: str, boot_id: str) -> MqttSink:
        config = self._config
        return MqttSink(
            broker,
            node=node,
            boot_id=boot_id,
            role="run",
            client_id=config.mqtt.client_id,
            protocol=config.mqtt.protocol,
            qos=1 if config.mqtt.qos else 0,
            transient=False,
            outbox=self.outbox,
            drain_hz=config.outbox.drain_rate,
            no_subscriber=config.mqtt.no_subscriber,
        )

    def _pages(self) -> dict[str, Callable[[], Answer]]:
        page = Page(lambda: (self._health(), self._stats()))
        return {
            "/metrics": lambda: (200, CONTENT_TYPE, page.text()),
            "/healthz": self._healthz,
            "/readyz": self._readyz,
        }

    def _stalled(self) -> list[str]:
        return facts.stalled(
            self.runners, self.outlet, {"node": self.beacon, "http": self.pages, "commands": self.desk}
        )

    def _health(self) -> dict[str, Any]:
        return facts.health(self.runners, self.outlet, self.beacon, self._stalled(), self.desk, self.disk.hangs_at)

    def _stats(self) -> dict[str, Any]:
        board = None if self.telemetry is None else self.telemetry.facts()
        return facts.stats(self.runners, self.outlet, self.began_s, self.bundles.deleted, self.desk, board)

    def _healthz(self) -> Answer:
        """Whether the service makes progress: what the watchdog is told."""
        found = self._stalled()
        oldest_s = self.outlet.stats().get("oldest_s", 0.0)
        return as_json(503 if found else 200, {"stalled": found, "oldest_s": oldest_s, **self._health()})

    def _readyz(self) -> Answer:
        """Whether every stream has begun, and the broker has us."""
        waits = [one.stream.name for one in self.runners if one.state in ("starting", "restarting", "failed")]
        health = self._health()
        ready = health["broker"]["connected"] and not waits
        return as_json(200 if ready else 503, {"waits_for": waits, **health})

    def _say_config(self, needs_restart: Sequence[str] = ()) -> None:
        fields = {"config": dict(self.read.document), "needs_restart": list(needs_restart)}
        if self.verbs.values:
            fields["set"] = dict(self.verbs.values)
        self.beacon.say("config", fields, retain=True)


def serve(configuration: Read, environment: Mapping[str, str]) -> int:
    """Run until SIGTERM, SIGINT, or the end of all streams; return the exit code.

    Raises:
        ConfigError, PublishError: before anything is started.
    """
    logs.set_up(configuration.config.log, environment)
    logs.catch_what_threads_raise()
    service = Service(configuration, environment)
    gc.freeze()  # a full collection of all that the imports made takes 30 ms, and all threads wait for it
    with Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        service.wake = signals.wake
        service.start()
        while True:
            number = signals.wait(service.period_s)
            service.tick()
            if number == signal.SIGHUP:
                service.reload()
            if number in (signal.SIGTERM, signal.SIGINT):
                _log.info("%s: ending", signal.Signals(number).name)
                return service.stop()
            if service.over:
                _log.info("all streams have ended")
                return service.stop()
