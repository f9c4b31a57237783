"""Whole zstd frames give their content at once, or are taken by pieces; packets give the same both ways."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.events.formats.aedat4_frames import Zstd
from tests.property.frame_contents import contents
from tests.property.streams import damaged
from tests.property.test_aedat4_packets import decode, made_up, of_file

zstd = pytest.importorskip("zstandard", reason="the extra `events` is not installed")

MOST = 1 << 22

options = st.fixed_dictionaries(
    {"level": st.sampled_from([-5, 1, 3, 12, 19]), "write_checksum": st.booleans(), "write_content_size": st.booleans()}
)


@given(contents(), options)
@settings(max_examples=150)
def test_a_whole_frame_gives_its_content(content: bytes, options: dict[str, Any]) -> None:
    frame = zstd.ZstdCompressor(**options).compress(content)
    left = not content or not options["write_content_size"]
    assert whole(frame) == (None if left else content)


@given(contents())
@settings(max_examples=60)
def test_what_is_too_large_cut_or_followed_by_something_is_left_to_others(content: bytes) -> None:
    frame = zstd.compress(content + bytes(range(40)))
    size = len(content) + 40
    assert whole(frame + b"\0") is None
    assert whole(frame + frame) is None
    assert whole(frame[:-1]) is None
    assert whole(frame, size - 1) is None
    assert whole(frame, size) == content + bytes(range(40))


def test_a_window_of_more_than_8_mib_is_left_to_others() -> None:
    content = np.random.default_rng(1).integers(0, 4, 100_000, dtype=np.uint8).tobytes()
    frame = bytearray(zstd.compress(content))
    assert frame[4] & 0x20  # a single segment has no window of its own
    magic, size, blocks = frame[:4], frame[5:9], frame[9:]
    for log, left in ((23, False), (24, True)):
        changed = magic + bytes([frame[4] & ~0x20, (log - 10) << 3]) + size + blocks
        assert (whole(bytes(changed)) is None) is left


@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.sampled_from(["strict", "skip"]))
@settings(max_examples=100)
def test_packets_come_the_same_by_pieces(seed: int, hits: int, on_corrupt: str) -> None:
    _, _, header, data = made_up(seed, "zstd", 60)
    data = damaged(np.random.default_rng(seed), data, hits)
    with mock.patch.object(Zstd, "whole", return_value=None):
        by_pieces = of_file(header, data, on_corrupt)
    assert decode(by_pieces, data, []) == decode(of_file(header, data, on_corrupt), data, [])


def whole(frame: bytes, most: int = MOST) -> bytes | None:
    content = Zstd().whole(memoryview(frame), most)
    return None if content is None else bytes(content)
