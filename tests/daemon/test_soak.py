"""The service under faults at random for some seconds (`make soak`: for half an hour), and that growth is seen."""

from __future__ import annotations

import random

from tests.soak import FAULTS, growth, soak

SECONDS = 10.0


def test_ten_seconds_of_faults_lose_nothing_that_was_accepted(tmp_path):
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    found = soak(SECONDS, seed, tmp_path)
    assert found["accepted"] > 100
    assert sum(found["faults"].values()) >= 1
    assert found["bundles"] >= 4
    assert set(found["faults"]) == set(FAULTS)


def test_what_grows_is_told_from_what_comes_and_goes():
    rng = random.Random(1)
    steady = [(float(at), 70 + rng.choice((0, 0, 0, 40)) + rng.random()) for at in range(300)]
    samples = [
        (at, {"memory_mb": value + at * 0.05, "descriptors": 30.0 + rng.choice((0, 1)), "threads": value})
        for at, value in steady
    ]
    found = growth(samples)
    assert 8 < found["memory_mb"] < 12
    assert abs(found["descriptors"]) <= 1
    assert abs(found["threads"]) < 1
