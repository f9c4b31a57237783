"""What packed frames may hold."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.property.aedat_files import event_packet, rising_events


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
