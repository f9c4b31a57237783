"""What the flight recorder holds: within its memory, and of one feed at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import edgesnn
from edgesnn.daemon import runner as runners
from edgesnn.errors import ModelError
from edgesnn.pipeline import Pipeline, Ring
from edgesnn.recorder.ring import FlightRing, tap_bytes
from tests.flights import Flight, assert_reproduced, files, streamed
from tests.walks import make_events

__all__ = ["files"]  # a fixture


class Endless:
    """A tap that always has something, and a state of a size."""

    def __init__(self, state_bytes: int, packet_bytes: int) -> None:
        self.state, self.packet, self.full, self.stopped = state_bytes, packet_bytes, True, False

    def freeze(self) -> Any:
        from edgesnn.pipeline.tap import Frozen

        return Frozen({"session/x": np.zeros(self.state, np.uint8)}, "0" * 64, ("session",))

    def take(self) -> dict[str, Any]:
        return {"packets": np.zeros((1, 3), np.int64), "events": np.zeros(self.packet, np.uint8)}

    def stop(self) -> None:
        self.stopped = True


@given(st.integers(0, 400_000), st.integers(0, 300_000), st.integers(1, 40))
def test_the_ring_stays_within_its_memory(state, packet, turns):
    now = [0.0]
    ring = FlightRing(Endless(state, packet), most_bytes=1_000_000, span_s=1e9, clock=lambda: now[0])
    for _ in range(turns):
        now[0] += 0.1
        ring.add(None)
        ring.turn()
        assert ring.size_bytes <= 1_000_000
    assert (ring.why is not None) == (state > 500_000)
    assert ring.recording() is not None


def test_a_state_that_has_no_room_ends_it_with_a_reason():
    tap = Endless(600_000, 10)
    ring = FlightRing(tap, most_bytes=1_000_000, span_s=10)
    assert "600000 bytes" in (ring.why or "")
    assert tap.stopped
    ring.add(None)
    ring.turn()
    assert ring.recording() is None


def test_one_that_begins_anew_leaves_out_what_was_decided_before(files, tmp_path, monkeypatch):
    """As after a command that resets states: the prediction at hand is of the states before it."""
    original = runners.Runner._take

    def anew(self: Any, prediction: Any) -> None:
        if prediction.window == 3:
            self.flight.begin(self._feed)
        original(self, prediction)

    monkeypatch.setattr(runners.Runner, "_take", anew)
    stream, model = streamed(files, "points")
    (made,) = Flight(tmp_path, stream, model, stop_after=8).end()
    assert [one.window for one in made.published] == [4, 5, 6, 7]
    assert_reproduced(made)


def test_a_recorder_that_cannot_go_on_does_not_end_its_stream(files, tmp_path, monkeypatch, caplog):
    def failing(self: Any) -> None:
        raise ModelError("no state to be had")

    monkeypatch.setattr(FlightRing, "turn", failing)
    stream, model = streamed(files, "points")
    flight = Flight(tmp_path, stream, model)
    assert not flight.end()
    assert (flight.runner.state, len(flight.published) > 8) == ("ended", True)
    assert flight.recorder.why == "no state to be had"
    assert caplog.text.count("no bundle") == 1


def test_a_flood_without_decisions_does_not_grow_the_memory(files):
    """Events that a filter drops: no decision is made for long, and the tap is emptied all the same."""
    model = edgesnn.load(files / "points.safetensors")
    events = make_events(400_000, duration_us=40_000)  # less than a window
    with Pipeline([events] * 20, model, threaded=Ring("block", 1 << 14)) as pipeline:
        ring = FlightRing(pipeline.tap(tap_bytes(1 << 20)), most_bytes=1 << 20, span_s=1e9)
        while not pipeline.ended:
            pipeline.poll(10)
            ring.turn()
            assert ring.size_bytes <= 1 << 20
        assert pipeline.counters["events_in"] == 20 * len(events)
        assert ring.lost + len(events) > 0
