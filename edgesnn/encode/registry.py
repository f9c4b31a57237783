"""The list of encoders that make a dense array of a window, and their parameters (docs/encoders.md)."""

from __future__ import annotations

from edgesnn.events.described import Description, Parameter, choice, duration, usage_of

_POLARITY = choice("polarity", "a channel for each, off first; or both together", "split", "merged")
_TIME = choice("time", "of the window, or of its own first to last event", "window", "events")

ENCODERS = {
    "frames": Description(
        "count events by step, polarity and pixel",
        (
            Parameter("steps", "count", "of equal length, in a window", 1, 1 << 20, 1),
            choice("value", "uint16 up to 65535, or uint8 0 and 1", "count", "binary"),
            _POLARITY,
        ),
    ),
    "points": Description(
        "draw events as rows X, Y, T, polarity",
        (
            Parameter("points", "count", "rows", 1, 1 << 16, 1024),
            _TIME,
            Parameter("seed", "count", "key of the draw", 0, (1 << 63) - 1, 0),
        ),
    ),
    "surface": Description(
        "let each pixel's last event decay",
        (
            duration("tau", "to 1/e", 50_000, high=1 << 32),
            choice("memory", "last events of the stream, or of the window alone", "stream", "window"),
            _POLARITY,
        ),
    ),
    "voxel": Description(
        "share events between two bins of time, on +1, off -1",
        (Parameter("bins", "count", "of time", 1, 1 << 16, 5), _TIME),
    ),
}


def usage() -> str:
    """Return a line for each encoder, for `--help`."""
    return usage_of(ENCODERS)
