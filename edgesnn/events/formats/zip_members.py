"""What lies in a zip archive, read by ourselves in bounded memory: its directory, and the bytes of one member.

Layout: PKWARE's APPNOTE, sections 4.3 (records) and 4.5.3 (zip64). Only stored and deflated members.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import open_file

LOCAL = b"PK\x03\x04"
STORED, DEFLATED = 0, 8
_LOCAL = Struct("<4s5H3I2H")
_ENTRY = Struct("<4s6H3I5H2I")
_END = Struct("<4s4H2IH")
_LOCATOR = Struct("<4sIQI")
_END64 = Struct("<4sQ2H2I4Q")
_FULL = 0xFFFFFFFF
_MOST_MEMBERS = 256
_MOST_DIRECTORY = 1 << 20
_MOST_COMMENT = 1 << 16
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Member:
    """One file of an archive.

    Attributes:
        name: its name.
        method: STORED or DEFLATED.
        start: where its bytes begin in the archive.
        packed: how many they are there; None: up to the archive's end, which was never written.
        size: how many they are unpacked; None likewise.
        crc: their CRC-32; None likewise.
    """

    name: str
    method: int
    start: int
    packed: int | None
    size: int | None
    crc: int | None

    @property
    def shown(self) -> str:
        """The name as messages say it."""
        return shortened(self.name)


def shortened(name: str) -> str:
    """Return a name that is not too long for a message: one that is damaged may go on for pages."""
    return name if len(name) <= 80 else f"{name[:77]}..."


def read_members(file: BinaryIO, where: str) -> tuple[list[Member], bool]:
    """Return the members, and whether the archive has its directory.

    An archive without one (its writer died, or its end is cut off) has the members that lie one behind the other.

    Raises:
        RecordingError: a directory that is damaged, too large, or of members that are encrypted or packed otherwise.
    """
    size = file.seek(0, 2)
    tail_start = max(size - _MOST_COMMENT - _END.size, 0)
    tail = _read(file, tail_start, size - tail_start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        return _walk(file, size, where), False
    _, _, _, _, count, length, offset, _ = _END.unpack_from(tail, at)
    if count == 0xFFFF or length == _FULL or offset == _FULL:
        count, length, offset = _end64(file, tail_start + at, where)
    if count > _MOST_MEMBERS or length > _MOST_DIRECTORY or offset + length > size:
        raise _damaged(where, tail_start + at, f"{count} members, a directory of {length} bytes at {offset}")
    directory = _read(file, offset, length)
    members = []
    position = 0
    for _ in range(count):
        if len(directory) - position < _ENTRY.size or directory[position : position + 4] != b"PK\x01\x02":
            raise _damaged(where, offset + position, "no entry of the directory")
        member, used = _entry(file, directory, position, where)
        members.append(member)
        position += used
    return members, True


class MemberReader:
    """The bytes of a member, unpacked in pieces; the file is open only while one is read."""

    def __init__(self, path: str, member: Member) -> None:
        self._path = path
        self._member = member
        self._position = member.start
        self._left = member.packed
        self._inflater = zlib.decompressobj(-15) if member.method == DEFLATED else None
        self._packed = b""
        self._crc = 0
        self.taken = 0
        self.have = 0
        self.problem: str | None = None

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes, fewer at the end or where the member is damaged (then `problem` says how)."""
        parts = []
        with open_file(self._path) as file:
            while count > 0 and (part := self._some(file, count)):
                parts.append(part)
                count -= len(part)
        data = b"".join(parts)
        self.have += len(data)
        self._crc = zlib.crc32(data, self._crc)
        return data

    def crc_is_wrong(self) -> bool:
        """Say, after the last byte, whether the bytes are not those that were written."""
        return self._member.crc is not None and self._crc != self._member.crc

    def _some(self, file: BinaryIO, count: int) -> bytes:
        if self._inflater is None:
            return self._raw(file, count)
        while not self._inflater.eof and self.problem is None:
            packed = self._inflater.unconsumed_tail or self._raw(file, _CHUNK_BYTES)
            try:
                data = self._inflater.decompress(packed, count)
            except zlib.error as error:
                self.problem = str(error)
                return b""
            if data:
                return data
            if not packed:
                return b""
        return b""

    def _raw(self, file: BinaryIO, count: int) -> bytes:
        count = count if self._left is None else min(count, self._left)
        data = _read(file, self._position, count)
        self._position += len(data)
        self.taken += len(data)
        self._left = None if self._left is None else self._left - len(data)
        return data


def _entry(file: BinaryIO, directory: bytes, at: int, where: str) -> tuple[Member, int]:
    facts = _ENTRY.unpack_from(directory, at)
    flags, method, crc, packed, size, name_length, extra_length, comment_length = (*facts[3:5], *facts[7:13])
    start = facts[16]
    begin = at + _ENTRY.size
    name = directory[begin : begin + name_length].decode("utf-8", "replace")
    extra = directory[begin + name_length : begin + name_length + extra_length]
    size, packed, start = _zip64(extra, [size, packed, start])
    _check(name, flags, method, where, start)
    local = _read(file, start, _LOCAL.size)
    if len(local) < _LOCAL.size or not local.startswith(LOCAL):
        raise _damaged(where, start, f"no member {shortened(name)!r} where the directory says it")
    name_there, extra_there = _LOCAL.unpack(local)[9:11]
    data = start + _LOCAL.size + name_there + extra_there
    used = _ENTRY.size + name_length + extra_length + comment_length
    return Member(name, method, data, packed, size, crc), used


def _walk(file: BinaryIO, size: int, where: str) -> list[Member]:
    """Return the members that lie one behind the other from the archive's beginning on."""
    members: list[Member] = []
    at = 0
    while len(members) < _MOST_MEMBERS:
        local = _read(file, at, _LOCAL.size)
        if len(local) < _LOCAL.size or not local.startswith(LOCAL):
            return members
        _, _, flags, method, _, _, crc, packed, unpacked, name_length, extra_length = _LOCAL.unpack(local)
        rest = _read(file, at + _LOCAL.size, name_length + extra_length)
        name = rest[:name_length].decode("utf-8", "replace")
        unpacked, packed = _zip64(rest[name_length:], [unpacked, packed])
        _check(name, flags, method, where, at)
        start = at + _LOCAL.size + name_length + extra_length
        if packed == 0 or start + packed > size:
            members.append(Member(name, method, start, None, None, None))
            return members
        members.append(Member(name, method, start, packed, unpacked, crc))
        at = start + packed
    return members


def _zip64(extra: bytes, values: list[int]) -> list[int]:
    """Return the values, those that say "too large" replaced by what the extra field holds for them."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = int.from_bytes(extra[at : at + 2], "little"), int.from_bytes(extra[at + 2 : at + 4], "little")
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            for number, value in enumerate(values):
                if value == _FULL and len(field) >= 8:
                    values[number], field = int.from_bytes(field[:8], "little"), field[8:]
        at += 4 + length
    return values


def _end64(file: BinaryIO, end: int, where: str) -> tuple[int, int, int]:
    locator = _read(file, end - _LOCATOR.size, _LOCATOR.size) if end >= _LOCATOR.size else b""
    if len(locator) < _LOCATOR.size or not locator.startswith(b"PK\x06\x07"):
        raise _damaged(where, end, "no zip64 locator before the end record")
    offset = _LOCATOR.unpack(locator)[2]
    record = _read(file, offset, _END64.size) if offset < end else b""
    if len(record) < _END64.size or not record.startswith(b"PK\x06\x06"):
        raise _damaged(where, end, "no zip64 end record")
    count, length, start = _END64.unpack(record)[7:10]
    return count, length, start


def _check(name: str, flags: int, method: int, where: str, at: int) -> None:
    name = shortened(name)
    if flags & 1:
        raise RecordingError(f"member {name!r} is encrypted", where=where, offset=at, expected="an archive that is not")
    if method not in (STORED, DEFLATED):
        raise RecordingError(
            f"member {name!r} is packed in a way that is not read",
            where=where,
            offset=at,
            found=f"method {method}",
            expected="stored or deflated",
        )


def _damaged(where: str, at: int, found: str) -> RecordingError:
    return RecordingError("the archive's directory is damaged", where=where, offset=at, found=found)


def _read(file: BinaryIO, offset: int, count: int) -> bytes:
    file.seek(offset)
    data = b""
    while len(data) < count and (part := file.read(count - len(data))):
        data += part
    return data
