"""The client by itself, without a broker."""

from __future__ import annotations

import os
import threading

from edgesnn.broker_url import Broker
from edgesnn.mqtt import Client


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
