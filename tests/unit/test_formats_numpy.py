"""Arrays as recordings: which layouts are read, that no pickle is, what is damage; numpy reads what is written."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import edgesnn
from edgesnn.events.formats.npz_writer import joined_crc
from edgesnn.events.formats.table import _Guard
from edgesnn.events.types import EVENT
from tests.memory import read_in_packets

Array = npt.NDArray[np.void]
SENSOR = (320, 240)


@pytest.fixture
def events() -> Array:
    rng = np.random.default_rng(4)
    events = np.zeros(50_000, EVENT)
    events["t"] = 1_700_000_000_000_000 + np.cumsum(rng.integers(0, 90, len(events)))
    events["x"], events["y"] = rng.integers(0, SENSOR[0], len(events)), rng.integers(0, SENSOR[1], len(events))
    events["p"] = rng.integers(0, 2, len(events))
    return events


def record(events: Array, dtype: list[tuple[str, str]], names: str = "t,x,y,p") -> Array:
    """The same events as records of another dtype; `names` says which of ours its fields are."""
    out = np.zeros(len(events), dtype)
    for (field, _), name in zip(dtype, names.split(","), strict=True):
        if name != "-":
            out[field] = events[name]
    return out


LAYOUTS: dict[str, Callable[[Array], npt.NDArray[np.generic]]] = {
    "our own": lambda e: e,
    "tonic's order": lambda e: record(e, [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")], "x,y,t,p"),
    "big-endian": lambda e: record(e, [("t", ">u8"), ("x", ">u2"), ("y", ">i4"), ("p", "i1")]),
    "names, more fields": lambda e: record(
        e, [("extra", "<f4"), ("Polarity", "u1"), ("timestamp", "<u8"), ("x", "u2"), ("y", "u2")], "-,p,t,x,y"
    ),
    "aligned": lambda e: e.astype(np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")], align=True)),
    "rows": lambda e: np.stack([e["t"], e["x"], e["y"], e["p"]], axis=1).astype(np.int64),
    "columns": lambda e: np.asfortranarray(np.stack([e["x"], e["y"], e["p"], e["t"]], axis=1).astype(np.int64)),
    "seconds": lambda e: np.stack([e["t"] / 1e6, e["x"], e["y"], e["p"]], axis=1),
    "minus one": lambda e: np.stack([e["t"], e["x"], e["y"], 2.0 * e["p"] - 1], axis=1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("packed", ["npy", "npz", "deflated npz"])
def test_layouts_that_are_read(tmp_path: Path, events: Array, layout: str, packed: str) -> None:
    array = LAYOUTS[layout](events)
    path = tmp_path / f"a.{packed[-3:]}"
    if packed == "npy":
        np.save(path, array)
    else:
        (np.savez if packed == "npz" else np.savez_compressed)(path, some=array, other=np.arange(3))
    if layout == "columns" and packed != "npy":  # an archive is read from its beginning to its end
        with pytest.raises(edgesnn.RecordingError, match="column order"):
            edgesnn.open(path).read()
        return
    recording = edgesnn.open(path, sensor=SENSOR)
    np.testing.assert_array_equal(recording.read(), events)
    assert not any(recording.counters.values())
    packets = list(recording.packets(count=999))
    np.testing.assert_array_equal(np.concatenate(packets), events)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("names", ["t,x,y,p", "ts,x,y,pol", "timestamps,x,y,polarities"])
def test_columns_side_by_side(tmp_path: Path, events: Array, save: Callable[..., None], names: str) -> None:
    columns = {name: events[ours] for name, ours in zip(names.split(","), "txyp", strict=True)}
    save(tmp_path / "a.npz", **columns, width=np.array(320))
    np.testing.assert_array_equal(edgesnn.open(tmp_path / "a.npz").read(), events)


@pytest.mark.parametrize(
    ("columns", "t"),
    [("y,-,t_ns,p,x", 1_234_500), ("y,-,t_ms,p,x", 1_000), ("y,-,t,p,x", 1_500)],
)
def test_columns_may_be_said(tmp_path: Path, columns: str, t: int) -> None:
    order = columns.split(",")
    rows = np.zeros((3, 5), np.int64)
    rows[:, 2] = t
    rows[:, order.index("x")], rows[:, order.index("y")] = 5, 7
    np.save(tmp_path / "a.npy", rows)
    with pytest.raises(edgesnn.RecordingError, match="--columns"):
        edgesnn.open(tmp_path / "a.npy").read()
    t_us = {"t_ns": 1_234, "t_ms": 1_000_000, "t": 1_500}[order[2]]  # half to even
    assert edgesnn.open(tmp_path / "a.npy", columns=columns).read().tolist() == [(t_us, 5, 7, 0)] * 3
    with pytest.raises(edgesnn.RecordingError, match="another number of columns"):
        edgesnn.open(tmp_path / "a.npy", columns="t,x,y,p").read()


class Trap:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_pickle_is_never_loaded(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    array = np.array([Trap(), Trap()], object)
    (np.save if suffix == ".npy" else np.savez)(path, array)
    with pytest.raises(edgesnn.RecordingError, match=r"not an array of events|which arrays"):
        edgesnn.open(path, on_corrupt="skip").read()


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[" * 5000,
        "{'descr': '<i8', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (10**30, 4)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1152921504606846975, 4)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (-1, 4)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (True, 4)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (5, 3)}",
        "{'descr': '<c16', 'fortran_order': False, 'shape': (5, 4)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (5, 4)}",
        "{'descr': [('t', '<i8', (9999999,))], 'fortran_order': False, 'shape': (5,)}",
        "{'descr': [('t', [('x', 'O')])], 'fortran_order': False, 'shape': (5,)}",
        "{'descr': [], 'fortran_order': False, 'shape': (5,)}",
        "{'descr': [('t', '<i8'), ('t', '<i8')], 'fortran_order': False, 'shape': (5,)}",
        "{'descr': '\\d', 'fortran_order': False, 'shape': (5,)}",
        "__import__('os').abort()",
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.npy").write_bytes(header(text) + bytes(400))
    with pytest.raises(edgesnn.RecordingError, match="not an array of events"):
        edgesnn.open(tmp_path / "a.npy", on_corrupt="skip")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((np.nan, 1, 2, 1), "no time"),
        ((np.inf, 1, 2, 1), "no time"),
        ((1e30, 1, 2, 1), "no time"),
        ((1.003, 1.5, 2, 1), "whole x"),
        ((1.003, 1, 2, 3), "polarity"),
        ((1.003, 320, 2, 1), "outside the 320x240 sensor"),
        ((1.003, -1, 2, 1), "outside the 320x240 sensor"),
        ((9.5, 1, 2, 1), "more than a second ahead"),
    ],
)
def test_a_bad_row_is_named_and_skipped(tmp_path: Path, row: tuple[float, ...], said: str) -> None:
    rows = np.array([(1 + i * 1e-5, i % 320, i % 240, i % 2) for i in range(1000)])
    rows[700] = row
    np.save(tmp_path / "a.npy", rows)
    parts: list[Array] = []
    with pytest.raises(edgesnn.RecordingError, match=rf"byte {128 + 700 * 32}: NPY row 700: .*{said}"):
        parts.extend(edgesnn.open(tmp_path / "a.npy", sensor=SENSOR).packets())
    assert sum(map(len, parts)) == 700
    recording = edgesnn.open(tmp_path / "a.npy", sensor=SENSOR, on_corrupt="skip")
    assert len(recording.read()) == 999
    assert recording.counters["bad_words"] + recording.counters["out_of_range"] == 1


@pytest.mark.parametrize("seed", range(30))
def test_the_guard_of_the_clock_is_the_rule_row_by_row_for_every_split(seed: int) -> None:
    rng = np.random.default_rng(seed)
    events = np.zeros(200, EVENT)
    events["t"] = np.cumsum(rng.choice([0, 5, 2_000_000, -2_000_000, 900_000], 200, p=[0.6, 0.2, 0.08, 0.06, 0.06]))
    expected, latest = [], None
    for at, t in enumerate(events["t"].tolist()):
        ahead = latest is None or t > latest + 1_000_000
        if ahead and at + 1 < len(events) and t > int(events["t"][at + 1]) + 1_000_000:
            continue
        expected.append(at)
        latest = t if latest is None else max(latest, t)
    guard, rows = _Guard(), np.arange(200)
    cuts = np.sort(rng.integers(0, 201, 6))
    parts = [
        guard.pass_on(e, r, final=False)[1] for e, r in zip(np.split(events, cuts), np.split(rows, cuts), strict=True)
    ]
    parts.append(guard.pass_on(events[:0], rows[:0], final=True)[1])
    assert np.concatenate(parts).tolist() == expected


def test_an_archive_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, events=np.zeros(3_000_000, EVENT))
    assert path.stat().st_size < 60_000
    with pytest.raises(edgesnn.RecordingError, match="unpacks to more than events do"):
        edgesnn.open(path).read()


def test_an_archive_whose_directory_lies_about_sizes_is_still_bounded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, events=np.zeros(30_000_000, EVENT))
    data = path.read_bytes()
    at = data.rindex(b"PK\x01\x02")
    path.write_bytes(data[: at + 24] + (5000).to_bytes(4, "little") + data[at + 28 :])
    small = tmp_path / "small.npz"
    np.savez_compressed(small, events=np.zeros(100_000, EVENT))
    total, _, grown = read_in_packets(small, path)
    assert total == 30_000_000
    assert grown < 32 << 10


def test_a_huge_array_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.npy"
    np.save(path, np.zeros(10_000_000, EVENT))
    small = tmp_path / "small.npy"
    np.save(small, np.zeros(100_000, EVENT))
    total, _, grown = read_in_packets(small, path, by="count=1000")
    assert total == 10_000_000
    assert grown < 32 << 10


def test_what_is_no_archive_of_events(tmp_path: Path, events: Array) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=events, b=events)
    with pytest.raises(edgesnn.RecordingError, match=r"which arrays are the events is not known: found a\.npy, b\.npy"):
        edgesnn.open(path).read()
    np.savez(path, t=events["t"], x=events["x"], y=events["y"][:-1], p=events["p"])
    with pytest.raises(edgesnn.RecordingError, match="do not go together"):
        edgesnn.open(path).read()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.npy", b"\x93NUMPY" + bytes(200))
    with pytest.raises(edgesnn.RecordingError, match="not read: found method 12"):
        edgesnn.open(path).read()


@pytest.mark.parametrize("policy", ["strict", "skip"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.7])
def test_a_cut_archive_without_all_columns_says_that_it_is_cut(
    tmp_path: Path, events: Array, share: float, policy: str
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **{name: events[name] for name in "txyp"})
    whole = path.read_bytes()
    size = int(len(whole) * share)
    path.write_bytes(whole[:size])
    with pytest.raises(edgesnn.RecordingError, match="the archive is cut off") as caught:
        edgesnn.open(path, on_corrupt=policy).read()
    assert caught.value.offset == size


@pytest.mark.parametrize("where", [5_000, 200_000, 400_000])
def test_one_flipped_bit_is_seen_by_the_checksum(tmp_path: Path, events: Array, where: int) -> None:
    path = tmp_path / "a.npz"
    edgesnn.write(path, events)
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(data)
    with pytest.raises(edgesnn.RecordingError, match=r"checksum|row"):
        edgesnn.open(path).read()
    recording = edgesnn.open(path, on_corrupt="skip")
    assert len(recording.read()) >= 49_999
    assert recording.counters["bad_words"] >= 1


@pytest.mark.parametrize("compression", [None, "none", "deflate"])
def test_numpy_and_zipfile_read_what_is_written(tmp_path: Path, events: Array, compression: str | None) -> None:
    path = tmp_path / "a.npz"
    edgesnn.write(path, np.array_split(events, 7), compression=compression)
    with np.load(path, allow_pickle=False) as archive:
        assert archive.files == ["events"]
        np.testing.assert_array_equal(archive["events"], events)
    with zipfile.ZipFile(path) as whole:
        assert whole.testzip() is None
    assert (path.stat().st_size < 400_000) == (compression == "deflate")


@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_a_live_archive_that_was_never_finished_gives_its_events(
    tmp_path: Path, events: Array, compression: str
) -> None:
    path = tmp_path / "a.npz"
    writer = edgesnn.Writer(path, live=True, compression=compression)
    writer.write(events[:3000])
    writer.write(events[3000:7000])
    recording = edgesnn.open(path, on_corrupt="skip")
    np.testing.assert_array_equal(recording.read(), events[:7000])
    assert recording.counters["truncated_bytes"] == 1
    with pytest.raises(edgesnn.RecordingError, match="the archive was not finished"):
        edgesnn.open(path).read()
    writer.close()
    np.testing.assert_array_equal(edgesnn.open(path).read(), events[:7000])


@pytest.mark.parametrize("lengths", [(0, 0), (5, 0), (0, 5), (1, 1), (192, 13 * 1000), (3, 1 << 20)])
def test_checksums_of_pieces_join(lengths: tuple[int, int]) -> None:
    import zlib

    first, second = (np.random.default_rng(n).integers(0, 256, n, np.uint8).tobytes() for n in lengths)
    assert joined_crc(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


def test_a_large_archive_says_its_sizes_in_64_bits(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("events.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.zeros(10, EVENT))
    (tmp_path / "a.npz").write_bytes(out.getvalue())
    assert len(edgesnn.open(tmp_path / "a.npz").read()) == 10
