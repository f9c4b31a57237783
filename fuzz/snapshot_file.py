"""Fuzz `Session.restore`: the bytes of a snapshot as they are, or edits of a good one's about and tensors.

A snapshot is refused with a ModelError and changes nothing, or the session goes on: native and reference alike.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np

from edgesnn.errors import ModelError
from edgesnn.graph import container
from edgesnn.runtime import Model, Session, snapshot
from fuzz.choices import Choices
from tests.small_graphs import integers, language, recurrent, with_resets

DOCUMENTS = (recurrent, language, integers)
SHAPES: tuple[tuple[int, ...], ...] = ((4, 2, 8, 6), (4,), (4, 20))
RESETS: tuple[tuple[dict[str, Any], ...], ...] = (
    ({"reset": "never"},),
    ({"reset": "window"},),
    ({"reset": "tokens", "tokens": 2}, {"reset": "window", "idle_ms": 5}, {"reset": "never"}, {"reset": "line"}),
)
VALUES = (0, 1, -1, 2, 3, 127, 255, 2**31 - 1, -(2**31), 2**62, 2**63 - 1, -(2**63), 0.5, -1e38, 3e38, np.nan, np.inf)


@cache
def _models(number: int) -> tuple[Model, Model]:
    """Return the models of a document and its reset policies: `number` counts the documents first."""
    document = with_resets(DOCUMENTS[number % len(DOCUMENTS)](), *RESETS[number // len(DOCUMENTS)])
    return Model(document, backend="native"), Model(document, backend="reference")


@cache
def _good(number: int) -> bytes:
    session = _models(number)[0].session()
    session.run(np.ones(SHAPES[number % len(SHAPES)], np.int64))
    return session.snapshot()


def one_input(data: bytes) -> None:
    """Restore a snapshot that the bytes describe."""
    choices = Choices(data)
    number = choices.below(len(DOCUMENTS) * len(RESETS))
    blob = choices.rest() if choices.byte() % 4 == 0 else _edited(choices, _good(number))
    shape, again = SHAPES[number % len(SHAPES)], choices.below(2) == 1
    answers = [_restored(model.session(), blob, shape, again) for model in _models(number)]
    np.testing.assert_array_equal(*answers)


def _restored(session: Session, blob: bytes, shape: tuple[int, ...], new_window: bool) -> Any:
    """Return what the session answers after the snapshot, in a new window or not; nothing where it was refused."""
    before = session.snapshot()
    try:
        session.restore(blob)
    except ModelError:
        assert session.snapshot() == before, "a refused snapshot changes the state"
        return np.zeros(0)
    if new_window:
        session.new_window()
    with np.errstate(all="ignore"):
        return session.run(np.ones(shape, np.int64))


def _edited(choices: Choices, good: bytes) -> bytes:
    metadata, arrays = container.parse(np.frombuffer(good, np.uint8), "good")
    about = json.loads(metadata[snapshot.KEY])
    tensors = {name: array.copy() for name, array in arrays.items()}
    for _ in range(1 + choices.below(3)):
        if choices.below(8) == 0:
            fields = ("version", "model", "sections", "more")
            about[fields[choices.below(4)]] = (None, 1, 2, "", ["session"], [], [1], "a" * 64)[choices.below(8)]
        else:
            _edit_tensor(choices, tensors)
    header, blobs = container.encode(tensors, {snapshot.KEY: json.dumps(about)})
    return b"".join([header, *blobs])


def _edit_tensor(choices: Choices, tensors: dict[str, Any]) -> None:
    names = list(tensors)
    if not names:
        return
    name = names[choices.below(len(names))]
    array, action = tensors[name], choices.below(6)
    with np.errstate(all="ignore"):
        if action == 0:
            del tensors[name]
        elif action == 1:
            tensors["session/" + ("more", "step", "fc.v")[choices.below(3)]] = array
        elif action == 2:
            tensors[name] = array.reshape(-1)[: choices.below(array.size + 1)]
        elif action == 3:
            tensors[name] = array.astype(("f4", "f8", "i4", "i8", "u1")[choices.below(5)])
        elif array.size:
            value = VALUES[choices.below(len(VALUES))]
            made = np.array(value if array.dtype.kind == "f" or value == value else 0)
            made = made.astype(array.dtype) if abs(float(made)) < np.inf or array.dtype.kind == "f" else made * 0
            array.reshape(-1)[choices.number() % array.size :: 1 + choices.below(3)] = made.astype(array.dtype)
