"""The chain: the same decisions for every split and through snapshots, equal to its parts put together plainly."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn import _native
from edgesnn.encode.points import PointEncoding, PointWindow, encode_points
from edgesnn.errors import EdgeSnnError, ModelError, RecordingError
from edgesnn.events.types import EVENT
from edgesnn.runtime.decide import Decide, Readout
from tests.property.streams import SENSOR, Stream, streams

ENCODING = PointEncoding(60_000, 25_000, 4, points=16, groups=6, neighbours=3, steps=1, seed=11)
READOUT = Readout(("a", "b", "c"), 0.7, rejection=0.4, onset_confidence=0.4, onset_windows=2, offset_windows=2)


class SumModel:
    """Scores that any change of any coordinate, member, number or earlier window would change."""

    def __init__(self) -> None:
        self.memory = np.zeros(3, dtype=np.float32)

    def infer(self, number: int, coordinates: Any, centroids: Any, members: Any, sd: float) -> Any:
        weights = np.arange(1, coordinates.size + 1)
        total = int((coordinates.ravel() * weights).sum()) + 7 * int(members.sum()) + 3 * int(centroids.sum()) + number
        drive = np.array([total % 101, total % 103, total % 107], dtype=np.float32) / np.float32(40)
        self.memory = (self.memory * np.float32(0.5) + drive + np.float32(sd % 1)).astype(np.float32)
        return self.memory, total % 1009, total % 2003, 0

    def save(self) -> dict[str, Any]:
        return {"memory": self.memory}

    def load(self, state: dict[str, Any]) -> None:
        self.memory = state["memory"].astype(np.float32)


def make_chain(format: str = "", strict: bool = False, encoding: PointEncoding = ENCODING) -> Any:
    return _native.pipeline.Chain(encoding, SENSOR, READOUT, SumModel(), strict=strict, format=format, max_silent=100)


def drain(chain: Any, found: list[Any]) -> None:
    """Append the decisions that wait, without the clock's readings; the identity of the counters holds at every one."""
    while (result := chain.poll()) is not None:
        found.append(result[:3])
        check_identity(chain)


def check_identity(chain: Any) -> None:
    counters = chain.counters()
    dropped = sum(value for name, value in counters.items() if name.startswith("dropped."))
    assert counters["events_in"] == counters["processed"] + dropped + counters["pending"]


def run(
    stream: Stream, cuts: Sequence[int], strict: bool, restore: bool = False
) -> tuple[list[Any], dict[str, int], str]:
    """Push the stream in the pieces between `cuts`; with `restore` go on in a new chain before every piece."""
    chain = make_chain(stream.format, strict)
    edges = sorted({0, *(min(cut, len(stream.data)) for cut in cuts), len(stream.data)})
    found: list[Any] = []
    message = ""
    try:
        for start, stop in itertools.pairwise(edges):
            chain.push_bytes(stream.data[start:stop])
            check_identity(chain)
            if restore:
                state = chain.save()
                chain = make_chain(stream.format, strict)
                chain.load(state)
            drain(chain, found)
        chain.finish()
        drain(chain, found)
    except RecordingError as error:
        message = str(error)
    counters = chain.counters()
    del counters["packets_in"]
    return found, counters, message


cut_lists = st.lists(st.integers(0, 900), max_size=12)


@settings(max_examples=400, deadline=None)
@given(streams(), cut_lists, st.booleans())
def test_the_split_of_the_bytes_changes_nothing(stream: Stream, cuts: list[int], strict: bool) -> None:
    whole, split = run(stream, [], strict), run(stream, cuts, strict)
    assert split[0] == whole[0]
    assert split[2] == whole[2]
    if not strict:  # a failed strict stream ends where it stands: bytes after the damage may not have come in
        assert split[1] == whole[1]


@settings(max_examples=200, deadline=None)
@given(streams(("evt3",)))
def test_every_single_byte_a_packet_changes_nothing(stream: Stream) -> None:
    assert run(stream, range(len(stream.data)), False) == run(stream, [], False)


@settings(max_examples=200, deadline=None)
@given(streams(), cut_lists)
def test_a_restored_chain_goes_on_as_if_nothing_had_happened(stream: Stream, cuts: list[int]) -> None:
    assert run(stream, cuts, False, restore=True) == run(stream, [], False)


@settings(max_examples=100, deadline=None)
@given(streams(), st.integers(0, 30))
def test_a_snapshot_between_two_decisions_of_one_packet_is_exact(stream: Stream, after: int) -> None:
    whole, _, _ = run(stream, [], False)
    chain = make_chain(stream.format)
    chain.push_bytes(stream.data)
    chain.finish()
    found = [result[:3] for result in itertools.islice(iter(chain.poll, None), after)]
    twin = make_chain(stream.format)
    twin.load(chain.save())
    drain(twin, found)
    assert found == whole


@st.composite
def event_arrays(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, 300))
    events = np.zeros(count, dtype=EVENT)
    events["x"], events["y"] = rng.integers(0, SENSOR[0], count), rng.integers(0, SENSOR[1], count)
    events["p"] = rng.integers(0, 2, count)
    steps = rng.choice([-300, 0, 40, 2_000, 90_000], count, p=[0.1, 0.2, 0.4, 0.28, 0.02])
    events["t"] = 1_000_000 + np.cumsum(steps)
    return events


def plain_decisions(events: np.ndarray[Any, Any], encoding: PointEncoding) -> list[Any]:
    """The chain's decisions from the readable parts: windows by their definition, the numpy encoder, `Decide`."""
    if not len(events):
        return []
    clamped = events.copy()
    clamped["t"] = np.maximum.accumulate(events["t"])
    model, decide, found = SumModel(), Decide(READOUT), []
    for number in itertools.count():
        t0 = int(events["t"][0]) + number * encoding.hop_us
        if t0 + encoding.window_us > clamped["t"][-1]:
            return found
        inside = np.flatnonzero((clamped["t"] >= t0) & (clamped["t"] < t0 + encoding.window_us))
        scores, costs = None, (0, 0, 0)
        if len(inside) >= max(1, encoding.min_events):
            points: PointWindow = encode_points(
                clamped[inside], encoding, SENSOR, number=number, first_event=int(inside[0]), t0_us=t0
            )
            scores, *rest = model.infer(number, points.coordinates, points.centroids, points.members, points.sd)
            costs = tuple(rest)
        made = decide.push(scores)
        shares = [] if made.probabilities is None else [float(p) for p in made.probabilities]
        active = made.active if made.verdict == "label" else None
        window = (number, t0, t0 + encoding.window_us, len(inside), 0)
        found.append((window, (made.verdict, active, shares), costs))


@settings(max_examples=150, deadline=None)
@given(event_arrays(), st.lists(st.integers(0, 320), max_size=6), st.sampled_from(["fixed", "minmax"]))
def test_the_chain_equals_its_parts_put_together_plainly(events: Any, cuts: list[int], time: Any) -> None:
    encoding = PointEncoding(60_000, 25_000, 4, points=16, groups=6, neighbours=3, steps=1, seed=11, time=time)
    chain = make_chain(encoding=encoding)
    found: list[Any] = []
    for packet in np.split(events, sorted(min(cut, len(events)) for cut in cuts)):
        chain.push_events(packet)
        drain(chain, found)
    chain.finish()
    drain(chain, found)
    assert found == plain_decisions(events, encoding)


@settings(max_examples=300, deadline=None)
@given(streams(), st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_a_tampered_snapshot_is_refused_or_harmless(stream: Stream, seed: int, hits: int) -> None:
    chain = make_chain(stream.format)
    chain.push_bytes(stream.data)
    drain_some(chain, 5)
    state = {name: array.copy() for name, array in chain.save().items()}
    rng = np.random.default_rng(seed)
    for _ in range(hits):
        array = state[sorted(state)[int(rng.integers(len(state)))]]
        raw = array.reshape(-1).view(np.uint8)
        if len(raw):
            raw[int(rng.integers(len(raw)))] ^= 1 << int(rng.integers(8))
    twin = make_chain(stream.format)
    before = {name: array.tobytes() for name, array in twin.save().items()}
    try:
        twin.load(state)
    except ModelError:
        assert {name: array.tobytes() for name, array in twin.save().items()} == before
    else:
        with contextlib.suppress(EdgeSnnError):  # the tampered state may be an ended stream's
            twin.push_bytes(stream.data)
            drain_some(twin, 50)


def drain_some(chain: Any, most: int) -> None:
    for _ in range(most):
        if chain.poll() is None:
            return
