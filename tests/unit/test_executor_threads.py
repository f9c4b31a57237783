"""A session's threads share large work and change no bit: outputs of one large matrix, rows of many steps, tiles."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from bench.spikepoint_net import random_window
from edgesnn.graph import Builder, Document, Int4
from edgesnn.runtime import Model

ROOT = Path(__file__).parents[2]
LARGE = 1536
"""Inputs and outputs: more weights than the native core keeps for one thread."""


def matrix(number: str) -> Document:
    rng = np.random.default_rng(7)
    tensors: dict[str, Any] = {
        "scale": rng.normal(0, 0.01, LARGE).astype(np.float32),
        "bias": rng.normal(0, 1, LARGE).astype(np.float32),
    }
    attributes: dict[str, Any] = {"activations": "int8"}
    if number == "int8":
        tensors["weight"] = rng.integers(-127, 128, (LARGE, LARGE)).astype(np.int8)
    else:
        tensors["weight"] = Int4(rng.integers(-8, 8, (LARGE, LARGE)).astype(np.int8))
        tensors["multiplier"] = rng.integers(1, 256, (LARGE, LARGE // 64)).astype(np.uint8)
        attributes["group"] = 64
    b = Builder(input={"kind": "dense", "shape": [LARGE]})
    return b.document(outputs=[b.add("linear", "input", name="fc", attributes=attributes, tensors=tensors)])


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("number", ["int8", "int4"])
def test_threads_share_a_large_matrix_and_change_no_bit(number: str, threads: int) -> None:
    model = Model(matrix(number), backend="native")
    alone, shared = model.session(), model.session(threads=threads)
    xs = np.random.default_rng(threads).normal(size=(37, LARGE)).astype(np.float32)
    for x in xs[:3]:
        assert np.array_equal(alone.step(x), shared.step(x))
        assert alone.layers == shared.layers
    assert np.array_equal(alone.run(xs), shared.run(xs))
    assert alone.layers == shared.layers


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_share_the_tiles_of_a_window_and_change_no_bit(threads: int) -> None:
    model = edgesnn.load("gestures", backend="native")
    alone, shared = model.session(record=["vote"]), model.session(record=["vote"], threads=threads)
    for number in range(3):
        window = random_window(model.document, number=number, seed=number)
        assert np.array_equal(alone.run(window), shared.run(window))
        assert alone.layers == shared.layers
        assert alone.snapshot() == shared.snapshot()


FORK = """
import os, sys
import numpy as np
from edgesnn.runtime import Model
from tests.unit.test_executor_threads import LARGE, matrix
session = Model(matrix("int8"), backend="native").session(threads=3)
xs = np.random.default_rng(0).normal(size=(20, LARGE)).astype(np.float32)
expected = session.run(xs)
if os.fork() == 0:
    same = np.array_equal(session.run(xs), expected) and np.array_equal(session.step(xs[0]), expected[0])
    del session
    sys.exit(0 if same else 3)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]) or 0 if np.array_equal(session.run(xs), expected) else 4)
"""


def test_a_forked_process_does_the_work_of_the_threads_that_it_lacks() -> None:
    """It waited for them for ever, in a call and at its end."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0


def test_sessions_that_count_beside_one_that_does_not_count_all_their_work() -> None:
    b = Builder(input={"kind": "dense", "shape": [3], "value": "int", "bound": 1})
    ones = {"weight": np.ones((4, 3), np.int8), "scale": np.ones(4, np.float32), "bias": np.zeros(4, np.float32)}
    model = Model(
        b.document(outputs=[b.add("linear", "input", name="fc", attributes={"activations": "int"}, tensors=ones)]),
        backend="native",
    )
    sessions = [model.session(account=False), model.session(), model.session()]
    model.step_many(sessions, np.array([[1, 1, 1], [1, 1, 0], [0, 0, 0]], np.uint8))
    assert [session.synops for session in sessions] == [0, 8, 0]


def test_a_step_takes_numbers_of_the_other_byte_order_for_what_they_are() -> None:
    b = Builder(input={"kind": "dense", "shape": [3]})
    ones = {"weight": np.ones((4, 3), np.float32), "scale": np.ones(4, np.float32), "bias": np.zeros(4, np.float32)}
    x = b.add("linear", "input", name="fc", attributes={"activations": "float32"}, tensors=ones)
    session = Model(b.document(outputs=[x]), backend="native").session()
    assert session.step(np.array([1, 2, 3], ">f4")).tolist() == [6.0] * 4
