"""The file under the durable outbox: rows, numbers and accounts in one SQLite database (`docs/outbox.md`).

Every change is one transaction. Whatever goes wrong is raised as `sqlite3.Error`; `outbox_durable.py` decides what that
means. One process owns a file: the lock is SQLite's own, held as long as the file is open, and ends with the process.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

from edgesnn.errors import PublishError
from edgesnn.publish.outbox_sync import LogSync

Durability = Literal["process", "power"]
VERSION = 1
APPLICATION = 0x6564736E  # "edsn": `file` and other programs can tell whose database this is
PAGE_BYTES = 4096
LEAST_BYTES = 256 * 1024
LOG_PAGES = (256, 8192)  # of the log, 1 to 32 MiB: each time they are full all wait for the disk
WRITTEN_PAGES = 64  # of one transaction, by which the log may pass its limit
SPARE_PAGES = 8  # so that deleting never needs a page that is not there
BRANCH_PAGES = 4  # that one more row may take above its own
KEPT_ASIDE = 3
MOST = 2**62  # of any number in the file
LOCK_WAIT_S = 2.0  # a service that is started again may meet the process that was it

_TABLES = (
    "CREATE TABLE run (id INTEGER PRIMARY KEY, boot TEXT NOT NULL)",
    "CREATE TABLE prediction (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, clock_s REAL NOT NULL,"
    " wall_s REAL NOT NULL, crc32 INTEGER NOT NULL, payload BLOB NOT NULL)",
    "CREATE TABLE stream (name TEXT PRIMARY KEY, next_seq INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE account (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID",
)
_INSERT = "INSERT OR REPLACE INTO prediction VALUES (?, ?, ?, ?, ?, ?)"
_OLDEST = "SELECT coalesce(min(id), 0) FROM prediction WHERE id > ?"
_COUNT = "INSERT INTO account VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET count = ?2"
_NUMBER = "INSERT INTO stream VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET next_seq = ?2"


@dataclass(frozen=True)
class Row:
    """One prediction as it lies in the file: when it was accepted on both clocks, and its JSON."""

    id: int
    clock_s: float
    wall_s: float
    payload: bytes
    boot: str = ""
    whole: bool = True


@dataclass(frozen=True)
class Overwrite:
    """Let the oldest rows go where there are `limit`, those on their way (ids up to `after`) last.

    `before`: how many were overwritten before, in the accounts.
    """

    limit: int
    after: int
    before: int


class NotUsableError(sqlite3.DatabaseError):
    """The file is damaged, or of a version that this program does not know: it is to be set aside."""


class OutboxFile:
    """An open outbox file. Not thread-safe: its owner has a lock.

    Args:
        path: the database; made, with its folder, where it is absent.
        durability: "process": what is committed outlives this process; "power": and a power cut.
        max_bytes: the most that the database takes; its log takes half as much more, 1 MiB at least, 32 at most,
            and one transaction.
        boot: of this machine, so that ages can be told by its clock.

    Raises:
        PublishError: another process has it open, or it is another program's database.
        NotUsableError: it is damaged, or newer than this program.
        sqlite3.Error, OSError: the disk does not take it.
    """

    def __init__(
        self, path: Path, *, durability: Durability, max_bytes: int, boot: str, lock_wait_s: float = LOCK_WAIT_S
    ) -> None:
        self.path = path
        self.rows = 0
        self._durability = durability
        self._synchronous = "NORMAL"
        self._max_pages = max_bytes // PAGE_BYTES
        self._room_pages = 0  # that the database can grow by, at least
        self._log_pages = _log_pages(self._max_pages)
        _make(path)
        self._log = LogSync(path.with_name(f"{path.name}-wal"))
        self._db = sqlite3.connect(path, timeout=lock_wait_s, isolation_level=None, check_same_thread=False)
        self._db.text_factory = lambda raw: raw.decode("utf-8", "replace")  # damaged text is compared, not raised for
        try:
            self._set_up()
            self._boots: dict[int, str] = dict(self._db.execute("SELECT id, boot FROM run"))
            self._run = self._begin_run(boot)
            self.rows = self._one("SELECT count(*) FROM prediction")
            found = os.stat(path)
            self._identity = (found.st_dev, found.st_ino)
        except sqlite3.Error as error:
            self._db.close()
            if "locked" in str(error):
                hint = "is another one running? each process needs an outbox of its own"
                raise PublishError("another process has this outbox open", where=str(path), hint=hint) from None
            if "readonly" in str(error) and _unknown_format(path):
                raise NotUsableError("its header asks for a newer SQLite") from None
            raise
        except BaseException:
            self._db.close()
            raise

    def load(self) -> tuple[dict[str, int], dict[str, int], int]:
        """Return next seq by stream, the accounts, and the id of the last row (0: there is none)."""
        streams = dict(self._db.execute("SELECT name, next_seq FROM stream"))
        accounts = dict(self._db.execute("SELECT name, count FROM account"))
        first, last = self._db.execute("SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM prediction").fetchone()
        numbers = [*streams.values(), *accounts.values(), first - 1, last]
        if not all(isinstance(number, int) and 0 <= number < MOST for number in numbers):
            raise NotUsableError("a number in it cannot be")
        return streams, accounts, last

    def write(
        self,
        rows: Sequence[Row] = (),
        *,
        seqs: Mapping[str, int] | None = None,
        gone: Iterable[int] = (),
        counts: Mapping[str, int] | None = None,
        overwrite: Overwrite | None = None,
        known: int | None = None,
        sync: bool = True,
    ) -> list[int]:
        """Do all of it, or nothing: delete the ids `gone`, add rows, set streams' next seq and the accounts' values.

        Without `sync` it outlives a power cut only once a later one has been synced.

        With `overwrite` the oldest rows give way where the file is full; returns their ids. Rows above `known`, of a
        transaction that failed but may have reached the disk, are deleted first.
        """
        overwritten: list[int] = []
        with self._transaction("FULL" if rows and sync and self._durability == "power" else "NORMAL") as db:
            if known is not None:
                db.execute("DELETE FROM prediction WHERE id > ?", (known,))
            left = [(key,) for key in gone]
            deleted = db.executemany("DELETE FROM prediction WHERE id = ?", left).rowcount if left else 0
            self._room_pages -= len(seqs or {}) + len(counts or {})
            for number, row in enumerate(rows):
                if overwrite is not None:
                    held = self.rows + number - max(0, deleted) - len(overwritten)
                    overwritten += self._make_room(len(row.payload), held, overwrite)
                self._room_pages -= _pages(len(row.payload)) + BRANCH_PAGES
                crc = zlib.crc32(row.payload)
                db.execute(_INSERT, (row.id, self._run, row.clock_s, row.wall_s, crc, row.payload))
            db.executemany(_NUMBER, (seqs or {}).items())
            accounts = dict(counts or {})
            if overwrite is not None and overwritten:
                accounts["overwritten"] = overwrite.before + len(overwritten)
            db.executemany(_COUNT, accounts.items())
        self.rows += len(rows) - max(0, deleted) - len(overwritten)
        if known is not None:
            self.rows = self._one("SELECT count(*) FROM prediction")
        return overwritten

    def after(self, key: int, n: int) -> list[Row]:
        """Return the first `n` rows with an id above `key`, in order."""
        found = self._db.execute("SELECT * FROM prediction WHERE id > ? ORDER BY id LIMIT ?", (key, n))
        return [self._row(*row) for row in found]

    def crowded(self, more_bytes: int) -> bool:
        """Return whether so many more bytes would pass the limit of the file."""
        more = _pages(more_bytes) + SPARE_PAGES
        if more <= self._room_pages:
            return False
        pages = self._one("PRAGMA page_count")
        self._room_pages, free = self._max_pages - pages, self._max_pages - more
        return pages > free and pages - self._one("PRAGMA freelist_count") > free

    def size_bytes(self) -> int:
        """Return how many bytes of the file are in use."""
        return (self._one("PRAGMA page_count") - self._one("PRAGMA freelist_count")) * PAGE_BYTES

    def is_there(self) -> bool:
        """Return whether the open file is the one that its path names: somebody may have removed it."""
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def close(self) -> None:
        """Close the file; its log is folded in where the disk takes that. Twice is once."""
        self._log.close()
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    # --- inside --------------------------------------------------------------------------------------------------

    def _one(self, question: str, *values: int) -> int:
        return int(self._db.execute(question, values).fetchone()[0])

    def _row(self, key: int, run: int, clock_s: float, wall_s: float, crc: int, payload: bytes) -> Row:
        whole = isinstance(payload, bytes) and zlib.crc32(payload) == crc
        whole = whole and isinstance(clock_s, float) and isinstance(wall_s, float)
        return Row(key, clock_s, wall_s, payload, self._boots.get(run, ""), whole)

    def _set_up(self) -> None:
        db = self._db
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA cell_size_check = ON")
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        version, application = self._one("PRAGMA user_version"), self._one("PRAGMA application_id")
        tables = {sql for (sql,) in db.execute("SELECT sql FROM sqlite_master")}
        if application != APPLICATION and not tables.isdisjoint(_TABLES):
            raise NotUsableError(f"application_id {application:#x} with the tables of an outbox")
        if application not in (APPLICATION, 0) or (tables and not application):
            hint = "name a file of its own for the outbox"
            raise PublishError("this database belongs to another program", where=str(self.path), hint=hint)
        if version > VERSION:
            raise NotUsableError(f"version {version}, newer than version {VERSION} that this program knows")
        if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise sqlite3.OperationalError("no write-ahead log there")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {self._log_pages}")
        db.execute(f"PRAGMA journal_size_limit = {self._log_pages * PAGE_BYTES}")
        if not tables:
            db.executescript(
                f"BEGIN IMMEDIATE; {';'.join(_TABLES)}; PRAGMA user_version = {VERSION};"
                f"PRAGMA application_id = {APPLICATION}; COMMIT;"
            )
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise NotUsableError(" ".join(str(found).split()))
        if tables and tables != set(_TABLES):
            raise NotUsableError("its tables are others")
        db.execute(f"PRAGMA max_page_count = {self._max_pages}")

    def _begin_run(self, boot: str) -> int:
        with self._transaction() as db:
            db.execute("DELETE FROM run WHERE id NOT IN (SELECT run FROM prediction)")
            run = db.execute("INSERT INTO run (boot) VALUES (?)", (boot,)).lastrowid
        assert run is not None
        self._boots[run] = boot
        return run

    @contextlib.contextmanager
    def _transaction(self, synchronous: str = "NORMAL") -> Iterator[sqlite3.Connection]:
        if synchronous != self._synchronous:
            self._db.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
            if self._durability == "process":
                self._log.wrote()
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def _make_room(self, more_bytes: int, held: int, overwrite: Overwrite) -> list[int]:
        """Delete the oldest rows until one more fits."""
        removed: list[int] = []
        while held - len(removed) >= overwrite.limit or self.crowded(more_bytes):
            oldest = self._one(_OLDEST, overwrite.after) or self._one(_OLDEST, 0)
            if not oldest:
                break
            self._db.execute("DELETE FROM prediction WHERE id = ?", (oldest,))
            removed.append(oldest)
        return removed


def read_numbers(path: Path) -> dict[str, int]:
    """Return the next seq of each stream in a file that cannot be written, on a disk that is full or read-only.

    Raises:
        FileNotFoundError: there is none.
        sqlite3.Error, OSError: it cannot be read, or only without what its log holds.
    """
    if not path.stat().st_size:
        return {}
    log = path.with_name(f"{path.name}-wal")
    alone = not (log.is_file() and log.stat().st_size)  # then it can be read in a folder that cannot be written, too
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{'immutable=1' if alone else 'mode=rw'}", uri=True)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")  # needs no file of shared memory, for which there is no room
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
            return {}
        numbers = dict(db.execute("SELECT name, next_seq FROM stream"))
    finally:
        db.close()
    if not all(isinstance(number, int) and 0 <= number < MOST for number in numbers.values()):
        raise NotUsableError("a number in it cannot be")
    return numbers


def most_bytes(max_bytes: int) -> int:
    """Return what a database of so many bytes takes on the disk at most, its log and what is being written included."""
    pages = max_bytes // PAGE_BYTES
    return (pages + _log_pages(pages) + WRITTEN_PAGES) * PAGE_BYTES


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be used, with its log, and return its new name; the last `KEPT_ASIDE` are kept."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = next(name for name in _names(f"{path}.aside-{stamp}") if not name.exists())
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{suffix}", f"{aside}{suffix}")
    earlier = sorted(
        name
        for name in path.parent.glob(f"{path.name}.aside-*")
        if not name.name.endswith(("-wal", "-shm")) and name != aside  # a wall clock in 1970 makes the newest the first
    )
    for name in earlier[: 1 - KEPT_ASIDE]:
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                os.remove(f"{name}{suffix}")
    return aside


def is_damage(error: Exception) -> bool:
    """Return whether the file itself is wrong, not the disk under it, another process, or this program."""
    if isinstance(error, sqlite3.ProgrammingError):
        return False
    if isinstance(error, sqlite3.OperationalError):
        words = ("no such", "malformed", "has no column", "columns but", "unsupported file format", "Could not decode")
        return any(word in str(error) for word in words)
    return isinstance(error, (sqlite3.DatabaseError, UnicodeDecodeError))


def _log_pages(max_pages: int) -> int:
    return min(max(LOG_PAGES[0], max_pages // 2), LOG_PAGES[1])


def _unknown_format(path: Path) -> bool:
    """Return whether the header's format is none that SQLite 3 writes: it takes such a file for read-only."""
    with path.open("rb") as file:
        return any(version > 2 for version in file.read(20)[18:])


def _pages(size_bytes: int) -> int:
    """Return how many pages a payload takes at most."""
    return size_bytes // (PAGE_BYTES - 64) + 1


def _names(first: str) -> Iterator[Path]:
    yield Path(first)
    for number in count(2):
        yield Path(f"{first}-{number}")


def _make(path: Path) -> None:
    """Make an empty file that only its owner may read, where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # an open file is not opened again: closing it would end its locks
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
