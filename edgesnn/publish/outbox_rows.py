"""Predictions to rows of an outbox file and back, with their ages told by clocks that may be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable

from edgesnn.errors import PublishError
from edgesnn.prediction import Prediction
from edgesnn.publish.outbox import Item
from edgesnn.publish.outbox_file import Row

SANE_WALL_S = 1_704_067_200.0  # 2024: a wall clock before that was never set


class Rows:
    """Converts between items and rows.

    Args:
        clock: seconds since the machine's boot.
        wall: seconds since 1970, as good as the machine knows.
        boot: names this boot.
    """

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float], boot: str) -> None:
        self.boot = boot
        self._clock, self._wall = clock, wall
        self._began = clock()

    def row(self, item: Item) -> Row:
        """Return the item as a row, whose payload it keeps."""
        wall_s = self._wall() - (self._clock() - item.accepted_at)
        item.text = item.prediction.to_json().encode(errors="replace")
        return Row(item.id, float(item.accepted_at), float(wall_s), item.text)

    def item(self, row: Row) -> Item | None:
        """Return the row as an item, or None where it is damaged."""
        if not row.whole:
            return None
        try:
            return Item(row.id, Prediction.from_dict(json.loads(row.payload)), self._accepted_at(row))
        except (ValueError, PublishError):
            return None

    def _accepted_at(self, row: Row) -> float:
        """Return when it was accepted, on this boot's clock; where no clock can tell, when this process began.

        Another boot's clock says nothing here, and a wall clock may have stood in 1970 then or now.
        """
        if row.boot and row.boot == self.boot:
            return row.clock_s
        age_s = self._wall() - row.wall_s
        return self._clock() - age_s if row.wall_s >= SANE_WALL_S and age_s >= 0 else self._began
