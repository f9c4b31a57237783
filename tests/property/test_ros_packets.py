"""ROS messages with events: as the slow reader has them, in both serialisations, in any split, inside the sensor."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import DecoderOptions, native_decoder
from edgesnn.events.formats.ros_messages import MessageError, parse
from edgesnn.events.formats.ros_packets import Place, RosEvents
from tests.property.evt_reference import Outcome, decode_evt3
from tests.property.ros_files import PACKET, Packet, message, packets, serialized, store
from tests.property.ros_reference import decode_packets
from tests.property.streams import SENSOR, damaged

ENCODINGS = ("evt3", "mono", "libcaer", "libcaer_cmp", "dvs")

encodings = st.sampled_from(ENCODINGS)
seeds = st.integers(0, 2**32 - 1)


def made(encoding: str, seed: int, *, harm: int = 0) -> list[Packet]:
    """Some packets; `harm`: so many damaged places in their events and times."""
    rng = np.random.default_rng(seed)
    made = packets(encoding, rng, int(rng.integers(1, 8)), size=int(rng.integers(0, 40)))
    if encoding == "dvs":
        return made
    out = []
    for packet in made:
        data, base_ns = packet.data, packet.base_ns
        if harm and rng.random() < 0.5 and data:
            data = damaged(rng, data, harm)
        if harm and rng.random() < 0.1:
            base_ns = int(rng.integers(0, 2**63))
        out.append(Packet(packet.encoding, data, packet.seq, base_ns))
    return out


def decode(some: list[Packet], ros: int, on_corrupt: str = "skip") -> tuple[Any, RosEvents, Exception | None]:
    """Decode messages as rosbags serialises them."""
    events = RosEvents(some[0].encoding, SENSOR, on_corrupt)
    out: list[Any] = []
    steps = []
    for number, packet in enumerate(some):
        read = parse(packet.type, serialized(packet, ros), cdr=ros == 2)
        assert (read.encoding, read.size) == (packet.encoding, packet.size)
        steps.append(events.take(read, Place("bag", number, 0)))
    for part, _, error in itertools.chain(*steps, events.finish()):
        out += part.tolist()
        if error is not None:
            return out, events, error
    return out, events, None


def oracle(some: list[Packet]) -> Outcome:
    if some[0].encoding != "evt3":
        return decode_packets(some, SENSOR)
    data = b"".join(packet.data for packet in some)
    outcome = decode_evt3(np.frombuffer(data[: len(data) // 2 * 2], "<u2").tolist(), SENSOR)
    outcome.counters["truncated_bytes"] += len(data) % 2
    return outcome


@given(encodings, seeds, st.sampled_from([1, 2]), st.sampled_from([0, 0, 1, 5]))
@settings(max_examples=400)
def test_messages_equal_the_oracle_damaged_or_not(encoding: str, seed: int, ros: int, harm: int) -> None:
    some = made(encoding, seed, harm=harm)
    events, decoder, error = decode(some, ros)
    expected = oracle(some)
    assert error is None
    assert events == expected.events
    assert decoder.counters == expected.counters
    assert decoder.t_end_us == expected.t_end_us
    assert decoder.triggers().tolist() == expected.triggers


@given(encodings, seeds, st.integers(1, 5))
@settings(max_examples=150)
def test_strict_says_in_which_message_and_gives_what_was_before(encoding: str, seed: int, harm: int) -> None:
    some = made(encoding, seed, harm=harm)
    whole, skipping, _ = decode(some, 2)
    events, _, error = decode(some, 2, "strict")
    assert events == whole[: len(events)]
    bad = any(skipping.counters[name] for name in ("bad_words", "out_of_range", "truncated_bytes"))
    assert (error is not None) == bad
    if error is not None:
        assert isinstance(error, RecordingError)
        assert "message " in error.what
        assert error.where == "bag"
        assert error.offset is not None


def framed(some: list[Packet]) -> bytes:
    """The bytes that the native decoder is given."""
    events = RosEvents(some[0].encoding, SENSOR, "skip")
    parts = [b""]
    for packet in some:
        parts += map(bytes, events._framed(parse(packet.type, serialized(packet, 2), cdr=True)))
    return b"".join(parts)


@given(st.sampled_from(ENCODINGS[1:]), seeds, st.lists(st.integers(0, 3000), max_size=6), st.integers(0, 8))
@settings(max_examples=200)
def test_every_split_and_restored_state_of_the_native_decoder_is_the_same(
    encoding: str, seed: int, cuts: list[int], harm: int
) -> None:
    data = framed(made(encoding, seed))
    data = damaged(np.random.default_rng(seed), data, harm) if harm and data else data
    options = DecoderOptions(SENSOR, "skip")
    whole = native_decoder("ros", options)
    expected = whole.feed(data)[0].tolist() + whole.finish()[0].tolist()
    assert all(x < SENSOR[0] and y < SENSOR[1] and p < 2 for _, x, y, p in expected)
    decoder, events = native_decoder("ros", options), []
    edges = sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
    for start, stop in itertools.pairwise(edges):
        events += decoder.feed(data[start:stop])[0].tolist()
        state = decoder.save()
        decoder = native_decoder("ros", options)
        decoder.load(state)
    events += decoder.finish()[0].tolist()
    assert events == expected
    assert decoder.counters == whole.counters
    assert decoder.t_end_us == whole.t_end_us


def decode_with_gaps(some: list[Packet]) -> tuple[list[Any], dict[str, int]]:
    """Decode packets with something missing before each."""
    events, out = RosEvents(some[0].encoding, SENSOR, "skip"), []
    for number, packet in enumerate(some):
        steps = events.take(parse(packet.type, serialized(packet, 2), cdr=True), Place("bag", number, 0))
        out += [event for part, _, _ in itertools.chain(events.lost(), steps) for event in part.tolist()]
    return out + [event for part, _, _ in events.finish() for event in part.tolist()], events.counters


def test_after_a_gap_no_row_of_before_is_used() -> None:
    some = packets("evt3", np.random.default_rng(8), 12)
    truth = {event[1:] for event in decode(some, 2)[0]}
    out, counters = decode_with_gaps([packet for packet in some if packet.seq % 3])
    assert counters["unplaced_events"] > 10
    assert len(out) > 50
    assert {event[1:] for event in out} <= truth


def test_after_a_gap_no_column_of_before_is_used() -> None:
    first = Packet("libcaer_cmp", np.array([0x2005, 0x3003, 0x4007], "<u2").tobytes(), 1, 1000)
    second = Packet("libcaer_cmp", np.array([0x3004, 0x5003, 0x2006, 0x3004], "<u2").tobytes(), 2, 2000)
    assert decode([first, second], 2)[0] == [(1, 5, 3, 0), (2, 5, 4, 0), (2, 5, 7, 0), (2, 5, 8, 0), (2, 6, 4, 0)]
    out, counters = decode_with_gaps([first, second])
    assert out == [(1, 5, 3, 0), (2, 6, 4, 0)]
    assert counters["unplaced_events"] == 3


@given(encodings, seeds, st.sampled_from([1, 2]), st.integers(1, 30))
@settings(max_examples=300)
def test_a_damaged_message_is_refused_or_read_in_bounds(encoding: str, seed: int, ros: int, harm: int) -> None:
    rng = np.random.default_rng(seed)
    packet = packets(encoding, rng, 1)[0]
    data = damaged(rng, serialized(packet, ros), harm)
    try:
        read = parse(packet.type, data, cdr=ros == 2)
    except MessageError:
        return
    assert len(read.data) <= len(data)


def test_a_rosbags_message_object_has_the_fields_that_are_read() -> None:
    packet = packets("mono", np.random.default_rng(1), 1)[0]
    found = message(packet, 2)
    assert (found.width, found.height, found.seq, found.time_base) == (*packet.size, packet.seq, packet.base_ns)


@pytest.mark.parametrize(("field", "value"), [("encoding", "dvs"), ("is_bigendian", True)])
def test_a_packet_of_what_no_camera_sends_is_no_message(field: str, value: object) -> None:
    one = message(Packet("mono", bytes(8)), 2)
    setattr(one, field, value)
    data = bytes(store(2).serialize_cdr(one, PACKET))
    with pytest.raises(MessageError, match=r"dvs|big-endian"):
        parse(PACKET, data, cdr=True)
