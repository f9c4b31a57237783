"""Live sources: the words of TCP, UNIX sockets and pipes, and headers before them."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.events.formats.base import DecoderOptions
from edgesnn.events.registry import get as get_format
from edgesnn.events.sources.framing import HeadedDecoder
from edgesnn.events.sources.live import LiveSource
from tests.live import encoded, made_up, read_events, wait_until

HOW = "format=evt3&sensor=640x480"
EVENTS = made_up(5_000)


# --- TCP and UNIX sockets ----------------------------------------------------------------------------------------


def test_a_tcp_source_connects_and_comes_back_when_the_server_does() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with edgesnn.open(f"tcp://127.0.0.1:{port}?{HOW}") as source:
            for turn in range(2):
                threading.Thread(target=_serve, args=(server, encoded(EVENTS))).start()
                got = read_events(source, len(EVENTS))
                assert np.array_equal(got[["x", "y", "p"]], EVENTS[["x", "y", "p"]])
                wait_until(source, lambda: source.state == "dead")
                assert source.counters["disconnections"] == turn + 1
            assert source.counters["connections"] == 2
            assert source.counters["bad_words"] == 0


@pytest.mark.parametrize("scheme", ["tcp", "unix"])
def test_a_lost_connection_is_made_again_soon_and_not_in_a_hurry(scheme: str, tmp_path: Path) -> None:
    family, place = (socket.AF_UNIX, f"{tmp_path}/s") if scheme == "unix" else (socket.AF_INET, ("127.0.0.1", 0))
    with socket.socket(family) as server:
        server.bind(place)
        server.listen()
        server.settimeout(0.01)
        at = f"unix:{place}" if scheme == "unix" else f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with edgesnn.open(f"{at}?{HOW}") as source:
            until_s, accepted = time.monotonic() + 1.0, 0
            while time.monotonic() < until_s:
                source.read(0.01)
                with contextlib.suppress(TimeoutError, socket.timeout):
                    server.accept()[0].close()
                    accepted += 1
    assert 3 <= accepted <= 11


def _serve(server: socket.socket, data: bytes, size: int = 777) -> None:
    connection, _ = server.accept()
    with connection:
        for at in range(0, len(data), size):
            connection.sendall(data[at : at + size])


def test_a_server_that_is_not_there_yet_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with edgesnn.open(f"tcp://127.0.0.1:{port}?{HOW}") as source:
        wait_until(source, lambda: source.counters["failed_connections"] > 1)
        assert source.state == "waiting"
        with socket.create_server(("127.0.0.1", port)) as server:
            threading.Thread(target=_serve, args=(server, encoded(EVENTS))).start()
            assert read_events(source, len(EVENTS)).tolist() == EVENTS.tolist()
    assert len([one for one in caplog.messages if "cannot connect yet" in one]) == 1


@pytest.mark.parametrize("scheme", ["tcp", "unix"])
def test_a_listening_source_takes_one_sender_after_the_other(scheme: str, tmp_path: Path) -> None:
    place = f"unix:{tmp_path}/s?listen" if scheme == "unix" else "tcp://127.0.0.1:0?listen"
    with edgesnn.open(f"{place}&{HOW}") as source:
        for turn in range(3):
            with _connected(source, tmp_path / "s") as one:
                one.sendall(encoded(EVENTS)[:-3])  # cut inside a word
            got = np.concatenate(wait_until(source, lambda turn=turn: source.counters["disconnections"] > turn))
            assert np.array_equal(got[["x", "y", "p"]], EVENTS[["x", "y", "p"]])
            assert source.state == "dead"
        counters = source.counters
    assert (counters["connections"], counters["disconnections"], counters["bad_words"]) == (3, 3, 0)
    assert counters["truncated_bytes"] == 3
    assert not (tmp_path / "s").exists()


def _connected(source: LiveSource, path: Path) -> socket.socket:
    if source.port is not None:
        return socket.create_connection(("127.0.0.1", source.port))
    one = socket.socket(socket.AF_UNIX)
    one.connect(str(path))
    return one


def test_a_silent_sender_makes_room_for_one_that_waits() -> None:
    with edgesnn.open(f"tcp://127.0.0.1:0?listen&{HOW}&dead_ms=100") as source:
        silent = socket.create_connection(("127.0.0.1", source.port))
        wait_until(source, lambda: source.counters["connections"] == 1)
        assert source.state == "quiet"
        with silent, socket.create_connection(("127.0.0.1", source.port)) as other:
            other.sendall(encoded(EVENTS))
            assert read_events(source, len(EVENTS)).tolist() == EVENTS.tolist()
        assert source.counters["connections"] == 2


def test_only_peers_may_connect() -> None:
    with edgesnn.open(f"tcp://127.0.0.1:0?listen&{HOW}&peers=127.0.0.2,127.0.0.3") as source:
        with socket.create_connection(("127.0.0.1", source.port)):
            wait_until(source, lambda: source.counters["refused_peers"] == 1)
        with socket.create_connection(("127.0.0.1", source.port), source_address=("127.0.0.3", 0)) as one:
            one.sendall(encoded(EVENTS))
            assert len(read_events(source, len(EVENTS))) == len(EVENTS)


def test_a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with edgesnn.open(f"unix:{path}?listen&{HOW}"):
        with pytest.raises(edgesnn.RecordingError, match="cannot listen"):
            edgesnn.open(f"unix:{path}?listen&{HOW}")
        assert path.exists()
    path.write_text("a file")
    with pytest.raises(edgesnn.RecordingError, match="cannot listen"):
        edgesnn.open(f"unix:{path}?listen&{HOW}")
    assert path.read_text() == "a file"


def test_a_quiet_connection_gives_time_without_events() -> None:
    url = f"tcp://127.0.0.1:0?listen&{HOW}&idle_close_ms=10"
    with edgesnn.open(url) as source, socket.create_connection(("127.0.0.1", source.port)) as one:
        one.sendall(encoded(EVENTS))
        read_events(source, len(EVENTS))
        packet = next(packet for packet in source if not len(packet.events))
        reached_us = packet.t_end_us
        later = next(packet for packet in source if packet.t_end_us > reached_us + 50_000)
        assert not len(later.events)
        wait_until(source, lambda: source.state == "quiet")


# --- pipes -------------------------------------------------------------------------------------------------------


def test_a_named_pipe_takes_one_writer_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with edgesnn.open(f"pipe:{path}?{HOW}") as source:
        for number in range(2):
            threading.Thread(target=path.write_bytes, args=(encoded(EVENTS),)).start()
            got = read_events(source, len(EVENTS))
            assert np.array_equal(got[["x", "y", "p"]], EVENTS[["x", "y", "p"]])
            wait_until(source, lambda: source.state == "dead")
            assert source.counters["connections"] == number + 1


def test_a_pipe_that_was_removed_and_made_again_is_found(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with edgesnn.open(f"pipe:{path}?{HOW}") as source:
        for _ in range(2):
            path.unlink()
            assert source.read(0.1) is None
            os.mkfifo(path)
            threading.Thread(target=path.write_bytes, args=(encoded(EVENTS),)).start()
            assert len(read_events(source, len(EVENTS))) == len(EVENTS)
            wait_until(source, lambda: source.state == "dead")


def test_a_pipe_that_is_read_once_ends_with_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with edgesnn.open(f"pipe:{path}?once&{HOW}") as source:
        threading.Thread(target=path.write_bytes, args=(encoded(EVENTS),)).start()
        got = np.concatenate([packet.events for packet in source])
        assert got.tolist() == EVENTS.tolist()
        assert source.state == "ended"


def test_what_is_no_pipe_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(edgesnn.RecordingError, match="not a named pipe"):
        edgesnn.open(f"pipe:{tmp_path}/file?{HOW}")
    with pytest.raises(edgesnn.RecordingError, match=r"cannot be opened: no such file.*mkfifo"):
        edgesnn.open(f"pipe:{tmp_path}/none?{HOW}")


@pytest.mark.parametrize("size", [1, 5, 100_000])
@pytest.mark.parametrize(("name", "suffix"), [("evt3", ".raw"), ("evt2", ".raw"), ("evt21", ".raw"), ("dat", ".dat")])
def test_a_recording_that_is_sent_with_its_header_says_its_sensor(
    name: str, suffix: str, size: int, tmp_path: Path
) -> None:
    events = EVENTS[:500]
    variant = {"variant": "legacy"} if name == "evt21" else {}
    edgesnn.write(tmp_path / f"a{suffix}", events, sensor=(640, 480), format=name, **variant)
    data = (tmp_path / f"a{suffix}").read_bytes()
    with edgesnn.open(f"tcp://127.0.0.1:0?listen&format={name}") as source:
        for turn in range(2):
            assert source.sensor == ((640, 480) if turn else None)
            with socket.create_connection(("127.0.0.1", source.port)) as one:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for at in range(0, len(data), size):
                    one.sendall(data[at : at + size])
            got = np.concatenate(wait_until(source, lambda turn=turn: source.counters["disconnections"] > turn))
            assert np.array_equal(got[["x", "y", "p"]], events[["x", "y", "p"]])
        assert (source.sensor, source.counters["bad_words"]) == ((640, 480), 0)


def test_what_only_begins_like_a_header_is_words() -> None:
    decoder = HeadedDecoder(get_format("evt3"), DecoderOptions((640, 480), "skip"))
    plain = get_format("evt3").decoder(DecoderOptions((640, 480), "skip"))
    words = b"% \x00" + encoded(EVENTS)[3:]
    parts = [decoder.feed(words[at : at + 700])[0] for at in range(0, len(words), 700)]
    assert np.concatenate(parts).tolist() == plain.feed(words)[0].tolist()


def test_a_header_that_does_not_end_is_dropped() -> None:
    with edgesnn.open("tcp://127.0.0.1:0?listen&format=evt3") as source:
        with socket.create_connection(("127.0.0.1", source.port)) as one:
            sending = threading.Thread(target=_send_until_it_breaks, args=(one, b"% a b\n" * 1000))
            sending.start()
            wait_until(source, lambda: source.counters["dropped_connections"] == 1)
            wait_until(source, lambda: source.state == "dead")
        sending.join(10.0)
        assert not sending.is_alive()


def _send_until_it_breaks(one: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            one.sendall(data)
