"""Other people's readers, for `bench/events.py`: format -> name of the reader -> what makes one of a file.

A reader is (stream, whole): `stream()` decodes the file as quickly as that library can and keeps nothing; `whole()`
returns the events as a mapping of t (microseconds), x, y and p, to be compared before anything is timed. A library that
is not installed is left out.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np

Reader = tuple[Callable[[], object], Callable[[], Mapping[str, Any]]]
Maker = Callable[[Path, tuple[int, int]], Reader]


def drain(packets: Any) -> None:
    """Take all and keep none."""
    deque(packets, maxlen=0)


def faery(path: Path, sensor: tuple[int, int]) -> Reader:
    import faery as library

    def opened() -> Any:
        return library.events_stream_from_file(path, dimensions_fallback=sensor)

    return lambda: drain(opened()), lambda: opened().to_array()


def expelliarmus(encoding: str) -> Maker:
    def make(path: Path, _: tuple[int, int]) -> Reader:
        from expelliarmus import Wizard

        def read() -> Any:
            return Wizard(encoding=encoding).read(str(path))

        return read, read

    return make


def evlib(path: Path, _: tuple[int, int]) -> Reader:
    import evlib as library

    def read() -> Any:
        return library.load_events(str(path)).collect()

    def columns() -> Mapping[str, Any]:
        frame = read()
        t = frame["t"].dt.total_microseconds().to_numpy()
        return {"t": t, "x": frame["x"].to_numpy(), "y": frame["y"].to_numpy(), "p": frame["polarity"].to_numpy() == 1}

    return read, columns


def eventcv(path: Path, _: tuple[int, int]) -> Reader:
    import eventcv as library
    import hdf5plugin

    os.environ.setdefault("HDF5_PLUGIN_PATH", hdf5plugin.PLUGIN_PATH)

    def read() -> Any:
        return library.load(str(path))

    def columns() -> Mapping[str, Any]:
        return dict(zip("xytp", read().numpy().T, strict=True))

    return read, columns


def h5py_columns(path: Path, _: tuple[int, int]) -> Reader:
    import h5py
    import hdf5plugin  # noqa: F401 - its compressions

    def read() -> Mapping[str, Any]:
        with h5py.File(path) as file:
            if "davis" in file:
                rows = file["davis/left/events"][()]
                return {"t": rows[:, 2], "x": rows[:, 0], "y": rows[:, 1], "p": rows[:, 3]}
            return {"t": file["events/t"][()] + file["t_offset"][()], **{n: file["events"][n][()] for n in "xyp"}}

    def columns() -> Mapping[str, Any]:
        found = dict(read())
        if found["t"].dtype.kind == "f":
            found["t"] = np.rint(found["t"] * 1e6)
        return {**found, "p": found["p"] > 0}

    return read, columns


def event_stream(path: Path, _: tuple[int, int]) -> Reader:
    import event_stream as library

    def packets() -> list[Any]:
        with library.Decoder(str(path)) as decoder:
            return list(decoder)

    def stream() -> None:
        with library.Decoder(str(path)) as decoder:
            drain(decoder)

    return stream, lambda: np.concatenate(packets())


def dv_processing(path: Path, _: tuple[int, int]) -> Reader:
    import dv_processing as library

    def batches() -> Iterator[Any]:
        recording = library.io.MonoCameraRecording(str(path))
        while recording.isRunning("events"):
            yield recording.getNextEventBatch().numpy()

    def columns() -> Mapping[str, Any]:
        events = np.concatenate(list(batches()))
        return {"t": events["timestamp"], "x": events["x"], "y": events["y"], "p": events["polarity"]}

    return lambda: drain(batches()), columns


def aedat(path: Path, _: tuple[int, int]) -> Reader:
    import aedat as library

    def packets() -> Iterator[Any]:
        return (packet["events"] for packet in library.Decoder(str(path)) if "events" in packet)

    def columns() -> Mapping[str, Any]:
        events = np.concatenate(list(packets()))
        return {"t": events["t"], "x": events["x"], "y": events["y"], "p": events["on"]}

    return lambda: drain(packets()), columns


def tonic(path: Path, _: tuple[int, int]) -> Reader:
    from tonic.io import make_structured_array, read_mnist_file

    dtype = make_structured_array([0], [0], [0], [0]).dtype

    def read() -> Any:
        return read_mnist_file(str(path), dtype=dtype)

    return read, read


def polars(path: Path, _: tuple[int, int]) -> Reader:
    import polars as library

    def columns() -> Mapping[str, Any]:
        return {name: column.to_numpy() for name, column in zip("txyp", library.read_csv(path), strict=True)}

    return lambda: library.read_csv(path), columns


def numpy_array(path: Path, _: tuple[int, int]) -> Reader:
    def read() -> Mapping[str, Any]:
        loaded = np.load(path)
        return {name: loaded[name] for name in "txyp"}

    return read, read


def rosbags(path: Path, sensor: tuple[int, int]) -> Reader:
    """The messages of a bag through rosbags, their words through faery by way of a file."""
    import faery as library
    from rosbags.highlevel import AnyReader

    def decode(use: Callable[[Any], Any]) -> Any:
        with AnyReader([path]) as reader, NamedTemporaryFile(suffix=".raw") as file:
            file.write("% evt 3.0\n% geometry {}x{}\n% end\n".format(*sensor).encode())
            for connection, _, raw in reader.messages():
                file.write(reader.deserialize(raw, connection.msgtype).events.tobytes())
            file.flush()
            return use(library.events_stream_from_file(Path(file.name)))

    return lambda: decode(drain), lambda: decode(lambda stream: stream.to_array())


PEERS: dict[str, dict[str, Maker]] = {
    "aedat4": {"dv_processing": dv_processing, "aedat": aedat, "faery": faery},
    "csv": {"faery": faery, "polars": polars},
    "dat": {"expelliarmus": expelliarmus("dat"), "faery": faery},
    "es": {"event_stream": event_stream, "faery": faery},
    "evt2": {"expelliarmus": expelliarmus("evt2"), "faery": faery, "evlib": evlib},
    "evt21": {"evlib": evlib},
    "evt3": {"expelliarmus": expelliarmus("evt3"), "faery": faery, "evlib": evlib},
    "hdf5": {"evlib": evlib, "eventcv": eventcv, "h5py": h5py_columns},
    "nmnist": {"tonic": tonic},
    "npy": {"numpy": numpy_array},
    "npz": {"numpy": numpy_array},
    "rosbag1": {"rosbags": rosbags},
    "rosbag2": {"rosbags": rosbags},
}


def peers(format: str) -> dict[str, Maker]:
    """Return the readers of a format that are installed."""
    return {name: maker for name, maker in PEERS.get(format, {}).items() if find_spec(name)}
