"""What a live source gives in some seconds, for `edgesnn info`."""

from __future__ import annotations

import time
from typing import Any

from edgesnn.events.sources.live import LiveSource
from edgesnn.events.summary import Tally

_SHORTEST_S = 0.1  # for a rate


def watch(source: LiveSource, seconds: float) -> dict[str, Any]:
    """Read for so long, or until the stream ends, and return what came, as JSON values.

    Returns:
        url, format, sensor ([width, height] or None), state, seconds (since the first byte or event), events, on, off,
        extent (as `summarise`), triggers, rate_hz and bytes_per_s (by this machine's clock; None where that was shorter
        than a tenth of a second), t_end_us, counters, details.
    """
    tally = Tally()
    triggers = 0
    began_s: float | None = None
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0 and not source.ended:
        packet = source.read(left_s)
        triggers += len(source.triggers())
        if packet is None:
            continue
        began_s = began_s or time.monotonic()
        if len(packet.events):
            tally.add(packet.events)
    state = source.state
    passed_s = time.monotonic() - began_s if began_s else 0.0
    counters = source.counters
    facts = tally.report()
    return {
        "url": source.url,
        "format": source.format,
        "sensor": list(source.sensor) if source.sensor else None,
        "state": state,
        "seconds": passed_s,
        **{name: facts[name] for name in ("events", "on", "off", "extent")},
        "triggers": triggers,
        "rate_hz": facts["events"] / passed_s if passed_s >= _SHORTEST_S else None,
        "bytes_per_s": counters["bytes"] / passed_s if passed_s >= _SHORTEST_S else None,
        "t_end_us": source.t_end_us,
        "counters": counters,
        "details": source.details,
    }
