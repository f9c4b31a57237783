"""Bags of ROS: topics, messages that are missing or no such, what only looks like a bag."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from tests.property.ros_files import PACKET, TOPIC, Packet, bag1, bag2, mcap, packets, serialized
from tests.property.ros_reference import decode_packets
from tests.property.streams import SENSOR
from tests.property.test_ros_packets import ENCODINGS, oracle

Bagger = Callable[..., bytes]

BAGS: dict[str, Bagger] = {"mcap": mcap, "rosbag1": bag1, "rosbag2": bag2}
SUFFIXES = {"mcap": ".mcap", "rosbag1": ".bag", "rosbag2": ".db3"}

KINDS = pytest.mark.parametrize("kind", BAGS)


def put(folder: Path, kind: str, some: list[Packet], **options: str) -> Path:
    path = folder / f"bag{SUFFIXES[kind]}"
    path.write_bytes(BAGS[kind](some, **options))
    return path


def mono(count: int = 6, seed: int = 0) -> list[Packet]:
    return packets("mono", np.random.default_rng(seed), count)


@KINDS
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_bag_of_every_encoding_equals_the_oracle(tmp_path: Path, kind: str, encoding: str) -> None:
    some = packets(encoding, np.random.default_rng(2), 30)
    recording = edgesnn.open(put(tmp_path, kind, some))
    expected = oracle(some)
    assert (recording.format, recording.sensor, recording.variant) == (kind, SENSOR, TOPIC)
    assert recording.fields["encoding"] == encoding
    assert recording.read().tolist() == expected.events
    assert recording.counters == expected.counters
    assert recording.t_end_us == expected.t_end_us
    assert recording.triggers().tolist() == expected.triggers
    assert recording.read_bytes <= recording.size_bytes


@KINDS
@pytest.mark.parametrize(
    ("encoding", "verified"), [("evt3", True), ("mono", False), ("libcaer_cmp", False), ("dvs", False)]
)
def test_an_encoding_without_a_real_file_is_unverified(
    tmp_path: Path, kind: str, encoding: str, verified: bool
) -> None:
    path = put(tmp_path, kind, packets(encoding, np.random.default_rng(2), 3))
    assert edgesnn.open(path).verified is (verified and edgesnn.events.registry.get(kind).verified)


@KINDS
def test_of_several_topics_one_is_chosen(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    left, right = mono(seed=1), mono(seed=2)
    path = put(tmp_path, kind, left, more={"/right/events": right})  # type: ignore[arg-type]
    with pytest.raises(edgesnn.RecordingError, match="more than one topic of events") as caught:
        edgesnn.open(path)
    for part in (str(path), TOPIC, "/right/events", "--topic"):
        assert part in str(caught.value)
    for topic, some in ((TOPIC, left), ("/right/events", right)):
        recording = edgesnn.open(path, topic=topic)
        assert recording.read().tolist() == decode_packets(some, SENSOR).events
    with pytest.raises(edgesnn.RecordingError, match="no such topic of events"):
        edgesnn.open(path, topic="/chatter")
    assert main(["info", str(path), "--topic", TOPIC, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["variant"] == TOPIC
    assert main(["info", str(path)]) == 3


@KINDS
def test_a_bag_without_events_says_what_it_has(tmp_path: Path, kind: str) -> None:
    with pytest.raises(edgesnn.RecordingError, match=r"no topic of events: found /chatter \(std_msgs/String\)"):
        edgesnn.open(put(tmp_path, kind, []))


def test_a_topic_of_what_is_no_bag_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t,x,y,p\n1,2,3,1\n2,2,3,1\n")
    with pytest.raises(edgesnn.UsageError, match="only bags have topics"):
        edgesnn.open(path, topic="/events")


@KINDS
@pytest.mark.parametrize("encoding", ["evt3", "mono"])
def test_missing_packets_are_counted_and_strict_goes_on(tmp_path: Path, kind: str, encoding: str) -> None:
    some = packets(encoding, np.random.default_rng(3), 20)
    some = [packet for packet in some if packet.seq not in (9, 10, 15)]
    recording = edgesnn.open(put(tmp_path, kind, some))
    recording.read()
    assert recording.counters["lost_packets"] == 3
    assert any("lost_packets 3" in warning for warning in recording.warnings)


@KINDS
def test_numbers_that_begin_anew_are_one_gap(tmp_path: Path, kind: str) -> None:
    some = mono(8)
    some[4:] = [Packet(p.encoding, p.data, seq, p.base_ns) for seq, p in enumerate(some[4:])]
    recording = edgesnn.open(put(tmp_path, kind, some))
    assert len(recording.read()) == 8 * 40
    assert recording.counters["lost_packets"] == 1


@KINDS
@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (Packet("evt3", b"", 11), "its encoding is 'evt3', not 'mono'"),
        (Packet("mono", b"", 11, 0, (64, 48)), "its size is 64x48, not 320x240"),
        (Packet("mono", bytes(7), 11), "its packet ends inside it"),
        (Packet("mono", bytes(8), 11, 1 << 63), "the time base of its packet is no time"),
    ],
)
def test_a_packet_unlike_the_others_is_refused(tmp_path: Path, kind: str, wrong: Packet, found: str) -> None:
    some = mono(8)
    path = put(tmp_path, kind, [*some[:4], wrong, *some[5:]])
    with pytest.raises(edgesnn.RecordingError, match=found) as caught:
        edgesnn.open(path).read()
    assert "message " in str(caught.value)
    assert "byte " in str(caught.value)
    skipping = edgesnn.open(path, on_corrupt="skip")
    assert len(skipping.read()) == 7 * 40
    assert skipping.counters["bad_words"] == 1


@KINDS
def test_an_encoding_that_is_not_read_is_named(tmp_path: Path, kind: str) -> None:
    path = put(tmp_path, kind, [Packet("trigger", bytes(8), 1)])
    with pytest.raises(edgesnn.RecordingError, match="found 'trigger', expected one of evt3, mono"):
        edgesnn.open(path)


@KINDS
def test_a_size_of_zero_asks_for_the_sensor(tmp_path: Path, kind: str) -> None:
    some = [Packet(p.encoding, p.data, p.seq, p.base_ns, (0, 0)) for p in mono()]
    path = put(tmp_path, kind, some)
    with pytest.raises(edgesnn.RecordingError, match=r"0x0.*pass --sensor"):
        edgesnn.open(path)
    assert len(edgesnn.open(path, sensor=SENSOR).read()) == 6 * 40


@KINDS
def test_a_damaged_first_message_does_not_decide(tmp_path: Path, kind: str) -> None:
    some = mono()
    some[0] = Packet("mono", some[0].data, some[0].seq, some[0].base_ns, (9, 9))
    path = put(tmp_path, kind, some)
    recording = edgesnn.open(path, on_corrupt="skip")
    assert recording.sensor == SENSOR
    assert len(recording.read()) == 5 * 40


def test_messages_packed_one_by_one_are_read(tmp_path: Path) -> None:
    path = put(tmp_path, "rosbag2", mono(), mode="message")
    assert edgesnn.open(path).read().tolist() == decode_packets(mono(), SENSOR).events


def test_a_large_message_lies_in_pages_of_its_own(tmp_path: Path) -> None:
    some = packets("mono", np.random.default_rng(5), 3, size=50_000)
    assert edgesnn.open(put(tmp_path, "rosbag2", some)).read().tolist() == decode_packets(some, SENSOR).events


def sqlite_file(path: Path, *statements: str) -> Path:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


TOPICS = "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT)"
MESSAGES = "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)"
ONE_TOPIC = f"INSERT INTO topics VALUES (1, '/e', '{PACKET}', 'cdr')"


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (("CREATE TABLE people(name TEXT)",), "an SQLite file that is no ROS 2 bag: found no table topics"),
        ((TOPICS, ONE_TOPIC), "found no table messages"),
        ((TOPICS, ONE_TOPIC, MESSAGES.replace("topic_id", "t")), "messages with columns id, t, timestamp, data"),
        (
            (
                TOPICS,
                ONE_TOPIC,
                "CREATE VIEW messages AS SELECT 1 id, 1 topic_id, 1 timestamp, zeroblob(1000000000) data",
            ),
            "found no table messages",
        ),
    ],
)
def test_what_only_looks_like_a_bag_is_refused(tmp_path: Path, statements: tuple[str, ...], found: str) -> None:
    with pytest.raises(edgesnn.RecordingError, match=found):
        edgesnn.open(sqlite_file(tmp_path / "a.db3", *statements))


@pytest.mark.parametrize("page_bytes", [512, 1024, 65536])
def test_pages_of_any_size(tmp_path: Path, page_bytes: int) -> None:
    path = sqlite_file(tmp_path / "a.db3", f"PRAGMA page_size = {page_bytes}", TOPICS, ONE_TOPIC, MESSAGES)
    some = packets("mono", np.random.default_rng(5), 300, size=400)
    connection = sqlite3.connect(path)
    rows = [(1, number, serialized(packet, 2)) for number, packet in enumerate(some)]
    connection.executemany("INSERT INTO messages(topic_id, timestamp, data) VALUES (?, ?, ?)", rows)
    connection.commit()
    connection.close()
    assert edgesnn.open(path).read().tolist() == decode_packets(some, SENSOR).events


@pytest.mark.parametrize("value", ["17", "'text'", f"zeroblob({(1 << 24) + 1})", "x'00010000'", "x'28b52ffd'"])
def test_a_row_that_holds_no_message_is_refused(tmp_path: Path, value: str) -> None:
    path = put(tmp_path, "rosbag2", mono())
    sqlite_file(path, f"INSERT INTO messages VALUES (100, 2, 0, {value})")
    with pytest.raises(edgesnn.RecordingError, match=r"byte \d+: .*message 100"):
        edgesnn.open(path).read()
    skipping = edgesnn.open(path, on_corrupt="skip")
    assert len(skipping.read()) == 6 * 40
    assert skipping.counters["bad_words"] == 1


def test_a_bag_whose_writer_died_says_where_its_last_messages_are(tmp_path: Path) -> None:
    path = put(tmp_path, "rosbag2", mono())
    Path(f"{path}-wal").write_bytes(b"log")
    with pytest.raises(edgesnn.RecordingError, match=r"its last messages are in bag\.db3-wal; open it once"):
        edgesnn.open(path).read()
    assert len(edgesnn.open(path, on_corrupt="skip").read()) == 6 * 40
