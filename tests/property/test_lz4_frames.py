"""Our own reader of plain LZ4 frames gives what the package lz4 gives, or leaves the frame to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn import _native
from tests.property.aedat_files import event_packet, rising_events
from tests.property.streams import damaged

lz4 = pytest.importorskip("lz4.frame", reason="the extra `events` is not installed")

MOST = 1 << 22


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """Draw events, noise, repeats of any period, or nothing."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.integers(0, 3))
    count = draw(st.integers(0, 20_000))
    if kind == 0:
        return event_packet(rising_events(rng, count, (640, 480)))
    if kind == 1:
        return rng.integers(0, 256, count, dtype=np.uint8).tobytes()
    period = rng.integers(0, 256, draw(st.integers(1, 300)), dtype=np.uint8).tobytes()
    noise = rng.integers(0, 3, count, dtype=np.uint8).tobytes()
    return period * (count // len(period) + 1) if kind == 2 else noise + period * 40 + noise


options = st.fixed_dictionaries(
    {
        "block_size": st.sampled_from([4, 5, 6, 7]),
        "block_linked": st.booleans(),
        "store_size": st.booleans(),
        "compression_level": st.sampled_from([0, 3, 12]),
    }
)


@given(contents(), options)
@settings(max_examples=200, deadline=None)
def test_a_whole_frame_gives_its_content(content: bytes, options: dict[str, Any]) -> None:
    frame = lz4.compress(content, **options)
    assert _native.events.lz4_frame(frame, MOST) == (content if len(content) <= MOST else None)


@given(contents(), st.integers(0, 2**32 - 1), st.integers(1, 3))
@settings(max_examples=400, deadline=None)
def test_a_damaged_frame_gives_the_same_as_the_package_or_nothing(content: bytes, seed: int, hits: int) -> None:
    frame = damaged(np.random.default_rng(seed), lz4.compress(content), hits)
    ours = _native.events.lz4_frame(frame, MOST)
    package = lz4.LZ4FrameDecompressor()
    try:
        theirs = package.decompress(frame, max_length=MOST + 1)  # else it takes what the frame claims, terabytes too
    except RuntimeError:
        theirs = None
    assert ours is None or ours == theirs
    assert ours is None or package.eof


@given(contents())
@settings(max_examples=60, deadline=None)
def test_what_is_too_large_cut_or_followed_by_something_is_left_to_others(content: bytes) -> None:
    frame = lz4.compress(content)
    assert _native.events.lz4_frame(frame + b"\0", MOST) is None
    assert _native.events.lz4_frame(frame[:-1], MOST) is None
    if content:
        assert _native.events.lz4_frame(frame, len(content) - 1) is None
        assert _native.events.lz4_frame(frame, len(content)) == content


@pytest.mark.parametrize("option", ["content_checksum", "block_checksum"])
def test_a_frame_with_checksums_is_left_to_the_package(option: str) -> None:
    assert _native.events.lz4_frame(lz4.compress(b"a" * 99, **{option: True}), MOST) is None
