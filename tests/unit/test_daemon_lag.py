"""A broker lags where predictions wait long and longer, not while it catches up after an outage."""

from __future__ import annotations

from edgesnn.daemon.lag import Lag


def lags(*oldest_s: float | None, every_s: float = 10.0) -> list[bool]:
    """Return what is found each time; None: not connected."""
    lag = Lag()
    return [lag.look(number * every_s, one is not None, one or 0.0) for number, one in enumerate(oldest_s)]


def test_a_broker_that_takes_nothing_lags_after_half_a_minute_and_until_it_has_caught_up():
    assert lags(0, 10, 20, 29, 39, 49) == [False] * 4 + [True] * 2
    assert lags(0, 29, 39, 49, 59, 69, 40, 10, 0) == [False] * 2 + [True] * 5 + [False] * 2


def test_one_that_takes_too_little_lags_and_one_that_catches_up_after_an_outage_does_not():
    assert lags(*(n * 2.0 for n in range(20)))[-4:] == [True] * 4
    assert lags(None, *(3600 - 15.0 * n for n in range(200)), 0) == [False] * 202
    assert lags(None, *(3600 + n for n in range(8)), None, 3700) == [False] * 4 + [True] * 5 + [False] * 2
