"""Bags of ROS 2 in SQLite files. docs/formats.md, "ROS bags"."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import open_file, printable
from edgesnn.events.formats.ros_messages import MOST_BYTES
from edgesnn.events.formats.ros_packets import Place
from edgesnn.events.formats.ros_reader import Bag, Damage, Found, Position, RosFormat, Topic, damage
from edgesnn.events.formats.sqlite_rows import MAGIC, PageError, Row, SqliteFile
from edgesnn.events.formats.unpacking import FREE_BYTES, MOST_TIMES, ZSTD_MAGIC, UnpackError, unzstd

_MOST_TOPICS = 1000
_MOST_TOPIC_BYTES = 1 << 20
_TOPICS = ["id", "name", "type", "serialization_format"]
_MESSAGES = ["id", "topic_id", "timestamp", "data"]


class Rosbag2(RosFormat):
    """The .db3 file of a bag: event packets and event arrays; messages packed one by one with zstd too."""

    name = "rosbag2"
    title = "ROS 2 bag (SQLite)"
    verified = True
    magic = MAGIC

    def bag(self, path: str) -> Bag:
        """See `RosFormat`."""
        return _SqliteBag(path)


class _SqliteBag:
    """See `Bag`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._where = printable(path)

    def topics(self) -> list[Topic]:
        """Return all topics."""
        with open_file(self._path) as file:
            try:
                _, rows = self._open(file, "topics", _TOPICS)
                found = []
                for row in islice(rows, _MOST_TOPICS):
                    if isinstance(row, PageError):
                        raise row
                    if row.size < _MOST_TOPIC_BYTES:
                        found.append((row.number, row.values()))
            except PageError as error:
                raise self._unreadable(error) from None
        return [
            Topic(values[1], values[2], frozenset([number]), True)
            for number, values in found
            if len(values) > 3 and isinstance(values[1], str) and isinstance(values[2], str) and values[3] == "cdr"
        ]

    def messages(self, topic: Topic, begin: Position | None = None) -> Iterator[Found]:
        """Yield the messages of a topic as they were written."""
        passed, trail = (begin.offset, begin.trail) if begin else (0, ())
        with open_file(self._path) as file:
            try:
                sqlite, rows = self._open(file, "messages", _MESSAGES, trail)
            except PageError as error:
                raise self._unreadable(error) from None
            for row in rows:
                try:
                    if isinstance(row, PageError):
                        raise row
                    passed += row.size
                    if row.integer(1) in topic.ids:
                        yield self._found(row)._replace(behind=Position(passed, trail=row.trail))
                except PageError as error:
                    if error.cut:
                        break
                    yield Found(1, damage=self._damage(error.what, error.at))
            if sqlite.missing:
                what = f"the file is cut: {sqlite.missing} bytes are missing"
                yield Found(1, damage=self._damage(what, sqlite.size, "truncated_bytes", sqlite.missing))
        if os.path.exists(log := self._path + "-wal") and os.path.getsize(log):
            what = f"the bag was not closed: its last messages are in {os.path.basename(self._where)}-wal"
            yield Found(1, damage=self._damage(what, 0, hint="open it once with sqlite3, or pass --on-corrupt=skip"))

    def _open(
        self, file: BinaryIO, name: str, columns: list[str], trail: tuple[int, ...] = ()
    ) -> tuple[SqliteFile, Iterator[Row | PageError]]:
        """Return the file and the rows of a table of a bag, those behind the row at `trail`."""
        sqlite = SqliteFile(file)
        table = sqlite.tables((name,)).get(name)
        if table is None or table.columns[: len(columns)] != columns:
            raise RecordingError(
                "an SQLite file that is no ROS 2 bag",
                where=self._where,
                found=f"no table {name}" if table is None else f"{name} with columns {', '.join(table.columns)[:200]}",
                expected=f"{name} with columns {', '.join(columns)}",
            )
        return sqlite, sqlite.rows(table.root, trail)

    def _unreadable(self, error: PageError) -> RecordingError:
        what = "the SQLite file cannot be read"
        return RecordingError(what, where=self._where, offset=error.at, found=error.what, expected="a ROS 2 bag")

    def _found(self, row: Row) -> Found:
        """Read a message; PageError where it cannot be."""
        if row.size > MOST_BYTES:
            raise PageError(f"message {row.number} has {row.size} bytes, more than {MOST_BYTES}", row.at)
        values = row.values()
        data = values[3] if len(values) == len(_MESSAGES) else None
        if not isinstance(data, memoryview):
            raise PageError(f"message {row.number} holds no bytes", row.at)
        place = Place(self._where, row.number, row.at, exact=False)
        if data[: len(ZSTD_MAGIC)] != ZSTD_MAGIC:
            return Found(row.size, place, data)
        try:
            most = min(MOST_BYTES, FREE_BYTES + MOST_TIMES * len(data))
            return Found(row.size, place, unzstd(data, most, self._where))
        except UnpackError as error:
            raise PageError(f"message {row.number}: {error}", row.at) from None

    def _damage(
        self, what: str, at: int, counter: str = "bad_words", amount: int = 1, hint: str | None = None
    ) -> Damage:
        return damage(what, self._where, at, counter, amount, hint)
