"""`edgesnn.open`: a recording by its name, a live source by its address."""

from __future__ import annotations

import os
from typing import Any

from edgesnn.errors import UsageError
from edgesnn.events import recording
from edgesnn.events.formats.base import Sensor
from edgesnn.events.recording import Recording
from edgesnn.events.sources.live import LiveSource
from edgesnn.events.sources.registry import get as source
from edgesnn.events.sources.registry import is_source, open_source


def open(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    sensor: Sensor | None = None,
    on_corrupt: str | None = None,
    columns: str | None = None,
    topic: str | None = None,
) -> Recording | Any:
    """Open a recording, or a live source.

    Args:
        path: a file, or a live source's address: "udp://127.0.0.1:3333?format=evt3&sensor=640x480" (docs/sources.md).
        format: a name of `edgesnn.events.registry`, where a file's content, or an address, does not tell it.
        sensor: (width, height), instead of what the file or the address says.
        on_corrupt: "strict" raises at the first damage (the default of files), "skip" counts it and goes on (what live
            sources always do).
        columns: of a table (csv, npy, npz), where it does not name them: "t,x,y,p", "x,y,p,t_s", "-" for one to leave
            out.
        topic: of a bag (rosbag2), where more than one of its topics has events.

    Returns:
        A `Recording`, or for an address a `LiveSource` (`edgesnn.events.sources.live`).

    Raises:
        RecordingError: no such file, not a file, empty, or of no known format; a source that cannot be had.
        UsageError: not a path; a wrong address, format name, sensor, policy, columns or topic.
    """
    if not is_source(path):
        _refuse_unknown_scheme(path)
        policy = "strict" if on_corrupt is None else on_corrupt
        return recording.open(path, format=format, sensor=sensor, on_corrupt=policy, columns=columns, topic=topic)
    return _live(str(path), format, sensor, on_corrupt, {"columns": columns, "topic": topic})


def _refuse_unknown_scheme(path: object) -> None:
    if not isinstance(path, str) or os.path.exists(path):
        return
    scheme, slashes, _ = path.partition("://")
    if slashes and scheme.isalnum():
        source(scheme)  # raises: there is no such


def _live(
    url: str, format: str | None, sensor: Sensor | None, on_corrupt: str | None, others: dict[str, str | None]
) -> LiveSource:
    if on_corrupt not in (None, "skip"):
        hint = "one bad word must not end a stream: leave it out"
        raise UsageError("live sources skip what is damaged", where="on_corrupt", found=repr(on_corrupt), hint=hint)
    for name, value in others.items():
        if value is not None:
            raise UsageError(f"a live source has no {name}", where=name, found=repr(value))
    return open_source(url, format=format, sensor=sensor)
