"""The client by itself, without a broker."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time

import pytest

from edgesnn.broker_url import Broker
from edgesnn.mqtt import Client, Connected, Lost
from edgesnn.mqtt.client import MOST_BRIEF


def test_who_wakes_a_client_that_closes_writes_into_no_file_that_got_its_number(monkeypatch):
    client = Client(Broker("127.0.0.1", 9), client_id="a")
    closed: set[int] = set()
    written: list[int] = []
    wakers: list[threading.Thread] = []
    close, write = os.close, os.write

    def closing(number: int) -> None:
        closed.add(number)
        close(number)
        wakers.append(threading.Thread(target=client.wake))
        wakers[-1].start()
        wakers[-1].join(0.2)

    def writing(number: int, data: bytes) -> int:
        written.append(number)
        return write(number, data)

    monkeypatch.setattr(os, "close", closing)
    monkeypatch.setattr(os, "write", writing)
    client.close()
    monkeypatch.undo()
    for waker in wakers:
        waker.join(10)
        assert not waker.is_alive()
    assert len(closed) == 2
    assert closed.isdisjoint(written)


@pytest.mark.parametrize("closes", [True, False], ids=["closed", "reset"])
def test_only_a_broker_that_closes_again_and_again_is_rested_from(closes, monkeypatch):
    """A broker closes who lost a fight for a client id; a link that breaks resets the connection."""
    monkeypatch.setattr("edgesnn.mqtt.client.BACK_OFF_S", (0.01, 0.01))

    def serve(listener: socket.socket) -> None:
        for _ in range(MOST_BRIEF):
            with listener.accept()[0] as link:
                link.recv(100)
                link.sendall(b"\x20\x02\x00\x00")  # CONNACK of 3.1.1
                if not closes:
                    assert started.wait(20)
                    started.clear()
                    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    started = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        client = Client(Broker("127.0.0.1", listener.getsockname()[1]), client_id="a", protocol="3.1.1")
        client._delay_s = 0.01
        lost: list[str] = []
        deadline_s = time.monotonic() + 20
        while len(lost) < MOST_BRIEF and time.monotonic() < deadline_s:
            for event in client.poll(0.05):
                if isinstance(event, Connected):
                    started.set()
                elif isinstance(event, Lost):
                    lost.append(str(event.error))
        rests_s = client._attempt_at - time.monotonic()
        client.close()
        thread.join(20)
    assert len(lost) == MOST_BRIEF
    assert ("again and again" in lost[-1]) is closes, lost
    assert (rests_s > 10) is closes
