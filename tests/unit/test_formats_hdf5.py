"""HDF5 recordings: layouts, sensors, parts by time, lost chunks, what is refused; written with h5py."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import edgesnn
from edgesnn.events.formats import hdf5_child
from edgesnn.events.formats.hdf5_stored import Stored
from edgesnn.events.types import EVENT, TRIGGER
from edgesnn.hdf5 import process
from tests.memory import measured, read_in_packets
from tests.property import aedat_files, hdf5_files

SENSOR = (320, 240)


def some(count: int = 5000, start_us: int = 1_000_000) -> np.ndarray:
    return aedat_files.rising_events(np.random.default_rng(8), count, SENSOR, start_us)


def put(folder: Path, data: bytes) -> Path:
    path = folder / "a.h5"
    path.write_bytes(data)
    return path


def file_of(build: Any) -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        build(file)
    return out.getvalue()


def columns(events: np.ndarray, names: str = "t,x,y,p", **options: Any) -> bytes:
    """Columns side by side under these names."""

    def build(file: h5py.File) -> None:
        for name, axis in zip(names.split(","), "txyp", strict=True):
            values = events[axis] / 1e6 if name == "t_s" else events[axis]
            file.create_dataset(f"events/{name}", data=values, **options)

    return file_of(build)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(edgesnn.RecordingError) as caught:
        edgesnn.open(path, **options).read()
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        hdf5_files.dsec(some()),
        hdf5_files.dsec(some(), offset_us=913_716_224),
        hdf5_files.dsec(some(), options={}),
        hdf5_files.mvsec(some(start_us=1_500_000_000_000_000)),
        columns(some(), chunks=(7,), compression="gzip"),
        columns(some(), "ts,xs,ys,ps"),
        columns(some(), "t_s,x,y,p", compression="lzf"),
        columns(some(), "timestamp,x,y,polarity", chunks=(5000,), shuffle=True, fletcher32=True),
    ],
    ids=["dsec", "offset", "plain", "mvsec", "small chunks", "contiguous", "seconds", "checksums"],
)
def test_layouts_that_are_read(tmp_path: Path, data: bytes) -> None:
    recording = edgesnn.open(put(tmp_path, data))
    start_us = 1_500_000_000_000_000 if recording.variant == "mvsec" else 1_000_000
    events = recording.read()
    np.testing.assert_array_equal(events, some(start_us=start_us))
    assert events.dtype == EVENT
    assert not any(recording.counters.values())
    for count in (1, 7, 1000):
        packets = (
            recording.packets(count=count) if count > 1 else recording.packets(count=count, stop_us=start_us + 999)
        )
        joined = np.concatenate(list(packets))
        np.testing.assert_array_equal(joined, events[: len(joined)])
        assert len(joined) > 10


def test_fields_that_are_not_of_events_may_hold_anything(tmp_path: Path) -> None:
    events = some(100)
    rows = np.zeros(100, [("note", "S3"), *((name, "<i8") for name in "xypt"), ("more", "<f4", (2,))])
    for name in "xypt":
        rows[name] = events[name]
    path = put(tmp_path, file_of(lambda file: file.create_dataset("CD/events", data=rows)))
    np.testing.assert_array_equal(edgesnn.open(path).read(), events)


def test_records_of_prophesee_that_are_not_packed(tmp_path: Path) -> None:
    events = some()
    dtype = np.dtype({"names": ["x", "y", "p", "t"], "formats": ["<u2", "<u2", "<i2", "<i8"], "offsets": [0, 2, 4, 8]})

    def build(file: h5py.File) -> None:
        records = np.zeros(len(events), dtype)
        for name in "xypt":
            records[name] = events[name]
        file.create_dataset("CD/events", data=records, chunks=(1000,))
        file.attrs["geometry"] = "320x240"

    recording = edgesnn.open(put(tmp_path, file_of(build)))
    assert (recording.variant, recording.sensor, recording.fields["geometry"]) == ("ecf", SENSOR, "320x240")
    np.testing.assert_array_equal(recording.read(), events)


@pytest.mark.parametrize("rows", [50, 1000, 16384])
def test_packed_records_of_prophesee(tmp_path: Path, rows: int) -> None:
    events = some()
    recording = edgesnn.open(put(tmp_path, hdf5_files.ecf(events, rows=rows)))
    assert (recording.variant, recording.sensor) == ("ecf", SENSOR)
    np.testing.assert_array_equal(recording.read(), events)
    np.testing.assert_array_equal(np.concatenate(list(recording.packets(count=7))), events)
    assert not any(recording.counters.values())


def test_triggers_come_with_the_events_around_them(tmp_path: Path) -> None:
    events = some(20_000)
    triggers = np.zeros(9000, TRIGGER)
    triggers["t"] = np.linspace(int(events["t"][0]) - 5, int(events["t"][-1]) + 5, len(triggers)).astype(np.int64)
    triggers["id"], triggers["p"] = np.arange(9000) % 5, np.arange(9000) % 2
    recording = edgesnn.open(put(tmp_path, hdf5_files.ecf(events, rows=500, triggers=triggers)))
    np.testing.assert_array_equal(recording.triggers(), triggers)
    middle = int(events["t"][9000])
    steps = list(recording.steps(middle, middle + 3000))
    inside = triggers[(triggers["t"] >= middle) & (triggers["t"] < middle + 3000)]
    np.testing.assert_array_equal(np.concatenate([some for _, some in steps]), inside)


@pytest.mark.parametrize("make", [hdf5_files.ecf, hdf5_files.dsec, hdf5_files.mvsec])
def test_a_part_is_that_part_of_the_whole(tmp_path: Path, make: Any) -> None:
    events = some(20_000)
    recording = edgesnn.open(put(tmp_path, make(events)))
    rng = np.random.default_rng(2)
    for start, stop in np.sort(rng.integers(int(events["t"][0]) - 10, int(events["t"][-1]) + 10, (12, 2)), axis=1):
        inside = events[(events["t"] >= start) & (events["t"] < stop)]
        np.testing.assert_array_equal(recording.read(start_us=int(start), stop_us=int(stop)), inside)


def test_chunks_that_are_lost_or_no_chunks_lose_their_rows(tmp_path: Path) -> None:
    events = some(1000)
    changes = {2: None, 5: b"\0", 9: b"\xff" * 300, 12: bytes((1 << 20) + 1)}
    data = hdf5_files.ecf(events, rows=50, change=lambda number, chunk: changes.get(number, chunk))
    path = put(tmp_path, data)
    assert "HDF5 row 100: it cannot be read: its chunk was never written" in refusal(path)
    recording = edgesnn.open(path, on_corrupt="skip")
    lost = [at // 50 in changes for at in range(1000)]
    np.testing.assert_array_equal(recording.read(), events[~np.array(lost)])
    assert recording.counters["bad_words"] == 200


def test_an_offset_never_brings_an_impossible_time_back(tmp_path: Path) -> None:
    events, (data, path) = some(100), (io.BytesIO(hdf5_files.dsec(some(100), options={})), tmp_path / "a.h5")
    with h5py.File(data, "r+") as file:
        times = file["events/t"][:].astype("<u8")
        times[50] = 2**64 - 1_000_000  # one second before the offset
        del file["events/t"]
        file["events/t"] = times
    path.write_bytes(data.getvalue())
    assert "HDF5 row 50: " in refusal(path)
    recording = edgesnn.open(path, on_corrupt="skip")
    np.testing.assert_array_equal(recording.read(), np.delete(events, 50))
    assert recording.counters["bad_words"] == 1


def test_a_strict_error_names_the_byte_of_the_chunk(tmp_path: Path) -> None:
    data = hdf5_files.ecf(some(1000), rows=50, change=lambda n, chunk: b"\xf0" * 111 if n == 7 else chunk)
    message = refusal(put(tmp_path, data))
    assert f"byte {data.index(bytes([0xF0]) * 111)}: HDF5 row 350: " in message


def test_ecf_behind_another_filter_is_refused(tmp_path: Path) -> None:
    with h5py.File(out := io.BytesIO(), "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((50,))
        plan.set_shuffle()
        plan.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL)
        space, kind = h5py.h5s.create_simple((100,)), h5py.h5t.py_create(hdf5_files.RECORD, logical=True)
        h5py.h5d.create(file.create_group("CD").id, b"events", kind, space, plan)
    assert "packed with ECF in another way" in refusal(put(tmp_path, out.getvalue()))


def test_the_size_of_images_is_the_sensor_of_mvsec(tmp_path: Path) -> None:
    assert edgesnn.open(put(tmp_path, hdf5_files.mvsec(some(), image=True))).sensor == (346, 260)
    assert edgesnn.open(put(tmp_path, hdf5_files.mvsec(some()))).sensor is None


def test_an_impossible_geometry_names_the_flag(tmp_path: Path) -> None:
    data = hdf5_files.dsec(some())
    with h5py.File(out := io.BytesIO(data), "r+") as file:
        file.create_dataset("CD/events", data=np.zeros(9, [("x", "u2"), ("y", "u2"), ("p", "i2"), ("t", "i8")]))
        file.attrs["geometry"] = b"0x99999"
    assert "pass --sensor" in refusal(put(tmp_path, out.getvalue()))


def test_a_part_without_the_index_is_read_from_the_beginning(tmp_path: Path) -> None:
    events = some()
    recording = edgesnn.open(put(tmp_path, hdf5_files.dsec(events, index=False)))
    middle = int(events["t"][3000])
    np.testing.assert_array_equal(recording.read(start_us=middle), events[events["t"] >= middle])


@pytest.mark.parametrize("layout", ["dsec", "ecf"])
def test_a_part_is_not_read_from_the_beginning(tmp_path: Path, layout: str) -> None:
    events = some(500_000) if layout == "dsec" else some(60_000)
    data = hdf5_files.dsec(events, options={}) if layout == "dsec" else hdf5_files.ecf(events, rows=1000)
    recording = edgesnn.open(put(tmp_path, data))
    recording.read(start_us=int(events["t"][-100]))
    assert recording.read_bytes < recording.size_bytes / 4


@pytest.mark.parametrize(
    "index", [np.array([0, 2**40], "<u8"), np.full(2000, 400, "<u8"), np.zeros((2, 2)), np.zeros(0)]
)
def test_an_index_that_lies_is_not_believed(tmp_path: Path, index: np.ndarray) -> None:
    events = some()
    data = io.BytesIO(hdf5_files.dsec(events, index=False))
    with h5py.File(data, "r+") as file:
        file["ms_to_idx"] = index
    recording = edgesnn.open(put(tmp_path, data.getvalue()))
    middle = int(events["t"][200])
    np.testing.assert_array_equal(recording.read(start_us=middle), events[events["t"] >= middle])


def damaged_chunk(data: bytes, name: str, number: int) -> tuple[bytes, int]:
    """The file with one chunk of a column spoilt, and where that chunk begins."""
    with h5py.File(io.BytesIO(data)) as file:
        info = file[name].id.get_chunk_info(number)
    spoilt = bytearray(data)
    spoilt[info.byte_offset : info.byte_offset + info.size] = b"\xaa" * info.size
    return bytes(spoilt), info.byte_offset


def test_a_damaged_chunk_loses_its_rows_and_no_more(tmp_path: Path) -> None:
    events = some()
    data, offset = damaged_chunk(columns(events, chunks=(500,), compression="gzip"), "events/x", 3)
    path = put(tmp_path, data)
    message = refusal(path)
    assert f"byte {offset}: HDF5 row 1500: it cannot be read" in message
    packets = edgesnn.open(path).packets()
    np.testing.assert_array_equal(next(packets), events[:1500])
    recording = edgesnn.open(path, on_corrupt="skip")
    np.testing.assert_array_equal(recording.read(), np.concatenate([events[:1500], events[2000:]]))
    assert recording.counters["bad_words"] == 500


def test_a_chunk_that_was_never_written_gives_no_events(tmp_path: Path) -> None:
    def build(file: h5py.File) -> None:
        for name, dtype in (("t", "u4"), ("x", "u2"), ("y", "u2"), ("p", "u1")):
            column = file.create_dataset(f"events/{name}", (1000,), dtype, chunks=(100,))
            column[:300] = np.arange(300) % 2
            column[400:] = 1

    path = put(tmp_path, file_of(build))
    assert "HDF5 row 300: it cannot be read: its chunk was never written" in refusal(path)
    recording = edgesnn.open(path, on_corrupt="skip")
    assert len(recording.read()) == 900
    assert recording.counters["bad_words"] == 100


@pytest.mark.parametrize("layout", ["ecf", "mvsec", "columns"])
def test_a_cut_file_gives_the_rows_before_the_cut(tmp_path: Path, layout: str) -> None:
    events = some(20_000)
    makers = {
        "ecf": lambda: hdf5_files.ecf(events, rows=200),
        "mvsec": lambda: hdf5_files.mvsec(events),
        "columns": lambda: columns(events, "t_s,x,y,p", chunks=(500,), compression="gzip"),
    }
    data, most, refused = makers[layout](), 0, 0
    for cut in np.linspace(2100, len(data) - 1, 25).astype(int).tolist():
        path = put(tmp_path, data[:cut])
        try:
            recording = edgesnn.open(path, on_corrupt="skip")
            found = recording.read()
        except edgesnn.RecordingError:
            refused += 1
            assert "the file is cut" in refusal(path) or "no event" in refusal(path, on_corrupt="skip")
            continue
        np.testing.assert_array_equal(found, events[: len(found)])
        assert recording.counters["truncated_bytes"] == len(data) - cut
        assert recording.counters["bad_words"] == 0
        assert f"byte {cut}: the file is cut: {cut} of {len(data)} bytes" in refusal(path)
        most = max(most, len(found))
    assert refused < 25
    assert most > 10_000


def test_a_cut_dsec_without_its_offset_is_refused(tmp_path: Path) -> None:
    data = hdf5_files.dsec(some())
    with h5py.File(io.BytesIO(data)) as file:
        place = file["t_offset"].id.get_offset()
    path = put(tmp_path, data[: place + 4])
    for on_corrupt in ("strict", "skip"):
        assert "the file is cut" in refusal(path, on_corrupt=on_corrupt)


def test_bombs_are_refused(tmp_path: Path) -> None:
    def many_zeros(file: h5py.File) -> None:
        for name in "txyp":
            file.create_dataset(f"events/{name}", (1 << 40,), "u4", chunks=(1 << 16,), compression="gzip")

    def one_chunk(file: h5py.File) -> None:
        for name in "txyp":
            file.create_dataset(f"events/{name}", data=np.zeros(1 << 25, "u4"), chunks=(1 << 25,), compression="gzip")

    assert "unpacks to more than events do" in refusal(put(tmp_path, file_of(many_zeros)))
    assert "chunks of more than" in refusal(put(tmp_path, file_of(one_chunk)))


_REFUSED = """
import edgesnn
def warm(small, path): edgesnn.open(small).read()
def work(small, path):
    try:
        edgesnn.open(path).read()
    except edgesnn.RecordingError as error:
        return str(error)
"""


def test_a_chunk_that_inflates_without_end_is_not_the_callers(tmp_path: Path) -> None:
    import zlib

    events = some()
    data = io.BytesIO(columns(events, chunks=(1000,), compression="gzip"))
    with h5py.File(data, "r+") as file:
        bomb = zlib.compress(bytes(1 << 30), 1)
        file["events/x"].id.write_direct_chunk((2000,), bomb)
    path = put(tmp_path, data.getvalue())
    (tmp_path / "small").mkdir()
    small = put(tmp_path / "small", columns(events))
    message, grown = measured(_REFUSED, small, path)
    assert "HDF5 row" in message or "died" in message
    assert grown < 64 << 10


@pytest.mark.parametrize(
    ("build", "what"),
    [
        (lambda file: file.create_dataset("images", (3, 3), "f4"), "no events that are known, but images"),
        (lambda file: None, "no events that are known, but nothing"),
        (lambda file: file.create_dataset("davis/left/events", (9, 3), "f4"), "not rows of x, y, t and p"),
        (lambda file: file.create_dataset("CD/events", (9,), "f4"), "holds no events"),
        (lambda file: file.create_dataset("CD/events", (9, 2), hdf5_files.RECORD), "holds no events"),
        (lambda file: file.create_dataset("CD/events", (9,), [(n, "S2") for n in "xypt"]), "holds no events"),
        (lambda file: file.create_dataset("CD/events", (9,), [(n, "u2", (2,)) for n in "xypt"]), "holds no events"),
        (lambda file: [file.create_dataset(f"events/{n}", (9,), "S4") for n in "txyp"], "no columns of numbers"),
        (lambda file: [file.create_dataset(f"events/{n}", (9 + (n == "x"),), "u2") for n in "txyp"], "lengths [9, 10]"),
        (lambda file: [file.create_dataset(f"events/{n}", (9,), "u2") for n in "txy"], "no events that are known"),
    ],
)
def test_other_files_are_refused_by_what_they_hold(tmp_path: Path, build: Any, what: str) -> None:
    assert what in refusal(put(tmp_path, file_of(build)))


def test_links_out_of_the_file_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other.h5").write_bytes(hdf5_files.dsec(some()))

    def outside(file: h5py.File) -> None:
        file["events"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/events")

    def external(file: h5py.File) -> None:
        for name in "txyp":
            file.create_dataset(f"events/{name}", (9,), "u1", external=[(str(tmp_path / "other.h5"), 0, 9)])

    assert "no events that are known" in refusal(put(tmp_path, file_of(outside)))
    assert "keeps its data in another file" in refusal(put(tmp_path, file_of(external)))


def test_an_empty_recording(tmp_path: Path) -> None:
    recording = edgesnn.open(put(tmp_path, hdf5_files.dsec(some(0))))
    assert len(recording.read()) == 0
    assert any("empty" in warning for warning in recording.warnings)


@pytest.mark.parametrize("package", ["h5py", "hdf5plugin"])
def test_a_package_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    path = put(tmp_path, hdf5_files.dsec(some()))
    (tmp_path / "empty").mkdir()
    missing = f"raise ModuleNotFoundError(\"No module named '{package}'\", name='{package}')\n"
    (tmp_path / "empty" / f"{package}.py").write_text(missing)
    monkeypatch.syspath_prepend(str(tmp_path / "empty"))
    monkeypatch.setattr(process, "_server", process._Server())
    assert f"{package} is not installed; pip install 'edgesnn[events]'" in refusal(path)
    process._server.stop()
    plain = put(tmp_path, hdf5_files.dsec(some(), options={}))
    if package == "hdf5plugin":
        assert len(edgesnn.open(plain).read()) == 5000


def test_a_process_that_cannot_be_started_is_an_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, hdf5_files.dsec(some()))
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-such-python"))
    monkeypatch.setattr(process, "_server", process._Server())
    assert "could not be started" in refusal(path)


LAYOUTS = {
    "dsec": lambda events: columns(events, chunks=(1 << 14,)),
    "mvsec": lambda events: hdf5_files.mvsec(events, rows=1 << 13),
    "ecf": lambda events: hdf5_files.ecf(events, rows=16_384, layouts=("y, x and p",)),
}


class Sink:
    """Takes what a worker says."""

    def __init__(self) -> None:
        self.rows = 0

    def send(self, message: dict[str, Any], arrays: Any = ()) -> None:
        self.rows += len(arrays[0]) if arrays else 0


@pytest.mark.parametrize("layout", ["dsec", "mvsec"])
def test_the_places_of_chunks_are_not_asked_for_one_by_one(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HDF5 looks through all chunks before one to say where it is: the square of the file's size."""
    monkeypatch.setattr(Stored, "places", lambda _, row: pytest.fail(f"asked for row {row}"))
    sink = Sink()
    hdf5_child.work(sink, {"path": str(put(tmp_path, LAYOUTS[layout](some(50_000))))})  # type: ignore[arg-type]
    assert sink.rows == 50_000


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_long_recording_takes_bounded_memory(tmp_path: Path, layout: str) -> None:
    events = some(20_000)
    many = np.tile(events, 100)
    many["t"] += np.repeat(np.arange(100) * (int(events["t"][-1] - events["t"][0]) + 3), len(events))
    paths = tmp_path / "small.h5", tmp_path / "long.h5"
    for path, count in zip(paths, (200_000, len(many)), strict=True):
        path.write_bytes(LAYOUTS[layout](many[:count]))
    total, _, grown = read_in_packets(*paths)
    assert total == len(many)
    assert grown < 16 << 10
