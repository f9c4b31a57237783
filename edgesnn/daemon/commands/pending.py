"""Commands that others do: a stream's thread, the disk. Answered when all of it is done, or the time is over."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from edgesnn.daemon.commands.desk import Answer
from edgesnn.events.formats.base import printable

WITHIN_S = 10.0
"""A command is answered by then: what was not begun is not done any more."""

Asked = Mapping[str, Mapping[str, "Future[Any]"]]
"""What was asked for: by its name in the result ("bundles"), by stream."""


class Pending:
    """One command's. Of the thread that asks; the futures are others'.

    Args:
        asked: what the answer waits for.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._until_s = time.monotonic() + WITHIN_S

    @property
    def over(self) -> bool:
        """Whether there is nothing to wait for."""
        done = all(one.done() for by_stream in self._asked.values() for one in by_stream.values())
        return done or time.monotonic() >= self._until_s

    def answer(self, late: str = f"within {WITHIN_S:g} s") -> Answer:
        """Return the answer as things are: "failed", with what was done nevertheless, where one part was not.

        Args:
            late: until when the parts that are not done were waited for.
        """
        result: dict[str, dict[str, Any]] = {name: {} for name in self._asked}
        wrong = []
        for name, by_stream in self._asked.items():
            for stream, future in by_stream.items():
                value, why = _outcome(future, late)
                if why is None:
                    result[name][stream] = value if isinstance(value, int) else printable(str(value))
                else:
                    wrong.append(f"stream {stream}: {why}")
        return ("failed", result, "; ".join(wrong)) if wrong else ("done", result, None)


def _outcome(future: Future[Any], late: str) -> tuple[Any, str | None]:
    """Return what a future gave, or why it did not."""
    if future.cancel():
        return None, f"not begun {late}, and not done any more"
    if not future.done():
        return None, f"not finished {late}: the disk takes long"
    if (error := future.exception()) is None:
        return future.result(), None
    return None, printable(getattr(error, "strerror", None) or str(error))
