"""The service's counters as Prometheus reads them: docs/daemon.md, "Metrics"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edgesnn.version import __version__

__all__ = ["CONTENT_TYPE", "Page"]

INPUT = {
    "events_in": ("events_in", "events that came"),
    "processed": ("events_processed", "events that were in a complete window"),
    "lines_in": ("lines_in", "lines that came"),
    "lines": ("lines_processed", "lines that were predicted"),
}
_DROPPED = "dropped."
_AGES = ("oldest_s", "ack_p50_us", "ack_p99_us")
_LEVELS = {"in_memory": "predictions that only memory has", "size_bytes": "size of the outbox's file in use"}

Rows = Sequence[tuple[dict[str, str], float]]
Facts = Callable[[], tuple[Mapping[str, Any], Mapping[str, Any]]]


class Page:
    """The text of /metrics.

    Args:
        facts: returns health and stats, as `facts.py` makes them.
    """

    def __init__(self, facts: Facts) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Service(facts))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Return it as it is now."""
        return generate_latest(self._registry)


class _Service(Collector):
    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        health, stats = self._facts()
        yield _gauge("info", "what runs", [({"version": __version__}, 1)])
        yield _gauge("healthy", "1 where health is ok", [({}, health["health"] == "ok")])
        yield _gauge("broker_connected", "1 where the broker has us", [({}, health["broker"]["connected"])])
        yield _gauge("broker_since_timestamp_seconds", "when it took us; 0: it has not", [({}, _since_s(health))])
        yield from _streams(stats["streams"])
        yield from _checkpoints(stats["streams"])
        yield from _recorder(stats)
        yield from _outbox(stats["outbox"])
        yield from _board(stats.get("board") or {})
        commands = stats.get("commands", {})
        rows = [({"what": what}, count) for what, count in commands.items() if what != "waiting"]
        yield _counter("commands", "by what became of them", rows)
        yield _gauge("commands_waiting", "that are not done yet", [({}, commands.get("waiting", 0))])

    def describe(self) -> list[Metric]:
        return []


def _streams(streams: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    def rows(pick: Callable[[Mapping[str, Any]], Mapping[str, float]], label: str) -> Rows:
        return [({"stream": s, label: name}, value) for s, one in streams.items() for name, value in pick(one).items()]

    def single(name: str) -> Rows:
        return [({"stream": s}, one[name]) for s, one in streams.items()]

    yield _gauge("stream_state", "1 for the state that it is in", rows(lambda one: {one["state"]: 1}, "state"))
    yield _counter("decisions", "by decision", rows(lambda one: one["decisions"], "decision"))
    yield _counter("deadlines_missed", "decisions that took longer than the hop", single("deadlines_missed"))
    yield _gauge("decision_rate_hertz", "decisions a second in the last 10 s", single("rate_hz"))
    latency = rows(lambda one: _seconds(one["latency_ms"]), "quantile")
    yield _gauge("latency_seconds", "from a window's last event to its decision, in the last 10 s", latency)
    yield _counter("restarts", "how often it was begun again", single("restarts"))
    yield _counter("held_back", "predictions not published", rows(lambda one: one["held_back"], "reason"))
    for counter, (name, text) in INPUT.items():
        found = [({"stream": s}, one["counters"][counter]) for s, one in streams.items() if counter in one["counters"]]
        yield _counter(name, text, found)
    pending = [({"stream": s}, one["counters"].get("pending", 0)) for s, one in streams.items()]
    yield _gauge("pending", "events or lines that wait", pending)
    yield _counter("events_dropped", "by reason", rows(lambda one: _dropped(one["counters"], "events_in"), "reason"))
    yield _counter("lines_dropped", "by reason", rows(lambda one: _dropped(one["counters"], "lines_in"), "reason"))
    yield _counter(
        "stream_counter", "every other counter by its name", rows(lambda one: _others(one["counters"]), "name")
    )


def _checkpoints(streams: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    kept = {name: one["checkpoint"] for name, one in streams.items() if one.get("checkpoint") is not None}
    ages = [({"stream": name}, one["age_s"]) for name, one in kept.items() if one["age_s"] is not None]
    yield _gauge("checkpoint_age_seconds", "how old the state on the disk is", ages)
    counts = [({"stream": s, "what": what}, one[what]) for s, one in kept.items() for what in one if what != "age_s"]
    yield _counter("checkpoints", "by what became of them", counts)


def _recorder(stats: Mapping[str, Any]) -> Iterator[Metric]:
    kept = {name: one["recorder"] for name, one in stats["streams"].items() if one.get("recorder") is not None}
    held = [({"stream": name}, one["held_bytes"]) for name, one in kept.items()]
    yield _gauge("recorder_held_bytes", "memory that the flight recorder has of a stream", held)
    counts = [
        ({"stream": s, "what": w}, count) for s, one in kept.items() for w, count in one.items() if w != "held_bytes"
    ]
    yield _counter("bundles", "by what became of them", counts)
    yield _counter(
        "bundles_deleted", "the oldest, for which there was no room", [({}, stats.get("bundles_deleted", 0))]
    )


def _outbox(outbox: Mapping[str, Any]) -> Iterator[Metric]:
    queue = outbox["queue"]
    yield _gauge("queue_waiting", "predictions that wait for a connection", [({}, queue["waiting"])])
    yield _counter("queue_dropped", "the oldest of them, that had no room", [({}, queue["dropped"])])
    yield _gauge("outbox_pending", "predictions that wait for an acknowledgement", [({}, outbox.get("pending", 0))])
    yield _gauge("outbox_oldest_seconds", "how long the oldest of them waits", [({}, outbox.get("oldest_s", 0))])
    dropped = [({"reason": reason}, count) for reason, count in outbox.get("dropped", {}).items()]
    yield _counter("outbox_dropped", "by reason", dropped)
    for name, text in _LEVELS.items():
        level = outbox.get(name, 0)
        yield _gauge(f"outbox_{name}", text, [] if level is None else [({}, level)])  # None: nobody can tell now
    told = ("pending", *_AGES, *_LEVELS)
    counts = [({"name": n}, v) for n, v in outbox.items() if type(v) is int and n not in told]
    yield _counter("outbox_counter", "every other counter by its name", counts)


def _board(board: Mapping[str, Any]) -> Iterator[Metric]:
    def rows(name: str, label: str) -> Rows:
        return [({label: key}, value) for key, value in board.get(name, {}).items()]

    total_w = board.get("total_w")
    yield _gauge("board_power_watts", "of a rail", rows("power_w", "rail"))
    yield _gauge("board_input_watts", "of the whole board", [] if total_w is None else [({}, total_w)])
    yield _counter("board_energy_joules", "of a rail, since the start", rows("energy_j", "rail"))
    yield _gauge("board_temperature_celsius", "of a thermal zone", rows("temperature_c", "zone"))
    yield _counter("board_throttle_events", "since the machine's start, by cause", rows("throttle_events", "cause"))
    yield _gauge("board_slowed_steps", "by which it is slowed down now", rows("slowed_by", "device"))
    energy = [
        ({"kind": kind}, value / 1e6)
        for kind, value in board.get("energy_uj_per_decision", {}).items()
        if value is not None
    ]
    yield _gauge("energy_per_decision_joules", "in the last 10 s, measured or estimated", energy)


def _since_s(health: Mapping[str, Any]) -> float:
    since = health["broker"]["since"]
    return 0.0 if since is None else datetime.strptime(since, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()


def _seconds(latency_ms: Mapping[str, float] | None) -> dict[str, float]:
    return {} if latency_ms is None else {"0.5": latency_ms["p50"] / 1000, "0.99": latency_ms["p99"] / 1000}


def _dropped(counters: Mapping[str, int], of: str) -> dict[str, int]:
    """Return what was dropped, by reason, of a stream that counts `of`; zeros too: a rate knows no first value."""
    if of not in counters:
        return {}
    found = {name.removeprefix(_DROPPED): value for name, value in counters.items() if name.startswith(_DROPPED)}
    return {"restarted": 0, "stopped": 0, **found}


def _others(counters: Mapping[str, int]) -> dict[str, int]:
    told = (*INPUT, "pending")
    return {n: value for n, value in counters.items() if n not in told and not n.startswith((_DROPPED, "decisions."))}


def _gauge(name: str, text: str, rows: Rows) -> Metric:
    return _filled(GaugeMetricFamily(f"edgesnn_{name}", text, labels=list(rows[0][0]) if rows else []), rows)


def _counter(name: str, text: str, rows: Rows) -> Metric:
    return _filled(CounterMetricFamily(f"edgesnn_{name}", text, labels=list(rows[0][0]) if rows else []), rows)


def _filled(family: Any, rows: Rows) -> Metric:
    for labels, value in rows:
        family.add_metric(list(labels.values()), float(value))
    made: Metric = family
    return made
