# Made by `make stubs` of a module built with pybind11 3.1.0. Not to be edited.
"""
Models and sessions (edgesnn/runtime is the public door).
"""

from __future__ import annotations

import collections.abc
import typing

import numpy
import numpy.typing

__all__: list[str] = ["Model", "Session", "arm", "arms", "operators"]

class Model:
    def __init__(self, source: dict[typing.Any, typing.Any]) -> None: ...

class Session:
    @staticmethod
    def step_many(
        sessions: collections.abc.Sequence[Session], xs: numpy.typing.NDArray[typing.Any]
    ) -> list[typing.Any]: ...
    @staticmethod
    def step_many_events(
        sessions: collections.abc.Sequence[Session],
        indices: typing.Annotated[numpy.typing.ArrayLike, numpy.uint32],
        offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    ) -> list[typing.Any]: ...
    def __init__(
        self,
        model: Model,
        outputs: collections.abc.Sequence[str],
        recorded: collections.abc.Sequence[str],
        account: bool,
        threads: int,
        active: str,
    ) -> None: ...
    def begin_window(self) -> None: ...
    def counters(self) -> list[typing.Any]: ...
    def quick_run(self, xs: typing.Any, active: typing.Any, keep: str) -> typing.Any: ...
    def quick_step(self, x: typing.Any, active: typing.Any, out: typing.Any) -> typing.Any: ...
    def reset(self) -> None: ...
    def run_array(self, xs: numpy.typing.NDArray[typing.Any], keep: str) -> list[typing.Any]: ...
    def run_events(
        self,
        indices: typing.Annotated[numpy.typing.ArrayLike, numpy.uint32],
        offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
        keep: str,
    ) -> list[typing.Any]: ...
    def run_points(self, window: typing.Any) -> list[typing.Any]: ...
    def states(self) -> dict[typing.Any, typing.Any]: ...
    def step_points(self, window: typing.Any) -> list[typing.Any]: ...
    @property
    def spikes(self) -> int: ...
    @property
    def step_number(self) -> int: ...
    @step_number.setter
    def step_number(self, arg1: int) -> None: ...
    @property
    def synops(self) -> int: ...

def arm() -> str:
    """
    Return the instruction-set arm in use.
    """

def arms() -> list[str]:
    """
    Return the arms that this machine can run.
    """

def operators() -> list[str]:
    """
    Return the names of the native operators.
    """
