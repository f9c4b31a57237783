"""Decoding into an array that is given: the same events, nothing lost where it is full."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.errors import RecordingError, UsageError

SENSOR = (64, 48)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, np.ndarray]:
    rng = np.random.default_rng(1)
    events = np.zeros(3000, edgesnn.EVENT)
    events["t"] = np.sort(rng.integers(0, 200_000, 3000))
    events["x"], events["y"] = rng.integers(0, 64, 3000), rng.integers(0, 48, 3000)
    events["p"] = rng.integers(0, 2, 3000)
    path = tmp_path_factory.mktemp("out") / "a.raw"
    edgesnn.write(path, events, sensor=SENSOR)
    return path.read_bytes()[edgesnn.open(path).data_offset :], events


def decoded(data: bytes, room: int, piece: int) -> np.ndarray:
    decoder, out = edgesnn.Decoder("evt3", sensor=SENSOR), np.zeros(room, edgesnn.EVENT)
    parts = []
    for at in range(0, len(data), piece):
        part: Any = data[at : at + piece]
        while True:
            events, t_end_us = decoder.feed(part, out=out)
            assert np.shares_memory(events, out) or not len(events)
            assert not decoder.waiting or t_end_us == events["t"][-1]
            parts.append(events.copy())
            if not decoder.waiting:
                break
            part = b""
    return np.concatenate([*parts, decoder.finish()[0]])


@pytest.mark.parametrize("room", [1, 7, 1000, 5000])
@pytest.mark.parametrize("piece", [3, 512, 1 << 20])
def test_the_events_are_the_same(data: tuple[bytes, np.ndarray], room: int, piece: int) -> None:
    assert np.array_equal(decoded(data[0], room, piece), data[1])


def test_what_waits_comes_first_without_out_too(data: tuple[bytes, np.ndarray]) -> None:
    decoder, out = edgesnn.Decoder("evt3", sensor=SENSOR), np.zeros(10, edgesnn.EVENT)
    first = decoder.feed(data[0][:2000], out=out)[0].copy()
    with pytest.raises(UsageError, match="events wait for room"):
        decoder.save()
    rest = decoder.feed(data[0][2000:])[0]
    assert decoder.waiting == 0
    decoder.save()
    assert np.array_equal(np.concatenate([first, rest, decoder.finish()[0]]), data[1])
    decoder = edgesnn.Decoder("evt3", sensor=SENSOR)
    first = decoder.feed(data[0], out=out)[0].copy()
    assert np.array_equal(np.concatenate([first, decoder.finish()[0]]), data[1]), "the end gives them too"


def test_a_load_forgets_what_waits(data: tuple[bytes, np.ndarray]) -> None:
    decoder, out = edgesnn.Decoder("evt3", sensor=SENSOR), np.zeros(10, edgesnn.EVENT)
    state = decoder.save()
    decoder.feed(data[0], out=out)
    decoder.load(state)
    assert decoder.waiting == 0
    assert np.array_equal(decoder.feed(data[0])[0], data[1])


def test_damage_is_an_error_as_without() -> None:
    bad = np.array([0x8001, 0x0001, 0x2000 | 500], "<u2").tobytes()
    with pytest.raises(RecordingError):
        edgesnn.Decoder("evt3", sensor=SENSOR).feed(bad, out=np.zeros(4, edgesnn.EVENT))


def test_damage_later_leaves_what_waits(data: tuple[bytes, np.ndarray]) -> None:
    decoder, out = edgesnn.Decoder("evt3", sensor=SENSOR), np.zeros(10, edgesnn.EVENT)
    first = decoder.feed(data[0][:2000], out=out)[0].copy()
    waiting = decoder.waiting
    with pytest.raises(RecordingError):
        decoder.feed(np.array([0x2000 | 500], "<u2").tobytes(), out=out)
    assert decoder.waiting == waiting > 0
    rest = decoder.feed_some(b"")[0][:waiting]
    assert np.array_equal(np.concatenate([first, rest]), data[1][: 10 + waiting])


def test_a_wrong_out_is_refused_before_anything_is_decoded(data: tuple[bytes, np.ndarray]) -> None:
    decoder = edgesnn.Decoder("evt3", sensor=SENSOR)
    frozen = np.zeros(9, edgesnn.EVENT)
    frozen.flags.writeable = False
    for out in (np.zeros(9), np.zeros((3, 3), edgesnn.EVENT), np.zeros(9, edgesnn.EVENT)[::2], frozen, [],
                np.zeros(0, edgesnn.EVENT)):  # fmt: skip
        with pytest.raises(UsageError, match="out does not fit"):
            decoder.feed(data[0], out=out)  # type: ignore[arg-type]
    assert np.array_equal(decoder.feed(data[0])[0], data[1])
