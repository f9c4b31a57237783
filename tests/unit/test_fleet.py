"""Nodes from what is retained, whoever wrote it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgesnn.cli import fleet as command
from edgesnn.publish.fleet import Node, nodes


def status(name: str, word: str, **more: Any) -> tuple[str, bytes]:
    record = {"schema": "edgesnn.status/1", "node": name, "status": word, "version": "1.2", "ts": "T", **more}
    return f"edgesnn/{name}/status", json.dumps(record).encode()


def health(name: str, word: str, **more: Any) -> tuple[str, bytes]:
    return f"edgesnn/{name}/health", json.dumps(
        {"schema": "edgesnn.health/1", "node": name, "health": word, **more}
    ).encode()


def test_status_and_health_are_one_node() -> None:
    model = {"name": "gestures", "sha256": "ab" * 32, "precision": "int8", "backend": "native"}
    streams = {"door": {"state": "live", "why": None, "model": model}}
    found = nodes(
        [health("b", "degraded", reasons=["no broker"], streams=streams), status("a", "stopped"), status("b", "online")]
    )
    assert [one.name for one in found] == ["a", "b"]
    assert (found[1].status, found[1].health, found[1].version) == ("online", "degraded", "1.2")
    assert found[1].reasons == ["no broker"]
    assert found[1].streams["door"] == {
        "state": "live",
        "model": "gestures",
        "why": None,
        **{k: model[k] for k in ("sha256", "precision", "backend")},
    }
    assert not found[0].well
    assert not found[1].well


def test_the_health_of_a_service_that_died_is_not_told() -> None:
    (found,) = nodes([status("a", "offline"), health("a", "ok", streams={"s": {"state": "live"}})])
    assert (found.health, found.streams, found.well) == (None, {}, False)


def test_what_was_taken_away_is_no_node() -> None:
    assert nodes([("edgesnn/a/status", b"")]) == []


def test_another_node_s_record_and_other_schemas_are_unreadable() -> None:
    (found,) = nodes([("edgesnn/a/status", status("b", "online")[1]), ("edgesnn/a/health", b"[1]")])
    assert found.unreadable == ["status", "health"]
    assert (found.status, found.health) == ("unknown", None)


WORD = st.text(max_size=5)
LEAF = st.none() | st.booleans() | st.integers(-2, 2) | WORD
JSON = (
    LEAF
    | st.lists(LEAF, max_size=2)
    | st.dictionaries(WORD, LEAF | st.dictionaries(WORD, LEAF, max_size=2), max_size=2)
)
FIELDS = st.dictionaries(
    st.sampled_from(["status", "version", "ts", "note", "health", "reasons", "streams", "boot_id"]), JSON, max_size=4
)


@given(st.lists(st.tuples(st.sampled_from(["status", "health"]), st.binary(max_size=60) | FIELDS), max_size=4))
def test_whatever_anybody_wrote_is_read_and_said(written: list[tuple[str, Any]]) -> None:
    messages = []
    for kind, what in written:
        record = (
            what
            if isinstance(what, bytes)
            else json.dumps({"schema": f"edgesnn.{kind}/1", "node": "n", **what}).encode()
        )
        messages.append((f"edgesnn/n/{kind}", record))
    for node in nodes(messages):
        for line in command._lines(node):
            assert line.isprintable()
        json.dumps(node.__dict__)


def test_a_stream_s_line_says_what_is_known_and_why_it_is_not_well() -> None:
    model = {"name": "gestures", "sha256": "ab" * 32, "precision": "int8", "backend": "native"}
    streams = {
        "door": {"state": "restarting", "why": "camera: \x1b[2Jno such device", "model": model},
        "yard": {"state": "live", "why": None, "model": {"name": "gestures"}},
        "bare": {"state": "failed"},
        "odd": {"state": 3},
    }
    (node,) = nodes([status("a", "online"), health("a", "ok", streams=streams)])
    assert command._lines(node)[1:] == [
        "    door  restarting  gestures int8 abababababab native",
        "      ! camera: \ufffd[2Jno such device",
        "    yard  live  gestures",
        "    bare  failed  no model",
        "    odd  no state  no model",
    ]


def test_the_sum() -> None:
    found = [Node("a", "online", "1"), Node("b", "online", "2", health="degraded"), Node("c", "offline", "1")]
    assert command._sum(found) == "3 nodes: 1 online, 1 degraded, 1 offline; versions 1 (1), 2 (1)"
    assert command._sum([]).startswith("no nodes")
