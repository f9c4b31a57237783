"""What a session's calls take, by the model's input kind: checked, and made contiguous and aligned, before anything
changes."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgesnn.encode.points import GRID, PointWindow
from edgesnn.errors import ModelError, UsageError

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Active:
    """Spikes as indices: step t has indices[offsets[t] : offsets[t + 1]].

    Attributes:
        indices: uint32, into the C order of input.shape, ascending within a step; a repeated one adds up, or with
            input.value "binary" is one spike.
        offsets: int64 [T + 1].
    """

    indices: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def dense(self, shape: Sequence[int], bound: int) -> npt.NDArray[np.uint8]:
        """Return the counts as an array uint8 [T, ...]."""
        values = np.zeros((len(self), prod(shape)), dtype=np.int64)
        steps = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        np.add.at(values, (steps, self.indices), 1)
        return np.minimum(values, bound).astype(np.uint8).reshape(len(self), *shape)


class Inputs(Protocol):
    """Checks of one input kind. What they return has a length: the number of steps (of sessions for `many`).

    All raise ModelError for what the model does not take, and UsageError where x and active are both given or neither.
    """

    def step(self, x: Any, active: Any) -> Any:
        """Return the input of one step."""

    def run(self, xs: Any, active: Any) -> Any:
        """Return the input of many steps."""

    def many(self, xs: Any, active: Any, sessions: int) -> Any:
        """Return the inputs of one step of many sessions."""


def inputs(section: Mapping[str, Any]) -> Inputs:
    """Return the checks of an `input` section."""
    if section["kind"] == "points":
        return PointInputs(section)
    return TokenInputs(section) if section["kind"] == "tokens" else ArrayInputs(section)


class ArrayInputs:
    """Kinds dense and spikes: arrays [T, *shape], uint8 or float32; spikes also as `Active`."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._shape = tuple(section["shape"])
        self._real = section["value"] == "float32"
        self._bound = int(section["bound"])
        self._size = prod(self._shape)
        self._spikes = section["kind"] == "spikes"
        self._binary = section["value"] == "binary"

    def step(self, x: Any, active: Any) -> Array | Active:
        """See `Inputs.step`."""
        if active is None:
            return self._array(_one_of(x, active), "")[np.newaxis]
        _one_of(x, active)
        indices = self._indices(active)
        return self._active(indices, np.array([0, len(indices)], dtype=np.int64))

    def run(self, xs: Any, active: Any) -> Array | Active:
        """See `Inputs.run`."""
        return self._array(_one_of(xs, active), "T, ") if active is None else self._pair(xs, active)

    def many(self, xs: Any, active: Any, sessions: int) -> Array | Active:
        """See `Inputs.many`."""
        made = self._array(_one_of(xs, active), "sessions, ") if active is None else self._pair(xs, active)
        _check_count(len(made), sessions)
        return made

    def _array(self, x: Any, lead: str) -> Array:
        array = _array_of(x)
        axes = 1 if lead else 0
        if array.ndim != len(self._shape) + axes or array.shape[axes:] != self._shape:
            wanted = f"[{lead}{', '.join(map(str, self._shape))}]"
            raise ModelError("input has another shape", found=str(list(array.shape)), expected=wanted)
        if self._real:
            return self._floats(array)
        low_high = (array.min(), array.max()) if array.size and array.dtype.kind in "iub" else (0, 0)
        if array.dtype.kind not in "iub" or not 0 <= low_high[0] <= low_high[1] <= self._bound:
            raise ModelError("input is not small integers", expected=f"integers from 0 to {self._bound}")
        return np.ascontiguousarray(array, dtype=np.uint8)

    def _floats(self, array: Array) -> Array:
        if array.dtype.kind not in "fiu":
            raise ModelError("input is not numbers", found=str(array.dtype), expected="float32")
        with np.errstate(over="ignore"):
            array = np.require(array, np.float32, ["C", "A"])
        if not np.isfinite(array).all():
            raise ModelError("input has values that are not numbers", found="NaN or infinity", expected="float32")
        return array

    def _pair(self, x: Any, active: Any) -> Active:
        _one_of(x, active)
        if not isinstance(active, (tuple, list)) or len(active) != 2:
            raise ModelError("active is not indices and offsets", found=type(active).__name__, expected="a pair")
        indices, offsets = self._indices(active[0]), _array_of(active[1])
        if offsets.dtype.kind not in "iu" or offsets.ndim != 1 or offsets.size == 0:
            found = f"{offsets.dtype} {list(offsets.shape)}"
            raise ModelError("offsets are not one more than the steps", found=found, expected="integers [T + 1]")
        offsets = offsets.astype(np.int64)
        if offsets[0] != 0 or offsets[-1] != len(indices) or (np.diff(offsets) < 0).any():
            raise ModelError("offsets do not cover the indices", expected=f"ascending from 0 to {len(indices)}")
        return self._active(indices, offsets)

    def _indices(self, values: Any) -> Array:
        if not self._spikes:
            raise ModelError("model takes no spikes as indices", expected="an array: its input is of kind 'dense'")
        array = _array_of(values)
        array = array.astype(np.uint32) if array.size == 0 and array.ndim == 1 else array
        if array.dtype.kind not in "iu" or array.ndim != 1:
            found = f"{array.dtype} {list(array.shape)}"
            raise ModelError("indices are not a list of integers", found=found, expected="uint32 [n]")
        if array.size and (array.max() >= self._size or (array.dtype.kind == "i" and array.min() < 0)):
            found = f"{array.min()} to {array.max()}"
            raise ModelError("index is out of range", found=found, expected=f"0 to {self._size - 1}")
        return np.require(array, np.uint32, ["C", "A"])

    def _active(self, indices: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64]) -> Active:
        falls = indices[1:] < indices[:-1]
        if falls.any():
            falls[offsets[1:-1][(offsets[1:-1] > 0) & (offsets[1:-1] < len(indices))] - 1] = False  # between two steps
            if falls.any():
                raise ModelError("indices are not ascending", expected="ascending within a step: sums depend on it")
        if not self._binary and len(indices) > self._bound:
            self._check_repeats(indices, offsets)
        return Active(indices, offsets)

    def _check_repeats(self, indices: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64]) -> None:
        """Refuse an index that stands more often in a step than the bound: it equals the one so many places on."""
        same = indices[self._bound :] == indices[: -self._bound]
        if same.any():
            steps = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
            if (same & (steps[self._bound :] == steps[: -self._bound])).any():
                raise ModelError("index stands too often in one step", expected=f"at most {self._bound} times")


class TokenInputs:
    """Kind tokens: int64 [T]."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._vocab = int(section["vocab"])

    def step(self, x: Any, active: Any) -> Array:
        """See `Inputs.step`."""
        try:
            token = operator.index(_only_x(x, active)) if not isinstance(x, (bool, np.bool_)) else None
        except TypeError:
            token = None
        if token is None:
            raise ModelError("input is not a token", found=type(x).__name__, expected="an integer")
        return self._checked(np.array([token], dtype=object))

    def run(self, xs: Any, active: Any) -> Array:
        """See `Inputs.run`."""
        array = _array_of(_only_x(xs, active))
        array = array.astype(np.int64) if array.size == 0 and array.ndim == 1 else array
        if array.dtype.kind not in "iu" or array.ndim != 1:
            found = f"{array.dtype} {list(array.shape)}"
            raise ModelError("input is not tokens", found=found, expected="integers [T]")
        return self._checked(array)

    def many(self, xs: Any, active: Any, sessions: int) -> Array:
        """See `Inputs.many`."""
        tokens = self.run(xs, active)
        _check_count(len(tokens), sessions)
        return tokens

    def _checked(self, tokens: Array) -> Array:
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < self._vocab:
            found = f"{tokens.min()} to {tokens.max()}"
            raise ModelError("token is out of range", found=found, expected=f"0 to {self._vocab - 1}")
        return np.require(tokens, np.int64, ["C", "A"])


class PointInputs:
    """Kind points: a window, again and again."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._section = section

    def step(self, x: Any, active: Any) -> list[PointWindow]:
        """See `Inputs.step`."""
        return [check_window(_only_x(x, active), self._section)]

    def run(self, xs: Any, active: Any) -> list[PointWindow]:
        """See `Inputs.run`."""
        return self.step(xs, active) * int(self._section["steps"])

    def many(self, xs: Any, active: Any, sessions: int) -> list[PointWindow]:
        """See `Inputs.many`."""
        windows = _only_x(xs, active)
        if not isinstance(windows, (list, tuple)):
            found = type(windows).__name__
            raise ModelError("input is not a list of windows", found=found, expected="a PointWindow a session")
        _check_count(len(windows), sessions)
        return [check_window(window, self._section) for window in windows]


def check_window(window: Any, section: Mapping[str, Any]) -> PointWindow:
    """Return an encoded window that is one that this model's input describes.

    Raises:
        ModelError: another type, other sizes, numbers off their range, or indices of points that do not exist.
    """
    if not isinstance(window, PointWindow):
        raise ModelError("input is not a window of points", found=type(window).__name__, expected="PointWindow")
    points, groups, neighbours = section["points"], section["groups"], section["neighbours"]
    arrays = (window.coordinates, window.centroids, window.members)
    if not all(isinstance(array, np.ndarray) and array.dtype.kind in "iu" for array in arrays):
        found = ", ".join(str(getattr(array, "dtype", type(array).__name__)) for array in arrays)
        raise ModelError("window's points and indices are not integers", found=found, expected="int32 arrays")
    found_shapes, wanted = tuple(array.shape for array in arrays), ((points, 4), (groups,), (groups, neighbours))
    if found_shapes != wanted:
        raise ModelError("window has other sizes than the model's input", found=str(found_shapes), expected=str(wanted))
    for indices in (window.centroids, window.members):
        if indices.min() < 0 or indices.max() >= points:
            raise ModelError("window has indices of points that do not exist", expected=f"0 to {points - 1}")
    if window.coordinates.min() < 0 or (window.coordinates.max(axis=0) > (GRID - 1, GRID - 1, GRID - 1, 1)).any():
        raise ModelError("window has points off the grid", expected=f"x, y, t from 0 to {GRID - 1}, polarity 0 or 1")
    if not isinstance(window.sd, (float, int, np.floating)) or not np.isfinite(window.sd) or window.sd < 0:
        raise ModelError("window's scale is not a number", found=repr(window.sd), expected="0 or more")
    if not isinstance(window.number, (int, np.integer)) or not 0 <= window.number < 1 << 63:
        raise ModelError("window's number is none", found=repr(window.number), expected="0 to 2^63 - 1")
    return window


def _array_of(values: Any) -> Array:
    """Return an array, the same one where it is one; lists of unequal lengths are none."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ModelError("input is not an array", found=str(error)[:120]) from None


def _one_of(x: Any, active: Any) -> Any:
    if (x is None) == (active is None):
        raise UsageError("input is given twice or not at all", expected="either an array or active=indices")
    return x


def _only_x(x: Any, active: Any) -> Any:
    if active is not None:
        raise ModelError("model takes no spikes as indices", where="active")
    return x


def _check_count(found: int, sessions: int) -> None:
    if found != sessions:
        raise ModelError("not one input a session", found=str(found), expected=str(sessions))
