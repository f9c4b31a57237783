"""Our own reader of plain LZ4 frames gives what the package lz4 gives, or leaves the frame to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn import _native
from tests.property.frame_contents import contents
from tests.property.streams import damaged

lz4 = pytest.importorskip("lz4.frame", reason="the extra `events` is not installed")

MOST = 1 << 22


options = st.fixed_dictionaries(
    {
        "block_size": st.sampled_from([4, 5, 6, 7]),
        "block_linked": st.booleans(),
        "store_size": st.booleans(),
        "compression_level": st.sampled_from([0, 3, 12]),
    }
)


@given(contents(), options)
@settings(max_examples=200)
def test_a_whole_frame_gives_its_content(content: bytes, options: dict[str, Any]) -> None:
    frame = lz4.compress(content, **options)
    assert _native.events.lz4_frame(frame, MOST) == (content if len(content) <= MOST else None)


@given(contents(), st.integers(0, 2**32 - 1), st.integers(1, 3))
@settings(max_examples=400)
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
@settings(max_examples=60)
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
