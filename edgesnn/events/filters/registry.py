"""The list of filters and their parameters. What each computes stands in docs/filters.md."""

from __future__ import annotations

from edgesnn.events.described import Description, Parameter, choice, duration, usage_of

_RECTANGLE = (
    Parameter("x", "pixels", "left column"),
    Parameter("y", "pixels", "top row"),
    Parameter("width", "pixels", "columns", 1, 65536),
    Parameter("height", "pixels", "rows", 1, 65536),
)
_SUPPORT = duration("dt", "how old the support may be: less than this", 10_000)

FILTERS = {
    "background": Description(
        "drop events without an event at a neighbouring pixel within dt",
        (_SUPPORT, choice("neighbours", "pixels that count", "8", "4")),
    ),
    "bitmap": Description(
        "drop the events at pixels that a picture marks",
        (
            Parameter("pixels", "bitmap", "a .npy, .png or text file with 0 or 1 for each pixel"),
            choice("drop", "the pixels whose events are dropped", "zeros", "ones"),
        ),
    ),
    "decimate": Description(
        "keep every factor-th event",
        (
            Parameter("factor", "count", "of so many events one passes", 2, 1 << 30),
            choice("per", "what is counted", "stream", "pixel"),
        ),
    ),
    "downsample": Description(
        "divide the coordinates", (Parameter("factor", "count", "pixels that become one, on each axis", 2, 65536),)
    ),
    "flip": Description("mirror the sensor", (choice("axis", "coordinate that is mirrored", "x", "y"),)),
    "hot_pixels": Description(
        "learn which pixels fire too often, then drop their events",
        (
            duration("learn", "sensor time from the first event in which all events pass", 1_000_000, high=1 << 32),
            Parameter("rate", "hz", "events a second above which a pixel is hot", 1, 1_000_000, 1000),
        ),
    ),
    "mask": Description("drop the events inside a rectangle", _RECTANGLE),
    "polarity": Description(
        "keep one polarity, or exchange them",
        (choice("keep", "what passes; swap: all, exchanged", "on", "off", "swap"),),
    ),
    "rate": Description(
        "limit the rate: of each period the first events pass",
        (
            Parameter("limit", "hz", "events a second", 1, 1_000_000_000),
            duration("period", "over which events are counted", 1000, high=1 << 32),
        ),
    ),
    "refractory": Description(
        "drop a pixel's events within a period",
        (
            duration("period", "an event passes if more than this has gone by"),
            choice("after", "since the last event that passed, or the last at all", "passed", "any"),
        ),
    ),
    "roi": Description("keep the events inside a rectangle, whose corner becomes 0,0", _RECTANGLE),
    "rotate": Description("turn the sensor clockwise", (choice("degrees", "how far", "90", "180", "270"),)),
    "stcf": Description(
        "drop events with fewer than k of the 8 pixels around theirs active within dt",
        (_SUPPORT, Parameter("k", "count", "pixels that must support an event", 1, 8, 2)),
    ),
    "transpose": Description("exchange x and y"),
}


def names() -> list[str]:
    """Return the names of all filters."""
    return list(FILTERS)


def usage() -> str:
    """Return a line for each filter, for `--help`."""
    return usage_of(FILTERS)
