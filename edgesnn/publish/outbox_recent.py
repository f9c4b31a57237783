"""The newest predictions in an outbox's file, also in memory: who hands them out while they are fresh reads no disk."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from itertools import islice

from edgesnn.publish.outbox import Item

MOST = 64


class Recent:
    """All items of the file from some id on, at most `MOST` of them. Its owner has a lock."""

    def __init__(self) -> None:
        self._items: OrderedDict[int, Item] = OrderedDict()
        self._above = 0  # every item of the file with a higher id is here

    def begin(self, last: int) -> None:
        """Know nothing of a file up to its highest id."""
        self._items.clear()
        self._above = last

    def add(self, items: Iterable[Item]) -> None:
        """Take what was written behind everything else in the file."""
        self._items.update((item.id, item) for item in items)
        while len(self._items) > MOST:
            self._above, _ = self._items.popitem(last=False)

    def forget(self, keys: Iterable[int]) -> None:
        """Leave out what is no longer in the file."""
        for key in keys:
            self._items.pop(key, None)

    def after(self, key: int, n: int) -> list[Item] | None:
        """Return the first `n` items of the file with an id above `key`; None where only the file can tell."""
        if key < self._above:
            return None
        return list(islice((item for at, item in self._items.items() if at > key), n))
