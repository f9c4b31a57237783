"""What a live source gives, into files while it is processed. docs/sources.md, "Recording"."""

from __future__ import annotations

import logging

import numpy as np

from edgesnn.errors import RecordingError
from edgesnn.events.sources.base import Events, Packet
from edgesnn.events.sources.timeline import LIMIT_US
from edgesnn.events.types import EVENT
from edgesnn.events.writing import Writer

_log = logging.getLogger("edgesnn.events")


class Recorder:
    """Writes packets; what a file cannot hold or a disk does not take is counted, and never stops the stream.

    Args:
        writer: a live one that counts times from each file's first event; taken over.

    Attributes:
        counters: "recorded_events", "record_lost_events", "record_clamped_events" (earlier than the event before them,
            in a format whose times must not fall: written with its time).
    """

    def __init__(self, writer: Writer) -> None:
        self.counters = {"recorded_events": 0, "record_lost_events": 0, "record_clamped_events": 0}
        self._writer: Writer | None = writer
        self._reached_us: int | None = None  # by the file
        self._end_us = 0  # by the stream
        self._complained = False

    def write(self, packet: Packet, triggers: Events) -> None:
        """Write a packet and the triggers of its time."""
        events, self._end_us = packet
        if self._writer is None:
            self.counters["record_lost_events"] += len(events)
            return
        if self._reached_us is None and not len(events):
            return  # a file begins with its first event
        # Idle time is a guess: events may come that are up to LIMIT_US before it.
        t_end_us = int(max([self._end_us - LIMIT_US, *events["t"][-1:]]))
        if not len(events) and not len(triggers) and t_end_us <= (self._reached_us or 0):
            return
        rising, later = self._rising(events), self._rising(triggers)
        for attempt, edges in ((events, triggers), (rising, later), (rising, triggers[:0])):
            try:
                self._writer.write(attempt, edges, t_end_us)
            except RecordingError as error:
                problem = error
            else:
                self._count(events, attempt)
                self._reach(t_end_us, attempt, edges)
                return
            if self._writer.closed:  # the disk takes no more
                break
        self.counters["record_lost_events"] += len(events)
        self._complain(problem)

    def close(self) -> None:
        """Finish the file; an error of the disk is logged."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            if self._reached_us is not None and self._end_us > self._reached_us:
                writer.write(np.zeros(0, EVENT), None, self._end_us)
            writer.close()
        except RecordingError as error:
            _log.warning("the recording is not whole: %s", error)

    def _rising(self, events: Events) -> Events:
        """Return the events with times that do not fall."""
        rising: Events = events.copy()
        if len(events):
            reached_us = int(events["t"][0]) if self._reached_us is None else self._reached_us
            rising["t"] = np.maximum(np.maximum.accumulate(events["t"]), reached_us)
        return rising

    def _count(self, events: Events, written: Events) -> None:
        self.counters["recorded_events"] += len(written)
        self.counters["record_clamped_events"] += int(np.count_nonzero(events["t"] != written["t"]))

    def _reach(self, t_end_us: int, *written: Events) -> None:
        latest_us = max(int(part["t"].max(initial=t_end_us)) for part in written)
        self._reached_us = latest_us if self._reached_us is None else max(self._reached_us, latest_us)

    def _complain(self, error: RecordingError) -> None:
        assert self._writer is not None
        if self._writer.closed:
            _log.error("the recording ends here, the stream goes on: %s", error)
            self._writer = None
        elif not self._complained:
            self._complained = True
            _log.warning("what the recording cannot hold is left out: %s", error)
