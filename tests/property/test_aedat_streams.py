"""AEDAT2 and AEDAT3.1: equal to the slow reader of tests/property/aedat_reference.py."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.aedat_reference import decode_aedat2, decode_aedat31
from tests.property.aedat_streams import SENSOR
from tests.property.streams import MAKERS, Stream, streams
from tests.property.test_packets import decode


@given(streams(("aedat2",)))
@settings(max_examples=400)
def test_aedat2_equals_the_oracle_damaged_or_not(stream: Stream) -> None:
    events, triggers, t_end_us, counters, message = decode(stream, [], "skip")
    expected = decode_aedat2(stream.data, SENSOR, stream.variant)
    assert message == ""
    assert events == expected.events
    assert triggers == expected.triggers
    assert counters == expected.counters
    assert t_end_us == expected.t_end_us


@given(st.integers(0, 2**32 - 1), st.integers(0, 400))
@settings(max_examples=300)
def test_whole_aedat31_equals_the_oracle(seed: int, count: int) -> None:
    data = MAKERS["aedat31", ""](np.random.default_rng(seed), count, True).tobytes()
    events, triggers, t_end_us, counters, message = decode(Stream("aedat31", data), [], "skip")
    expected = decode_aedat31(data, SENSOR)
    assert message == ""
    assert events == expected.events
    assert triggers == expected.triggers
    assert counters == expected.counters
    assert t_end_us == expected.t_end_us
