"""Pictures of 0 and 1, a value a pixel: read from .npy, .png and text files, written as a text of packed bits.

The text is `WIDTHxHEIGHT:` and the bits in base64 (RFC 4648, the alphabet for names of files, without padding): row
after row, the highest bit of a byte first.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
import stat
import zlib

import numpy as np
import numpy.typing as npt

from edgesnn.errors import UsageError

Picture = npt.NDArray[np.bool_]

_TEXT = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4}):([A-Za-z0-9_-]*)", re.ASCII)
_MOST_PIXELS = 1 << 26
_MOST_FILE_BYTES = 1 << 26 << 3
_PNG = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the colour type of a PNG


def pack(picture: Picture) -> str:
    """Return the text of a picture [height, width]."""
    height, width = picture.shape
    bits = base64.urlsafe_b64encode(np.packbits(picture).tobytes()).decode().rstrip("=")
    return f"{width}x{height}:{bits}"


def unpack(text: str) -> tuple[int, int, bytes] | None:
    """Return (width, height, packed bits) of a text; None where it is none."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    width, height = int(match[1]), int(match[2])
    try:
        bits = base64.b64decode(match[3] + "=" * (-len(match[3]) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    spare = 8 * len(bits) - width * height
    whole = 0 <= spare < 8 and _possible(height, width)
    return (width, height, bits) if whole and not bits[-1] & ((1 << spare) - 1) else None


def read(path: str, where: str) -> Picture:
    """Return the picture of a file: bool [height, width]; what is not 0 is True.

    Raises:
        UsageError: no such file, or no such picture.
    """
    data = _bytes(path, where)
    try:
        if data.startswith(_PNG):
            picture = _from_png(data)
        elif data.startswith(b"\x93NUMPY"):
            picture = np.load(io.BytesIO(data), allow_pickle=False)
        else:
            picture = _from_text(data.decode("ascii"))
        if picture.dtype.kind not in "biuf" or picture.ndim != 2 or not picture.size or not _possible(*picture.shape):
            raise ValueError(f"{picture.dtype} {list(picture.shape)}")
    except (ValueError, EOFError, KeyError, IndexError, MemoryError, zlib.error) as error:
        raise _wrong(path, where, str(error)[:80]) from None
    return np.asarray(picture != 0)


def _bytes(path: str, where: str) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise _wrong(path, where, "no regular file")
        with open(path, "rb") as file:
            data = file.read(_MOST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError("the picture cannot be read", where=where, found=f"{path!r}: {error}"[:200]) from None
    if len(data) > _MOST_FILE_BYTES:
        raise _wrong(path, where, f"more than {_MOST_FILE_BYTES} bytes")
    return data


def _possible(height: int, width: int) -> bool:
    return max(height, width) <= 65536 and height * width <= _MOST_PIXELS


def _wrong(path: str, where: str, found: str) -> UsageError:
    expected = "0 and 1 for each pixel: .npy [height, width], .png (8 or 1 bit, not interlaced), or rows of 0 and 1"
    return UsageError("not a picture of 0 and 1", where=where, found=f"{path}: {found}", expected=expected)


def _from_text(text: str) -> npt.NDArray[np.uint8]:
    """Return rows of 0 and 1, with or without spaces or commas between them."""
    rows = [line.translate({ord(c): None for c in " \t,;"}) for line in text.splitlines()]
    rows = [row for row in rows if row]
    if not rows or len({len(row) for row in rows}) != 1 or set("".join(rows)) - {"0", "1"}:
        raise ValueError("rows of other lengths or signs")
    return np.array([np.frombuffer(row.encode(), np.uint8) for row in rows]) - ord("0")


def _from_png(data: bytes) -> npt.NDArray[np.uint8]:
    """Return the pixels of a PNG image (ISO/IEC 15948): not 0 where a colour, or its index, is not 0."""
    chunks = _chunks(data)
    head = chunks["IHDR"]
    width, height = (int.from_bytes(head[at : at + 4], "big") for at in (0, 4))
    depth, colour, interlaced = head[8], head[9], head[12]
    if depth not in (1, 8) or (depth == 1 and colour not in (0, 3)) or interlaced or not _possible(height, width):
        raise ValueError(f"PNG of {width}x{height}, depth {depth}, colour type {colour}, interlaced {interlaced}")
    channels = _CHANNELS[colour]
    row_bytes = (width * channels * depth + 7) // 8
    unpacker = zlib.decompressobj()
    raw = unpacker.decompress(chunks["IDAT"], height * (row_bytes + 1))
    rows = np.frombuffer(raw, np.uint8).reshape(height, row_bytes + 1)
    pixels = _unfiltered(rows, channels if depth == 8 else 1)
    if depth == 1:
        return np.unpackbits(pixels, axis=1)[:, :width]
    coloured = pixels.reshape(height, width, channels)
    made: npt.NDArray[np.uint8] = coloured[:, :, : channels - (colour in (4, 6))].max(axis=2)
    return made


def _chunks(data: bytes) -> dict[str, bytes]:
    found: dict[str, list[bytes]] = {}
    at = len(_PNG)
    while at + 8 <= len(data):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8].decode("latin-1")
        end = at + 8 + length
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise ValueError(f"PNG chunk {name!r} with a wrong check sum")
        found.setdefault(name, []).append(data[at + 8 : end])
        at = end + 4
    return {name: b"".join(parts) for name, parts in found.items()}


def _unfiltered(rows: npt.NDArray[np.uint8], step: int) -> npt.NDArray[np.uint8]:
    """Undo the filters of a PNG's rows: none, left, up, mean, Paeth."""
    made = np.zeros((len(rows) + 1, rows.shape[1] - 1), np.uint8)
    for number, row in enumerate(rows):
        kind, above = int(row[0]), made[number]
        if kind not in (0, 1, 2, 3, 4):
            raise ValueError(f"PNG filter {kind}")
        made[number + 1] = row[1:] + (above if kind == 2 else 0)
        if kind in (1, 3, 4):
            _undo_left(made[number + 1], above.tolist(), step, kind)
    return made[1:]


def _undo_left(row: npt.NDArray[np.uint8], above: list[int], step: int, kind: int) -> None:
    values = row.tolist()
    for i, value in enumerate(values):
        left, up, corner = (values[i - step], above[i], above[i - step]) if i >= step else (0, above[i], 0)
        if kind == 1:
            guess = left
        elif kind == 3:
            guess = (left + up) // 2
        else:
            near = sorted((abs(left + up - corner - one), order) for order, one in enumerate((left, up, corner)))
            guess = (left, up, corner)[near[0][1]]
        values[i] = (value + guess) & 255
    row[:] = values
