"""Messages between the two sides of a job: a JSON document and arrays of numbers or texts.

A message is two little-endian u32 (bytes of the document, bytes of the arrays), the document, and the arrays' elements,
each array at a multiple of 16. The document is {"message": ..., "arrays": [[dtype, shape], ...]}. The caller's side
trusts none of it: sizes are bounded, types are numbers and texts.
"""

from __future__ import annotations

import json
import math
import os
import select
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_HEAD = struct.Struct("<II")
_ALIGN = 16
_MOST_DOCUMENT = 1 << 24


class WireError(Exception):
    """The other side said something that is no message; the text says what."""


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """A worker's answer: the file is not one that is read; the text says why."""


class Link:
    """The worker's side of a job."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def send(self, message: dict[str, Any], arrays: Sequence[Array] = ()) -> None:
        """Send one message; waits while the caller has not taken those before."""
        whole = [np.asarray(array, order="C") for array in arrays]
        shapes = [[array.dtype.str, list(array.shape)] for array in whole]
        document = json.dumps({"message": message, "arrays": shapes}).encode()
        self.write(_HEAD.pack(len(document), sum(map(_room, whole))) + document)
        for array in whole:
            if array.nbytes:
                self.write(array.reshape(-1).view(np.uint8).data)
                self.write(bytes(_room(array) - array.nbytes))

    def write(self, data: bytes | memoryview) -> None:
        """Write all of these bytes."""
        view = memoryview(data)
        while len(view):
            view = view[os.write(self._pipe, view) :]


def receive(pipe: int, most_bytes: int, timeout_s: float) -> tuple[dict[str, Any], list[Array]] | None:
    """Return the next message and its arrays; None: the other side has ended.

    Args:
        pipe: a descriptor that does not block.
        most_bytes: of the arrays.
        timeout_s: how long the other side may be silent.

    Raises:
        WireError: it is no message, cut, or its arrays have more than so many bytes.
        TimeoutError: the other side was silent for so long.
    """
    head = _take(pipe, _HEAD.size, timeout_s)
    if not len(head):
        return None
    if len(head) < _HEAD.size:
        raise WireError("a message is cut")
    document_bytes, array_bytes = _HEAD.unpack(head)
    if document_bytes > _MOST_DOCUMENT or array_bytes > most_bytes:
        raise WireError(f"a message of {document_bytes} and {array_bytes} bytes")
    document, data = _take(pipe, document_bytes, timeout_s), _take(pipe, array_bytes, timeout_s)
    if len(document) < document_bytes or len(data) < array_bytes:
        raise WireError("a message is cut")
    try:
        said = json.loads(document)
        return dict(said["message"]), _arrays(data, said["arrays"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WireError(f"no message: {error}") from None


def _arrays(data: bytearray, shapes: Any) -> list[Array]:
    arrays, at = [], 0
    for name, shape in shapes:
        dtype, count = np.dtype(str(name)), math.prod(shape)
        if dtype.kind not in "fiubU" or min(shape, default=0) < 0:
            raise WireError(f"an array of {dtype} {shape}")
        array = np.frombuffer(data, dtype, count, at) if count else np.zeros(0, dtype)
        arrays.append(array.reshape(shape))
        at += _room(array)
    return arrays


def _room(array: Array) -> int:
    return -(-array.nbytes // _ALIGN) * _ALIGN


def _take(pipe: int, count: int, timeout_s: float) -> bytearray:
    """Return so many bytes; fewer: the other side has ended."""
    data = bytearray(count)
    view = memoryview(data)
    while len(view):
        try:
            have = os.readv(pipe, [view])
        except BlockingIOError:
            poll = select.poll()
            poll.register(pipe, select.POLLIN)
            if not poll.poll(timeout_s * 1000):
                raise TimeoutError from None
            continue
        if not have:
            break
        view = view[have:]
    have = count - len(view)
    view.release()
    del data[have:]
    return data
