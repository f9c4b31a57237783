"""What a live source gives, into files while it is processed. docs/sources.md, "Recording"."""

from __future__ import annotations

import logging

import numpy as np

from edgesnn.errors import RecordingError
from edgesnn.events.sources.base import Events, Packet
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
        self._latest_us: int | None = None  # of the events written
        self._complained = False

    def write(self, packet: Packet, triggers: Events) -> None:
        """Write a packet and the triggers of its time."""
        events, t_end_us = packet
        if self._writer is None:
            self.counters["record_lost_events"] += len(events)
            return
        if self._latest_us is None and not len(events):
            return  # a file begins with its first event
        rising = self._rising(events)
        for attempt, edges in ((events, triggers), (rising, triggers), (rising, triggers[:0])):
            try:
                self._writer.write(attempt, edges, t_end_us)
            except RecordingError as error:
                problem = error
            else:
                self._count(events, attempt)
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
            writer.close()
        except RecordingError as error:
            _log.warning("the recording is not whole: %s", error)

    def _rising(self, events: Events) -> Events:
        """Return the events with times that do not fall."""
        rising: Events = events.copy()
        if len(events):
            latest_us = int(events["t"][0]) if self._latest_us is None else self._latest_us
            rising["t"] = np.maximum(np.maximum.accumulate(events["t"]), latest_us)
        return rising

    def _count(self, events: Events, written: Events) -> None:
        self.counters["recorded_events"] += len(written)
        self.counters["record_clamped_events"] += int(np.count_nonzero(events["t"] != written["t"]))
        if len(written):
            latest_us = int(written["t"].max())
            self._latest_us = latest_us if self._latest_us is None else max(self._latest_us, latest_us)

    def _complain(self, error: RecordingError) -> None:
        assert self._writer is not None
        if self._writer.closed:
            _log.error("the recording ends here, the stream goes on: %s", error)
            self._writer = None
        elif not self._complained:
            self._complained = True
            _log.warning("what the recording cannot hold is left out: %s", error)
