# Made by `make stubs` of a module built with pybind11 3.1.0. Not to be edited.
"""
Points and spikes (edgesnn/encode/points.py and spikes.py are the readable forms).
"""

from __future__ import annotations

import collections.abc
import typing

import numpy
import numpy.typing

__all__: list[str] = [
    "ArrayEncoder",
    "ArrayStream",
    "encode_points",
    "encode_spikes",
    "farthest_points",
    "group_points",
    "nearest_neighbours",
]

class ArrayEncoder:
    def __init__(self, name: str, parameters: collections.abc.Mapping[str, int], sensor: tuple[int, int]) -> None: ...
    def encode(
        self, events: typing.Any, t0_us: int | None, t1_us: int | None, first_event: int, out: typing.Any
    ) -> numpy.typing.NDArray[typing.Any]: ...
    @property
    def dtype(self) -> numpy.dtype[typing.Any]: ...
    @property
    def shape(self) -> list[int]: ...

class ArrayStream:
    def __init__(
        self,
        name: str,
        parameters: collections.abc.Mapping[str, int],
        sensor: tuple[int, int],
        length: int,
        hop: int,
        by_count: bool,
    ) -> None: ...
    def counters(self) -> dict[str, int]: ...
    def finish(self) -> None: ...
    def load(self, state: dict[typing.Any, typing.Any]) -> None: ...
    def poll(self) -> typing.Any: ...
    def push(self, events: typing.Any, t_end_us: int | None) -> None: ...
    def save(self) -> dict[typing.Any, typing.Any]: ...

def encode_points(
    events: typing.Any, encoding: typing.Any, sensor: tuple[int, int], number: int, first_event: int, t0_us: int | None
) -> tuple[typing.Any, ...]: ...
def encode_spikes(
    events: typing.Any, encoding: typing.Any, sensor: tuple[int, int], number: int, t0_us: int
) -> tuple[typing.Any, ...]: ...
def farthest_points(
    coordinates: typing.Annotated[numpy.typing.ArrayLike, numpy.int32], encoding: typing.Any
) -> numpy.typing.NDArray[numpy.int32]: ...
def group_points(
    coordinates: typing.Annotated[numpy.typing.ArrayLike, numpy.int32], encoding: typing.Any, number: int
) -> tuple[typing.Any, ...]: ...
def nearest_neighbours(
    coordinates: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
    centroids: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
    encoding: typing.Any,
) -> numpy.typing.NDArray[numpy.int32]: ...
