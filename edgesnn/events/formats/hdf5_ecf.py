"""Prophesee's ECF: chunks of the file, decoded by `native/events/decode/ecf.hpp`. docs/formats.md, "ECF"."""

from __future__ import annotations

from collections.abc import Iterator

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import DecoderOptions, ReaderOptions, Step, native_decoder, printable
from edgesnn.events.formats.hdf5_messages import Messages


class EcfReader:
    """A pass over packed chunks; see `Reader`."""

    def __init__(self, options: ReaderOptions, messages: Messages) -> None:
        self._messages = messages
        self._decoder = native_decoder("ecf", DecoderOptions(options.sensor, options.on_corrupt, 0, options.path))
        self.triggers = self._decoder.triggers
        self._options = options
        self._missing = 0

    @property
    def t_end_us(self) -> int | None:
        return self._decoder.t_end_us

    @property
    def counters(self) -> dict[str, int]:
        return {**self._decoder.counters, "truncated_bytes": self._missing}

    def __iter__(self) -> Iterator[Step]:
        while said := self._messages.next():
            message, arrays = said
            for frames in arrays:
                events, _, error = self._decoder.feed(frames)
                yield events, message["bytes"], error
        events, _, error = self._decoder.finish()
        yield events, 0, error or self._end()

    def _end(self) -> RecordingError | None:
        if self._messages.cut is None:
            return None
        what, _, missing = self._messages.cut
        if self._options.on_corrupt == "skip":
            self._missing = missing
            return None
        hint = "to go on pass --on-corrupt=skip"
        return RecordingError(what, where=printable(self._options.path), offset=self._messages.size_bytes, hint=hint)
