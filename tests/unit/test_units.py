"""Durations and sizes carry their units."""

from __future__ import annotations

import doctest

import pytest

from edgesnn import units
from edgesnn.errors import UsageError


@pytest.mark.parametrize(
    ("text", "duration_us"),
    [("1us", 1), ("20ms", 20_000), (" 1.5 s ", 1_500_000), ("2min", 120_000_000), ("1h", 3_600_000_000), ("0ms", 0)],
)
def test_durations(text, duration_us):
    assert units.parse_duration_us(text) == duration_us


@pytest.mark.parametrize(
    "text", ["20", "ms", "", "-1ms", "1 parsec", "1e3ms", "1ms2", "nan s", "1ns", 400 * "9" + "h", "\u0661ms"]
)
def test_a_duration_without_its_unit_is_an_error(text):
    with pytest.raises(UsageError, match="write for example 20ms") as caught:
        units.parse_duration_us(text, where="--hop")
    assert "--hop" in str(caught.value)


@pytest.mark.parametrize(("text", "size"), [("640x480", (640, 480)), ("1X1", (1, 1)), ("65536x2", (65536, 2))])
def test_sensor_sizes(text, size):
    assert units.parse_sensor(text) == size


@pytest.mark.parametrize("text", ["640", "0x1", "1x0", "65537x1", "axb", "1x2x3", "", "-1x2"])
def test_wrong_sensor_sizes(text):
    with pytest.raises(UsageError, match="for example 640x480"):
        units.parse_sensor(text)


def test_the_examples_run():
    assert doctest.testmod(units).failed == 0
