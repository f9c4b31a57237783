"""The chain: the same decisions for every split and through snapshots, equal to its parts put together plainly."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn import _native
from edgesnn.encode.points import PointEncoding, encode_points
from edgesnn.encode.spikes import SpikeEncoding, encode_spikes
from edgesnn.errors import EdgeSnnError, ModelError, RecordingError
from edgesnn.events.filters import Chain as Filters
from edgesnn.events.filters import Filter, parse_filters
from edgesnn.events.types import EVENT
from edgesnn.runtime.decide import Decide, Readout
from tests.property.streams import SENSOR, Stream, streams

ENCODING = PointEncoding(60_000, 25_000, 4, points=16, groups=6, neighbours=3, steps=1, seed=11)
SPIKES = [
    SpikeEncoding(SENSOR, bin_us=4_000, steps=15, hop_steps=6, bound=2),
    SpikeEncoding(SENSOR, 700, 9, 9, origin="zero", rounding="nearest", polarity_order=(1, 0), bound=1),
    SpikeEncoding(SENSOR, 901, 5, 11, rounding="nearest"),
]
ENCODINGS = st.sampled_from([ENCODING, *SPIKES])
READOUT = Readout(("a", "b", "c"), 0.7, rejection=0.4, onset_confidence=0.4, onset_windows=2, offset_windows=2)


class SumModel:
    """Scores that any change of any coordinate, member, number or earlier window would change."""

    def __init__(self) -> None:
        self.memory = np.zeros(3, dtype=np.float32)

    def infer(self, fields: tuple[Any, ...]) -> Any:
        total = 0
        for place, field in enumerate(fields, 3):
            whole = np.floor(np.asarray(field, dtype=np.float64)).astype(np.int64).ravel()
            total += place * int((whole * np.arange(1, whole.size + 1)).sum())
        drive = np.array([total % 101, total % 103, total % 107], dtype=np.float32) / np.float32(40)
        self.memory = (self.memory * np.float32(0.5) + drive + np.float32(fields[-1] % 1)).astype(np.float32)
        return self.memory, total % 7, total % 1009, total % 2003, 0

    def save(self) -> dict[str, Any]:
        return {"memory": self.memory}

    def load(self, state: dict[str, Any]) -> None:
        self.memory = state["memory"].astype(np.float32)


def make_chain(
    encoding: Any, format: str = "", strict: bool = False, run_idle: bool = False, filters: Sequence[Filter] = ()
) -> Any:
    options = {"strict": strict, "format": format, "max_silent": 100, "run_idle": run_idle}
    options["filters"] = [one.native for one in filters]
    return _native.pipeline.Chain(encoding, SENSOR, READOUT, SumModel(), **options)


def goes_on(encoding: Any) -> bool:
    """Say whether the chain's model sees idle windows: where windows of spikes follow each other."""
    return isinstance(encoding, SpikeEncoding) and encoding.steps == encoding.hop_steps


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
    stream: Stream,
    cuts: Sequence[int],
    strict: bool,
    encoding: Any,
    restore: bool = False,
    filters: Sequence[Filter] = (),
) -> tuple[list[Any], dict[str, int], str]:
    """Push the stream in the pieces between `cuts`; with `restore` go on in a new chain before every piece."""
    chain = make_chain(encoding, stream.format, strict, goes_on(encoding), filters)
    edges = sorted({0, *(min(cut, len(stream.data)) for cut in cuts), len(stream.data)})
    found: list[Any] = []
    message = ""
    try:
        for start, stop in itertools.pairwise(edges):
            chain.push_bytes(stream.data[start:stop])
            check_identity(chain)
            if restore:
                state = chain.save()
                chain = make_chain(encoding, stream.format, strict, goes_on(encoding), filters)
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


@settings(max_examples=400)
@given(streams(), cut_lists, st.booleans(), ENCODINGS)
def test_the_split_of_the_bytes_changes_nothing(stream: Stream, cuts: list[int], strict: bool, encoding: Any) -> None:
    whole, split = run(stream, [], strict, encoding), run(stream, cuts, strict, encoding)
    assert split[0] == whole[0]
    assert split[2] == whole[2]
    if not strict:  # a failed strict stream ends where it stands: bytes after the damage may not have come in
        assert split[1] == whole[1]


@settings(max_examples=200)
@given(streams(("evt3",)), ENCODINGS)
def test_every_single_byte_a_packet_changes_nothing(stream: Stream, encoding: Any) -> None:
    assert run(stream, range(len(stream.data)), False, encoding) == run(stream, [], False, encoding)


@settings(max_examples=200)
@given(streams(), cut_lists, ENCODINGS)
def test_a_restored_chain_goes_on_as_if_nothing_had_happened(stream: Stream, cuts: list[int], encoding: Any) -> None:
    assert run(stream, cuts, False, encoding, restore=True) == run(stream, [], False, encoding)


@settings(max_examples=100)
@given(streams(), st.integers(0, 30), ENCODINGS)
def test_a_snapshot_between_two_decisions_of_one_packet_is_exact(stream: Stream, after: int, encoding: Any) -> None:
    whole, _, _ = run(stream, [], False, encoding)
    chain = make_chain(encoding, stream.format, run_idle=goes_on(encoding))
    chain.push_bytes(stream.data)
    chain.finish()
    found = [result[:3] for result in itertools.islice(iter(chain.poll, None), after)]
    twin = make_chain(encoding, stream.format, run_idle=goes_on(encoding))
    twin.load(chain.save())
    drain(twin, found)
    assert found == whole


FILTERS = parse_filters(
    [
        "refractory:period=300us",
        "hot_pixels:learn=5ms,rate=400Hz",
        "mask:x=0,y=0,width=40,height=40",
        "rate:limit=5kHz,period=2ms",
        "decimate:factor=3",
        "flip",
        "rotate:degrees=180",
        "polarity:keep=swap",
    ]
)
filter_lists = st.lists(st.sampled_from(FILTERS), min_size=1, max_size=4)


@settings(max_examples=200)
@given(streams(), cut_lists, ENCODINGS, filter_lists)
def test_filters_give_the_same_in_any_split_and_through_snapshots(
    stream: Stream, cuts: list[int], encoding: Any, filters: list[Filter]
) -> None:
    whole = run(stream, [], False, encoding, filters=filters)
    assert run(stream, cuts, False, encoding, filters=filters) == whole
    assert run(stream, cuts, False, encoding, restore=True, filters=filters) == whole


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


@settings(max_examples=100)
@given(event_arrays(), ENCODINGS, filter_lists)
def test_filters_of_the_chain_are_those_of_events_filtered_before(
    events: np.ndarray[Any, Any], encoding: Any, filters: list[Filter]
) -> None:
    by_hand = filtered_before(events, encoding, filters)
    chain = make_chain(encoding, run_idle=goes_on(encoding), filters=filters)
    chain.push_events(events)
    found: list[Any] = []
    drain(chain, found)
    assert found == by_hand


def filtered_before(events: np.ndarray[Any, Any], encoding: Any, filters: list[Filter]) -> list[Any]:
    chain = make_chain(encoding, run_idle=goes_on(encoding))
    end_us = int(events["t"].max()) if len(events) else None
    chain.push_events(Filters(filters, sensor=SENSOR).push(events), end_us)
    found: list[Any] = []
    drain(chain, found)
    return found


def plain_decisions(events: np.ndarray[Any, Any], encoding: Any, run_idle: bool) -> list[Any]:
    """The chain's decisions from the readable parts: windows by their definition, the numpy encoder, `Decide`."""
    if not len(events):
        return []
    clamped, grid = events.copy(), encoding.grid
    clamped["t"] = np.maximum.accumulate(events["t"])
    model, decide, found = SumModel(), Decide(READOUT), []
    origin = int(clamped["t"][0]) if grid.origin == "first" else 0
    for number in itertools.count(grid.first_number(int(clamped["t"][0]) - origin)):
        t0, t1 = origin + grid.start_us(number), origin + grid.end_us(number)
        if t1 > clamped["t"][-1]:
            return found
        inside = np.flatnonzero((clamped["t"] >= t0) & (clamped["t"] < t1))
        idle = len(inside) < max(1, encoding.min_events)
        scores, costs = None, (0, 0, 0, 0)
        if not idle or run_idle:
            scores, *rest = model.infer(window_fields(clamped, inside, encoding, number, t0))
            costs = tuple(rest)
        made = decide.push(None if idle else scores)
        shares = [] if made.probabilities is None else [float(p) for p in made.probabilities]
        active = made.active if made.verdict == "label" else None
        found.append(((number, t0, t1, len(inside), 0), (made.verdict, active, shares), costs))


def window_fields(events: Any, inside: Any, encoding: Any, number: int, t0_us: int) -> tuple[Any, ...]:
    if isinstance(encoding, SpikeEncoding):
        return tuple(vars(encode_spikes(events[inside], encoding, number=number, t0_us=t0_us)).values())
    first = int(inside[0])
    made = encode_points(events[inside], encoding, SENSOR, number=number, first_event=first, t0_us=t0_us)
    return tuple(vars(made).values())


@settings(max_examples=300)
@given(event_arrays(), st.lists(st.integers(0, 320), max_size=6), ENCODINGS, st.booleans(), st.booleans())
def test_the_chain_equals_its_parts_put_together_plainly(
    events: Any, cuts: list[int], encoding: Any, minmax: bool, run_idle: bool
) -> None:
    if isinstance(encoding, PointEncoding):
        encoding, run_idle = replace(encoding, time="minmax" if minmax else "fixed"), False
    chain = make_chain(encoding, run_idle=run_idle)
    found: list[Any] = []
    for packet in np.split(events, sorted(min(cut, len(events)) for cut in cuts)):
        chain.push_events(packet)
        drain(chain, found)
    chain.finish()
    drain(chain, found)
    assert found == plain_decisions(events, encoding, run_idle)


@settings(max_examples=300)
@given(streams(), st.integers(0, 2**32 - 1), st.integers(1, 6), ENCODINGS)
def test_a_tampered_snapshot_is_refused_or_harmless(stream: Stream, seed: int, hits: int, encoding: Any) -> None:
    chain = make_chain(encoding, stream.format)
    chain.push_bytes(stream.data)
    drain_some(chain, 5)
    state = {name: array.copy() for name, array in chain.save().items()}
    rng = np.random.default_rng(seed)
    for _ in range(hits):
        array = state[sorted(state)[int(rng.integers(len(state)))]]
        raw = array.reshape(-1).view(np.uint8)
        if len(raw):
            raw[int(rng.integers(len(raw)))] ^= 1 << int(rng.integers(8))
    twin = make_chain(encoding, stream.format)
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
