"""The chain with a thread that reads: the decisions and counters of the caller's thread, and no loss without a name."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn import _native
from edgesnn.errors import RecordingError
from tests.property.streams import Stream, streams
from tests.property.test_pipeline import ENCODING, ENCODINGS, check_identity, cut_lists, goes_on, make_chain, run

POLICIES = st.sampled_from(["drop_oldest", "decimate"])
LEAST_ROOM = 1 << 10


def make_threaded(stream: Stream, strict: bool, encoding: Any, when_full: str, events: int = 1 << 20) -> Any:
    chain = make_chain(encoding, stream.format, strict, goes_on(encoding))
    return _native.pipeline.ThreadedChain(chain, when_full, events, 3)


def to_the_end(chain: Any) -> tuple[list[Any], str]:
    """Return the decisions until the end and the error's text; the identity of the counters holds at every one."""
    found: list[Any] = []
    try:
        while not chain.ended:
            result = chain.poll(50)
            if result is not None:
                found.append(result[:3])
            check_identity(chain)
    except RecordingError as error:
        return found, str(error)
    return found, ""


def same_counters(threaded: Any, expected: dict[str, int]) -> None:
    counters = threaded.counters()
    assert {name: counters[name] for name in expected} == expected


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
    return [data[start:stop] for start, stop in itertools.pairwise(edges)]


@settings(max_examples=200)
@given(streams(), cut_lists, st.booleans(), ENCODINGS, POLICIES)
def test_pushes_in_any_split_decide_as_the_callers_thread(
    stream: Stream, cuts: list[int], strict: bool, encoding: Any, when_full: str
) -> None:
    decisions, counters, message = run(stream, [], strict, encoding)
    chain = make_threaded(stream, strict, encoding, when_full)
    for piece in pieces(stream.data, cuts):
        chain.push_bytes(piece)
        check_identity(chain)
    chain.finish()
    assert to_the_end(chain) == (decisions, message)
    if not message:
        same_counters(chain, counters)


@settings(max_examples=60)
@given(streams(), cut_lists, st.booleans(), ENCODINGS)
def test_a_pipe_read_by_a_thread_decides_as_the_callers_thread(
    stream: Stream, cuts: list[int], strict: bool, encoding: Any
) -> None:
    decisions, counters, message = run(stream, [], strict, encoding)
    chain = make_threaded(stream, strict, encoding, "block", LEAST_ROOM)
    reader, writer = os.pipe()
    chain.read(reader, True, "pipe")
    os.close(reader)

    def write() -> None:
        with os.fdopen(writer, "wb", buffering=0) as file:
            for piece in pieces(stream.data, cuts):
                try:
                    file.write(piece)
                except BrokenPipeError:  # a strict reader that has failed has gone
                    return

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert to_the_end(chain) == (decisions, message)
    finally:
        chain.close()
        thread.join()
    if not message:
        same_counters(chain, counters)


@settings(max_examples=60)
@given(streams(), cut_lists, ENCODINGS, st.booleans())
def test_snapshots_go_from_either_mode_to_the_other(
    stream: Stream, cuts: list[int], encoding: Any, to_threads: bool
) -> None:
    whole, counters, _ = run(stream, [], False, encoding)
    found: list[Any] = []
    chain: Any = make_chain(encoding, stream.format, False, goes_on(encoding))
    for piece in pieces(stream.data, cuts):
        chain.push_bytes(piece)
        result = chain.poll()
        found += [] if result is None else [result[:3]]
        state = chain.save()
        to_threads = not to_threads
        if to_threads:
            chain = make_threaded(stream, False, encoding, "drop_oldest")
        else:
            chain = make_chain(encoding, stream.format, False, goes_on(encoding))
        chain.load(state)
        check_identity(chain)
    chain.finish()
    while (result := chain.poll()) is not None:
        found.append(result[:3])
    assert found == whole
    after = chain.counters()
    assert {name: after[name] for name in counters} == counters


@settings(max_examples=60)
@given(streams(("evt3", "evt2")), st.integers(1, 300), POLICIES)
def test_a_stalled_consumer_loses_nothing_without_a_name(stream: Stream, size: int, when_full: str) -> None:
    """The decoder sees every byte, whatever is dropped behind it: its counters are those of the whole stream."""
    _, whole, _ = run(stream, [], False, ENCODING)
    chain = make_threaded(stream, False, ENCODING, when_full, LEAST_ROOM)
    for start in range(0, len(stream.data), size):
        chain.push_bytes(stream.data[start : start + size])
        check_identity(chain)
    chain.finish()
    to_the_end(chain)
    counters = chain.counters()
    assert counters["pending"] == 0
    assert counters["events_in"] == whole["events_in"]
    for name in whole:
        if name.startswith("decoder."):
            assert counters[name] == whole[name]
