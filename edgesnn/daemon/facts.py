"""What the service knows of itself, as data: health and stats, for topics, pages and systemd."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from edgesnn.daemon.beacon import Beacon
from edgesnn.daemon.commands.desk import Desk
from edgesnn.daemon.outlet import Outlet
from edgesnn.daemon.runner import Runner

STALLED_S = 10.0
STARTING_S = 120.0  # opening a USB camera, scoring a normal log
OUTLET_S = 30.0  # of "outlet": a disk that hangs
TROUBLES = ("dead", "restarting", "failed")
_STATM = "/proc/self/statm"


class Thread(Protocol):
    """A part of the service that has a thread of its own."""

    @property
    def alive(self) -> bool:
        """Whether it is there."""


def stalled(runners: Sequence[Runner], outlet: Outlet, others: Mapping[str, Thread | None]) -> list[str]:
    """Return who has not come round for too long, or whose thread has died: streams, "outlet", and the names of the
    others; nobody: the service makes progress."""
    now_s = time.monotonic()
    names = []
    for runner in runners:
        limit_s = STARTING_S if runner.state == "starting" else STALLED_S
        if not runner.over and (now_s - runner.beat_s > limit_s or not runner.alive):
            names.append(runner.stream.name)
    if not outlet.over and (now_s - outlet.beat_s > OUTLET_S or not outlet.alive):
        names.append("outlet")
    return names + [name for name, part in others.items() if part is not None and not part.alive]


def broker(outlet: Outlet, beacon: Beacon) -> dict[str, Any]:
    """Return {"connected", "why", "since", "last_error"}: both connections count, the last two are of predictions."""
    connected = outlet.connected and beacon.connected
    why = outlet.why or beacon.why
    return {"connected": connected, "why": why, "since": outlet.since, "last_error": outlet.last_error}


def health(
    runners: Sequence[Runner],
    outlet: Outlet,
    beacon: Beacon,
    stuck: Sequence[str],
    desk: Desk | None = None,
    hangs_at: str | None = None,
) -> dict[str, Any]:
    """Return {"health": "ok" | "degraded", "reasons", "broker", "streams"}.

    Args:
        stuck: who is `stalled`.
        hangs_at: what is being written, where that takes too long.
    """
    link = broker(outlet, beacon)
    reasons = [f"stream {one.stream.name}: {one.state}" for one in runners if one.state in TROUBLES]
    degraded = outlet.degraded
    reasons += [] if degraded is None else [f"outbox: {degraded}"]
    kept = [one.checkpoints for one in runners if one.checkpoints is not None]
    reasons += [f"checkpoint: {why}" for why in dict.fromkeys(one.why for one in kept if one.why)]
    flights = [(one.stream.name, one.flight.why) for one in runners if one.flight is not None]
    reasons += [f"recorder: stream {name}: {why}" for name, why in flights if why is not None]
    reasons += [] if hangs_at is None else [f"the disk hangs: {hangs_at}"]
    reasons += [f"{name} makes no progress" for name in stuck]
    if not link["connected"]:
        reasons += [] if link["why"] is None else ["no broker"]  # the first attempt has not failed yet
    elif (held_up := outlet.held_up) is not None:
        reasons.append(f"predictions wait: {held_up}")
    if link["connected"] and desk is not None and desk.why is not None:
        reasons.append(f"commands: {desk.why}")
    return {
        "health": "degraded" if reasons else "ok",
        "reasons": reasons,
        "broker": link,
        "streams": {one.stream.name: _stream_health(one) for one in runners},
    }


def stats(
    runners: Sequence[Runner],
    outlet: Outlet,
    began_s: float,
    bundles_deleted: int,
    desk: Desk | None = None,
    board: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what was counted since the start; `board`: what the board told last."""
    commands = {} if desk is None else {"commands": desk.stats()}
    return {
        "uptime_s": round(time.monotonic() - began_s, 3),
        "resident_bytes": resident_bytes(),
        "streams": {one.stream.name: stream_stats(one) for one in runners},
        "bundles_deleted": bundles_deleted,
        "outbox": outlet.stats(),
        "board": board,
        **commands,
    }


def stream_stats(runner: Runner) -> dict[str, Any]:
    """Return what was counted of one stream."""
    return {
        "state": runner.state,
        "restarts": runner.restarts,
        "decisions": dict(runner.decisions),
        "deadlines_missed": runner.deadlines_missed,
        "rate_hz": runner.lately.rate_hz,
        "latency_ms": runner.lately.latency_ms,
        "held_back": dict(runner.gate.held_back),
        "counters": runner.counters,
        "recorder": None if runner.flight is None else runner.flight.stats,
        "checkpoint": None if runner.checkpoints is None else runner.checkpoints.stats,
    }


def sentence(runners: Sequence[Runner], connected: bool) -> str:
    """Return one line for `systemctl status`."""
    states: Mapping[str, int] = _tally([one.state for one in runners])
    streams = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"{len(runners)} streams: {streams}; broker {'connected' if connected else 'not connected'}"


def resident_bytes() -> int | None:
    """Return the resident memory of this process; None where /proc does not say."""
    try:
        with open(_STATM, encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return None


def _stream_health(runner: Runner) -> dict[str, Any]:
    model = runner.model
    facts = {"name": model.name, "sha256": model.identity, "precision": model.precision, "backend": model.backend}
    paused = runner.gate.paused
    return {"state": runner.state, "paused": paused, "restarts": runner.restarts, "why": runner.why, "model": facts}


def _tally(words: Sequence[str]) -> dict[str, int]:
    return {word: words.count(word) for word in dict.fromkeys(words)}
