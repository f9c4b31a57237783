"""AEDAT4 over a connection: the header says the sensor; what cannot be read is dropped and asked for again."""

from __future__ import annotations

import socket
import threading

import numpy as np
import pytest

import edgesnn
from edgesnn.events.types import EVENT
from tests.live import made_up, read_events, wait_until
from tests.property.aedat_files import aedat4

MAGIC_BYTES = 14  # of a file, before the IOHeader
SENSOR = (320, 240)
EVENTS = made_up(20_000, sensor=SENSOR, start_us=1_700_000_000_000_000)


def sent(compression: str) -> bytes:
    header, data = aedat4(compression, EVENTS, SENSOR, packet=3_000)
    return header[MAGIC_BYTES:] + data


def serve(server: socket.socket, *streams: bytes) -> None:
    for stream in streams:
        connection, _ = server.accept()
        with connection:
            for at in range(0, len(stream), 999):
                connection.sendall(stream[at : at + 999])


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_a_server_that_comes_back_is_read_again(compression: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server, sent(compression), sent(compression))).start()
        with edgesnn.open(f"tcp://127.0.0.1:{server.getsockname()[1]}?format=aedat4") as source:
            assert (source.format, source.sensor) == ("aedat4", None)
            got = read_events(source, 2 * len(EVENTS))
            assert source.sensor == SENSOR
            counters = source.counters
    assert got[: len(EVENTS)].tolist() == EVENTS.tolist()
    assert np.array_equal(got[len(EVENTS) :][["x", "y", "p"]], EVENTS[["x", "y", "p"]])
    assert (counters["connections"], counters["bad_words"], counters["lost_packets"]) == (2, 0, 0)


def test_a_connection_that_is_none_of_ours_is_dropped_and_the_next_one_read(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server, b"HTTP/1.1 200 OK\r\n" * 100, sent("none"))).start()
        with edgesnn.open(f"tcp://127.0.0.1:{server.getsockname()[1]}?format=aedat4") as source:
            got = read_events(source, len(EVENTS))
            assert source.counters["dropped_connections"] == 1
    assert got.tolist() == EVENTS.tolist()
    assert any("the connection is dropped" in one for one in caplog.messages)


def test_a_listening_source_takes_it_too_and_a_port_of_datagrams_does_not() -> None:
    with edgesnn.open("tcp://127.0.0.1:0?listen&format=aedat4") as source:
        with socket.create_connection(("127.0.0.1", source.port)) as one:
            one.sendall(b"\xff" * 5_000)
            wait_until(source, lambda: source.counters["dropped_connections"] == 1)
        with socket.create_connection(("127.0.0.1", source.port)) as one:
            threading.Thread(target=one.sendall, args=(sent("none"),)).start()
            assert len(read_events(source, len(EVENTS))) == len(EVENTS)
    with pytest.raises(edgesnn.UsageError, match="not the format of a stream"):
        edgesnn.open("udp://127.0.0.1:0?format=aedat4")


def test_the_sensor_that_the_address_says_bounds_the_events() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server, sent("none"))).start()
        url = f"tcp://127.0.0.1:{server.getsockname()[1]}?format=aedat4&sensor=100x100"
        with edgesnn.open(url) as source:
            inside = EVENTS[(EVENTS["x"] < 100) & (EVENTS["y"] < 100)]
            got = read_events(source, len(inside))
            wait_until(source, lambda: source.state == "dead")
            assert source.counters["out_of_range"] == len(EVENTS) - len(inside)
    assert got.tolist() == inside.astype(EVENT).tolist()
