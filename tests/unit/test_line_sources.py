"""Sources of lines: files once and followed, pipes, datagrams, and what cannot be opened."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgesnn.errors import PublishError, RecordingError, UsageError
from edgesnn.mqtt import Lost, Message
from edgesnn.tokens.lines import MOST_BYTES, JournalCutter, Line
from edgesnn.tokens.sources import mqtt
from edgesnn.tokens.sources.base import LineSource
from edgesnn.tokens.sources.file import FileLines, StdinLines
from edgesnn.tokens.sources.registry import open_lines
from edgesnn.tokens.sources.udp import UdpLines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo\r\nthr\xffee\x00\n")
    return path


@pytest.fixture
def followed(log: Path) -> Iterator[FileLines]:
    source = FileLines(str(log), follow=True)
    yield source
    source.close()


def all_lines(source: LineSource) -> list[Line]:
    lines: list[Line] = []
    while (more := source.read(0.0)) is not None:
        lines += more
    return lines


def until(source: LineSource, done: Callable[[list[bytes]], bool], limit_s: float = 10.0) -> list[bytes]:
    """Read until what came is enough."""
    found: list[bytes] = []
    end_s = time.monotonic() + limit_s
    while not done(found) and time.monotonic() < end_s:
        found += [line.data for line in source.read(0.05) or []]
    return found


def add(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)


def test_a_file_gives_its_lines_and_their_places(log: Path) -> None:
    add(log, b"last")
    source = FileLines(str(log))
    places = [4, 9, 17, 21]
    texts = [b"one", b"two", b"thr\xffee\x00", b"last"]
    assert all_lines(source) == [Line(text, "", (0, end)) for text, end in zip(texts, places, strict=True)]
    assert source.read(0.0) is None
    for end, rest in zip(places, [3, 2, 1, 0], strict=True):
        mark = source.mark((0, end))
        again = FileLines(str(log))
        assert mark is not None
        again.seek(mark)
        assert len(all_lines(again)) == rest


def test_a_place_in_another_file_is_its_start(log: Path) -> None:
    inode = log.stat().st_ino
    mark = FileLines(str(log)).mark((0, 4))
    assert mark is not None
    assert FileLines(str(log)).mark((1, 4)) is None
    for wrong in ((inode + 1, *mark[1:]), (inode, 10**6, mark[2]), (*mark[:2], mark[2] ^ 1)):
        source = FileLines(str(log))
        assert source.seek(wrong) is None
        assert len(all_lines(source)) == 3
        assert source.counters["rotations"] == 1


def test_a_file_that_was_written_anew_is_read_from_its_start(log: Path) -> None:
    mark = FileLines(str(log)).mark((0, 4))
    assert mark is not None
    with log.open("r+b") as same:
        same.write(b"new line of the same file\nmore\n")
    source = FileLines(str(log))
    source.seek(mark)
    assert all_lines(source)[0].data == b"new line of the same file"


def test_a_followed_file_goes_on_where_it_grows(log: Path, followed: FileLines) -> None:
    assert len(until(followed, lambda lines: len(lines) == 3)) == 3
    add(log, b"fo")
    assert followed.read(0.3) == []
    add(log, b"ur\nfive\n")
    assert until(followed, lambda lines: len(lines) == 2) == [b"four", b"five"]


def test_rotation_ends_the_old_file_and_begins_the_new(log: Path, followed: FileLines) -> None:
    until(followed, lambda lines: len(lines) == 3)
    log.rename(log.with_suffix(".1"))
    add(log.with_suffix(".1"), b"late\nopen")
    log.write_bytes(b"new\n")
    assert until(followed, lambda lines: len(lines) == 3) == [b"late", b"open", b"new"]
    assert followed.counters["rotations"] == 1
    (line,) = (add(log, b"x\n"), until_lines(followed))[1]
    assert line.place == (1, 6)


def until_lines(source: LineSource) -> list[Line]:
    end_s = time.monotonic() + 10
    while time.monotonic() < end_s:
        if lines := source.read(0.05):
            return lines
    return []


def test_truncation_begins_anew(log: Path, followed: FileLines) -> None:
    until(followed, lambda lines: len(lines) == 3)
    os.truncate(log, 0)
    assert followed.read(0.3) == []
    add(log, b"a\n")
    assert until(followed, bool) == [b"a"]
    assert followed.counters["truncations"] == 1
    assert followed.mark((0, 2)) is None


def test_going_back_leaves_out_what_was_begun(log: Path) -> None:
    source = FileLines(str(log), follow=True)
    with log.open("ab") as stream:
        stream.write(b"half")
    assert len(source.read(0.0) or []) == 3
    mark = source.mark((0, 4))
    assert source.seek(mark) == (0, 4)
    assert [line.place for line in source.read(0.0) or []] == [(0, 9), (0, 17)]
    assert source.seek(None) is None
    assert [line.place for line in source.read(0.0) or []] == [(0, 4), (0, 9), (0, 17)]


def test_a_log_that_vanishes_is_waited_for(log: Path, followed: FileLines, caplog: pytest.LogCaptureFixture) -> None:
    until(followed, lambda lines: len(lines) == 3)
    log.unlink()
    assert followed.read(0.3) == []
    assert followed.read(0.3) == []
    log.write_bytes(b"back\n")
    assert until(followed, bool) == [b"back"]
    assert (followed.counters["vanished"], followed.counters["rotations"]) == (1, 1)
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"{log}: the log is gone (no such file or directory); waiting for it",
        f"{log}: the log is back",
    ]


def test_a_name_that_becomes_a_folder_is_waited_for_too(log: Path, followed: FileLines) -> None:
    until(followed, lambda lines: len(lines) == 3)
    log.unlink()
    log.mkdir()
    assert followed.read(0.3) == []
    log.rmdir()
    log.write_bytes(b"back\n")
    assert until(followed, bool) == [b"back"]


def test_a_pipe_gives_lines_as_they_come_and_ends_with_its_writer() -> None:
    read, write = os.pipe()
    source = StdinLines(read)
    assert source.read(0.0) == []
    os.write(write, b"a\nb")
    assert source.read(1.0) == [Line(b"a")]
    os.close(write)
    assert source.read(1.0) == [Line(b"b")]
    assert source.read(0.0) is None
    os.close(read)


def test_a_standard_input_that_is_closed_or_breaks_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    for address in ("-", "journal:-"):
        with pytest.raises(RecordingError, match="standard input: cannot be read: found it is closed"):
            open_lines(address)
    folder = os.open("/", os.O_RDONLY)
    with pytest.raises(RecordingError, match="standard input: cannot be read: found Is a directory"):
        StdinLines(folder).read(1.0)
    os.close(folder)


def test_a_journal_is_piped_in(tmp_path: Path) -> None:
    path = tmp_path / "journal.export"
    path.write_bytes(b"_HOSTNAME=gate\nMESSAGE=ready\n\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n\n")
    lines = all_lines(open_lines(f"journal:{path}"))
    assert [(line.data, line.origin) for line in lines] == [(b"ready", "gate"), (b"a b", "")]
    source = open_lines(f"journal:{path}")
    assert lines[0].place is not None
    mark = source.mark(lines[0].place)
    assert mark is not None
    source.seek(mark)
    assert [line.data for line in all_lines(source)] == [b"a b"]
    read, write = os.pipe()
    os.write(write, path.read_bytes())
    os.close(write)
    assert [line.data for line in all_lines(StdinLines(read, cutter=JournalCutter()))] == [b"ready", b"a b"]
    os.close(read)


CURSOR = b"__CURSOR=s=6c8f0;i=%d;b=81fa1;m=1a90dea5;t=5c35036fb8c27;x=2ef1c9f4\n__REALTIME_TIMESTAMP=162212417080%d\n"
EXPORT = (  # as `journalctl -o export` writes: entries of fields, a blank line after each, binary values by length
    CURSOR % (1, 1) + b"__MONOTONIC_TIMESTAMP=445701797\n__SEQNUM=7942\n__SEQNUM_ID=6c8ff035\n_BOOT_ID=81fa1537eb76\n"
    b"PRIORITY=6\n_HOSTNAME=gate-7\nSYSLOG_IDENTIFIER=sshd\nMESSAGE=Accepted key for ann = yes\n_PID=812\n\n"
    # a message of four lines, one of them blank, after its length in eight bytes: it looks like fields and entries
    + CURSOR % (2, 2) + b"_HOSTNAME=gate-7\nMESSAGE\n\x1a\0\0\0\0\0\0\0Traceback:\n\nMESSAGE=a\n\tend\nPRIORITY=3\n\n"
    # a binary value of another field before the message; the host comes after it
    + CURSOR % (3, 3) + b"COREDUMP\n\x0b\0\0\0\0\0\0\0\0\xff\n\nMESSAGE\nMESSAGE=core \xff\n_HOSTNAME=pump\n\n"
    # no message; then an empty one in its binary form
    + CURSOR % (4, 4) + b"_HOSTNAME=gate-7\nPRIORITY=6\n\n"
    + CURSOR % (5, 5) + b"MESSAGE\n\0\0\0\0\0\0\0\0\n_HOSTNAME=gate-7\n\n"
)  # fmt: skip
MESSAGES = [
    (b"Accepted key for ann = yes", "gate-7"),
    (b"Traceback:  MESSAGE=a \tend", "gate-7"),
    (b"core \xff", "pump"),
    (b"", "gate-7"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 4096])
def test_a_journals_export_is_its_messages_in_any_pieces(size: int) -> None:
    cutter = JournalCutter()
    cuts = [cut for at in range(0, len(EXPORT), size) for cut in cutter.feed(EXPORT[at : at + size])]
    assert [(cut.data, cut.origin) for cut in cuts] == MESSAGES
    assert cutter.finish() == []
    assert cutter.counters == {"lines_cut": 0, "bytes_cut": 0, "bad_fields": 0}
    for cut, (data, origin) in zip(cuts, MESSAGES, strict=True):  # its end is where the next entry begins
        rest = JournalCutter().feed(EXPORT[cut.end :])
        assert [(one.data, one.origin) for one in rest] == MESSAGES[MESSAGES.index((data, origin)) + 1 :]


def test_a_journal_that_is_damaged_goes_on_with_the_next_entry() -> None:
    size = (1 << 40).to_bytes(8, "little")
    damaged = b"no field\nMESSAGE=one\n\nMESSAGE\n" + size + b"two\n\n" + EXPORT
    cutter = JournalCutter()
    assert [cut.data for cut in cutter.feed(damaged)] == [b"one", *(data for data, _ in MESSAGES)]
    assert cutter.counters["bad_fields"] == 3  # "no field", the length, "two"
    long = JournalCutter()
    value = b"x" * 200_000
    (cut,) = long.feed(b"MESSAGE\n" + len(value).to_bytes(8, "little") + value + b"\n_HOSTNAME=h\n\n")
    assert (len(cut.data), cut.origin) == (65_536, "h")
    assert long.counters == {"lines_cut": 1, "bytes_cut": 200_000 - 65_536, "bad_fields": 0}


class Broker:
    """A client with these events."""

    def __init__(self, *events: object) -> None:
        self._events = events

    def __call__(self, *_: object, **__: object) -> Broker:
        return self

    def open(self) -> None: ...

    def close(self) -> None: ...

    def subscribe(self, topic: str) -> None: ...

    def poll(self, wait_s: float) -> tuple[object, ...]:
        return self._events


def test_messages_before_a_refusal_are_given_and_long_lines_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Lost(PublishError("refused"), final=True)
    message = Message("gate", b"x" * (MOST_BYTES + 5) + b"\nshort\n", False)
    monkeypatch.setattr(mqtt, "Client", Broker(message, lost))
    source = mqtt.MqttLines("mqtt://host/gate")
    assert [len(line.data) for line in source.read(0.0)] == [MOST_BYTES, 5]
    assert (source.counters["lines_cut"], source.counters["bytes_cut"]) == (1, 5)
    for _ in range(2):
        with pytest.raises(PublishError, match="refused"):
            source.read(0.0)
    assert source.counters["messages"] == 1


def test_messages_and_datagrams_of_many_lines_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = b"\n" * 50_000
    monkeypatch.setattr(mqtt, "Client", Broker(Message("a", empty, False), Message("b", b"x", False)))
    source = mqtt.MqttLines("mqtt://host/gate")
    lengths, lines = [], 0
    while lines < 50_001:
        lengths.append(len(source.read(0.0)))
        lines += lengths[-1]
        assert source.coming == 50_001 - lines
    assert (lines, max(lengths)) == (50_001, 4096)
    assert source.counters["messages"] == 2
    listener = UdpLines("udp://127.0.0.1:0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(2):
            sender.sendto(empty, ("127.0.0.1", listener.port))
    lengths = []
    while sum(lengths) < 100_000:
        lengths.append(len(listener.read(5.0)))
    assert lengths == [50_000] * 2
    listener.close()


def test_datagrams_are_lines_of_their_sender() -> None:
    source = open_lines("udp://127.0.0.1:0")
    assert isinstance(source, UdpLines)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for data in (b"<34>one", b"two\nthree\n", b"\xff\x00\r\n"):
            sender.sendto(data, ("127.0.0.1", source.port))
        lines: list[Line] = []
        while len(lines) < 4:
            lines += source.read(1.0) or []
    assert lines == [Line(data, "127.0.0.1") for data in (b"<34>one", b"two", b"three", b"\xff\x00")]
    assert source.counters == {"datagrams": 3, "refused_peers": 0, "lost_packets": 0}
    source.close()


def test_a_flood_of_datagrams_is_counted_by_what_the_system_had_no_room_for() -> None:
    source = open_lines("udp://127.0.0.1:0")
    assert isinstance(source, UdpLines)
    source._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    sent, lines = 5_000, 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(sent):
            sender.sendto(b"x" * 99, ("127.0.0.1", source.port))
        while found := source.read(0.2):
            lines += len(found)
        sender.sendto(b"last", ("127.0.0.1", source.port))  # the next one says what went before it
        lines += len(source.read(5.0) or [])
    assert 0 < source.counters["lost_packets"] == sent + 1 - lines
    source.close()


def test_only_peers_may_send() -> None:
    source = open_lines("udp://127.0.0.1:0?peers=10.9.8.7")
    assert isinstance(source, UdpLines)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"one", ("127.0.0.1", source.port))
        assert source.read(1.0) == []
    assert source.counters["refused_peers"] == 1
    source.close()


WRONG = [
    ("missing.log", RecordingError, "missing.log: no log to read: found no such file or directory"),
    (".", RecordingError, "not a file of lines"),
    ("a\0b", RecordingError, "no log to read"),
    ("tcp://127.0.0.1:1", UsageError, "no such source of lines: found 'tcp', expected FILE, -, udp"),
    ("udp://127.0.0.1", UsageError, "no port"),
    ("udp://127.0.0.1:0?format=evt3", UsageError, "no option 'format'"),
    ("mqtt://127.0.0.1", UsageError, "not a topic of a broker"),
    ("mqtt://ann:word@127.0.0.1/x", UsageError, "a password does not belong in a URL"),
    ("journal:missing", RecordingError, "no log to read"),
]


@pytest.mark.parametrize(("address", "kind", "message"), WRONG)
def test_what_cannot_be_opened_is_one_clear_line(address: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        open_lines(address)


@pytest.mark.parametrize("address", ["-", "udp://127.0.0.1:0", "mqtt://127.0.0.1/x"])
def test_only_files_are_followed(address: str) -> None:
    with pytest.raises(UsageError, match="only files are followed"):
        open_lines(address, follow=True)
