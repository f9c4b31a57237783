"""Pictures that say which pixels to drop: their files, their text, and what is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.errors import ModelError, UsageError
from edgesnn.events.filters import Chain, bitmap, parse_filter
from edgesnn.events.types import EVENT
from edgesnn.graph import with_filters
from tests.small_models import small_document

PICTURE = np.random.default_rng(3).random((9, 13)) < 0.4
SENSOR = (13, 9)


def png(
    rows: list[bytes], width: int, depth: int, colour: int, *, height: int | None = None, interlaced: int = 0
) -> bytes:
    """Return a PNG of rows that begin with their filter's number, in chunks of a few bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    said = len(rows) if height is None else height
    facts = struct.pack(">IIBBBBB", width, said, depth, colour, 0, 0, interlaced)
    packed = zlib.compress(b"".join(rows))
    data = b"".join(chunk(b"IDAT", packed[at : at + 7]) for at in range(0, len(packed), 7))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", facts) + data + chunk(b"IEND", b"")


def filtered_rows(pixels: np.ndarray, step: int) -> list[bytes]:
    """Return rows of bytes under the five filters of PNG in turn, as the standard's section 9 writes them."""
    rows, above = [], np.zeros(pixels.shape[1], np.int64)
    for number, row in enumerate(pixels.astype(np.int64)):
        left, corner = (np.concatenate([np.zeros(step, np.int64), line[:-step]]) for line in (row, above))
        estimate = left + above - corner
        near = np.stack([abs(estimate - left), abs(estimate - above), abs(estimate - corner)]).argmin(axis=0)
        paeth = np.choose(near, [left, above, corner])
        kind = number % 5
        guess = [0, left, above, (left + above) // 2, paeth][kind]
        rows.append(bytes([kind]) + ((row - guess) & 255).astype(np.uint8).tobytes())
        above = row
    return rows


def files(folder: Path) -> dict[str, Path]:
    values = np.random.default_rng(1).integers(1, 256, (*PICTURE.shape, 4)).astype(np.uint8)
    grey = np.where(PICTURE, values[:, :, 0], 0).astype(np.uint8)
    colours = np.where(PICTURE[:, :, None], values[:, :, :3], 0).astype(np.uint8)
    clear = np.concatenate([colours, values[:, :, 3:]], axis=2)
    written: dict[str, Any] = {
        "bool.npy": PICTURE,
        "float.npy": PICTURE * 0.5,
        "grey.png": png(filtered_rows(grey, 1), 13, 8, 0),
        "colours.png": png(filtered_rows(colours.reshape(9, -1), 3), 13, 8, 2),
        "clear.png": png(filtered_rows(clear.reshape(9, -1), 4), 13, 8, 6),
        "bits.png": png([b"\0" + row.tobytes() for row in np.packbits(PICTURE, axis=1)], 13, 1, 0),
        "plain.txt": "\n".join("".join(map(str, row)) for row in PICTURE.astype(int)),
        "spaced.txt": "\n".join(", ".join(map(str, row)) for row in PICTURE.astype(int)) + "\n\n",
    }
    for name, content in written.items():
        if isinstance(content, np.ndarray):
            np.save(folder / name, content)
        else:
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return {name: folder / name for name in written}


def test_every_file_gives_the_picture(tmp_path: Path) -> None:
    for name, path in files(tmp_path).items():
        assert np.array_equal(bitmap.read(str(path), "x"), PICTURE), name


def test_a_picture_library_writes_the_same(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not in the tests' requirements")
    image.fromarray((PICTURE * 255).astype(np.uint8)).save(tmp_path / "a.png")
    image.fromarray(PICTURE).save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        assert np.array_equal(bitmap.read(str(tmp_path / name), "x"), PICTURE)


def test_zeros_or_ones_are_dropped(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PICTURE)
    rng = np.random.default_rng(2)
    events = np.zeros(500, EVENT)
    events["x"], events["y"] = rng.integers(0, 13, 500), rng.integers(0, 9, 500)
    marked = PICTURE[events["y"], events["x"]]
    for drop, kept in (("zeros", marked), ("ones", ~marked)):
        chain = Chain([f"bitmap:pixels={tmp_path / 'a.npy'},drop={drop}"], sensor=SENSOR)
        assert np.array_equal(chain.push(events), events[kept])
        assert chain.counters["dropped.bitmap"] == (~kept).sum()


def test_a_model_file_holds_the_bits_and_not_the_name(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PICTURE)
    document = small_document()
    section = with_filters(document.input, [f"bitmap:pixels={tmp_path / 'a.npy'}"])
    assert section["filters"] == [{"filter": "bitmap", "pixels": bitmap.pack(PICTURE), "drop": "zeros"}]
    made = small_document(filters=section["filters"])
    made.save(tmp_path / "m.safetensors")
    assert edgesnn.load(tmp_path / "m.safetensors").input["filters"] == section["filters"]
    with pytest.raises(ModelError, match="pixels is wrong"):
        small_document(filters=[{**section["filters"][0], "pixels": str(tmp_path / "a.npy")}])


def test_a_state_is_of_one_picture() -> None:
    chains = [Chain([{"filter": "bitmap", "pixels": bitmap.pack(p)}], sensor=SENSOR) for p in (PICTURE, ~PICTURE)]
    chains[0].load(chains[0].save())
    with pytest.raises(ModelError, match="snapshot is of other filters"):
        chains[1].load(chains[0].save())


@pytest.mark.parametrize(
    "text", ["", "3x2", "3x2:", "3x2:AAAA", "0x2:AA", "3x2:A*", "3x2:rw", "70000x1:AA", "3x2:rA=="]
)
def test_a_text_that_is_no_picture(text: str) -> None:
    assert bitmap.unpack(text) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"012\n",
        b"01\n0\n",
        b"\xff\xfe",
        b"\x89PNG\r\n\x1a\n",
        b"\x93NUMPY",
        png([b"\0abc"], 3, 16, 0),
        png([b"\0abc"], 3, 8, 0, interlaced=1),
        png([b"\7abc"], 3, 8, 0),
        png([b"\0abc"], 3, 8, 0, height=2),
        png([b"\0abc"], 3, 8, 9),
        png([b"\0abc"], 65535, 8, 0, height=65535),
        png([b"\0abc"], 3, 8, 0)[:40],
        png([b"\0abc"], 3, 8, 0).replace(b"IHDR\0", b"IHDR\1"),
        png([b"\0a"] * 8, 1, 8, 0, height=1 << 20),
    ],
)
def test_a_file_that_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a picture of 0 and 1"):
        parse_filter(f"bitmap:pixels={path}")


def test_other_refusals(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the picture cannot be read"):
        parse_filter("bitmap:pixels=/nowhere/a.png")
    with pytest.raises(UsageError, match="the picture cannot be read"):
        parse_filter("bitmap:pixels=a\0.png")
    with pytest.raises(UsageError, match="no regular file"):
        parse_filter("bitmap:pixels=/dev/zero")
    np.save(tmp_path / "long.npy", np.zeros((1, 70_000), bool))
    with pytest.raises(UsageError, match=r"bool \[1, 70000\]"):
        parse_filter(f"bitmap:pixels={tmp_path / 'long.npy'}")
    with pytest.raises(UsageError, match="the bitmap is of another sensor: found 13x9, expected 9x13"):
        Chain(["transpose", {"filter": "bitmap", "pixels": bitmap.pack(PICTURE)}], sensor=SENSOR)
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    with pytest.raises(UsageError, match=r"float64 \[2, 2, 2\]"):
        parse_filter(f"bitmap:pixels={tmp_path / 'cube.npy'}")
    np.save(tmp_path / "objects.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(UsageError, match="not a picture"):
        parse_filter(f"bitmap:pixels={tmp_path / 'objects.npy'}")
