"""The service's pages under attack: clients that are slow, many, long-winded or talk nonsense, and pages that fail."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from edgesnn.daemon import pages as module
from edgesnn.daemon.pages import Pages, as_json
from edgesnn.daemon.schema import Http
from tests.memory import resident_kib

REQUEST = b"GET /x HTTP/1.0\r\n\r\n"
LONGEST_S = 30.0


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    made = Pages(Http(port=0), {"/x": lambda: as_json(200, {}), "/fails": fails})
    yield made
    made.close()


def fails() -> module.Answer:
    raise ZeroDivisionError("of this page")


def connected(pages: Pages) -> socket.socket:
    return socket.create_connection(("127.0.0.1", pages.port), timeout=LONGEST_S)


def ask(pages: Pages, request: bytes = REQUEST) -> bytes:
    """Return what is answered; nothing where the connection is refused."""
    answer = b""
    with connected(pages) as asking:
        try:
            asking.sendall(request)
            while piece := asking.recv(1 << 16):
                answer += piece
        except OSError:
            pass
    return answer


def answers(pages: Pages) -> bool:
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        if ask(pages).startswith(b"HTTP/1.0 200"):
            return True
        time.sleep(0.05)
    return False


def server_threads() -> int:
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def test_slow_requests_keep_nobody_out_and_end(pages, monkeypatch):
    """Each byte comes in time, the request never does: more of them than there are places, all the time."""
    monkeypatch.setattr(module, "LONGEST_S", 1.0)
    slow = [connected(pages) for _ in range(3 * module.MOST)]
    over = threading.Event()

    def trickle() -> None:
        while not over.wait(0.1):
            for one in slow:
                with contextlib.suppress(OSError):
                    one.send(b"G")

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        assert answers(pages)
        deadline = time.monotonic() + LONGEST_S
        while server_threads() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server_threads() == 0
    finally:
        over.set()
        thread.join()
        for one in slow:
            one.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.0\r\n\r\n", 414),
        (b"GET /x HTTP/1.0\r\n" + b"A: " + b"x" * 100_000 + b"\r\n\r\n", 431),
        (b"GET /x HTTP/1.0\r\n" + b"A: b\r\n" * 10_000 + b"\r\n", 431),
        (b"POST /x HTTP/1.0\r\nContent-Length: 999999999\r\n\r\n", 501),
        (b"GET /x HTTP/9.9\r\n\r\n", 505),
        (b"GET /../../etc/passwd HTTP/1.0\r\n\r\n", 404),
        (b"GET /%00\xff\x1b[2J HTTP/1.0\r\n\r\n", 404),
        (b"\x16\x03\x01\x02\x00\x01\x00" + b"5eed" * 10 + b"\r\n\r\n", 400),
        (b"GET /x\r\n\r\n", None),
        (b"\r\n\r\n", None),
        (b"", None),
    ],
)
def test_a_request_that_is_none_is_refused_and_the_next_one_answered(pages, request_, status):
    with connected(pages) as asking:
        try:
            asking.sendall(request_)
            asking.shutdown(socket.SHUT_WR)
            head = asking.recv(999)
        except OSError:  # it has heard enough
            head = b""
    if status is not None and head:
        assert str(status).encode() in head
    assert answers(pages)


def test_thousands_of_requests_take_no_memory_threads_or_descriptors(pages):
    for _ in range(200):
        ask(pages)
    before = resident_kib(), len(os.listdir("/proc/self/fd"))
    for number in range(1500):
        if number % 3:
            connected(pages).close()
        else:
            ask(pages, b"GET /" + b"y" * (number * 40) + b" HTTP/1.0\r\n\r\n")
    assert answers(pages)
    assert resident_kib() - before[0] < 8 * 1024
    deadline = time.monotonic() + LONGEST_S
    while server_threads() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server_threads() == 0
    assert len(os.listdir("/proc/self/fd")) <= before[1] + 1


def test_a_page_that_fails_says_so_each_time_and_in_the_log_once(pages, caplog):
    for _ in range(3):
        connection = http.client.HTTPConnection("127.0.0.1", pages.port, timeout=LONGEST_S)
        connection.request("GET", "/fails?x")
        answer = connection.getresponse()
        assert answer.status == 500
        assert "the log says why" in json.loads(answer.read())["error"]
        connection.close()
    said = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in said] == [
        "page /fails failed: this is a fault of edgesnn: please report it"
    ]
    assert answers(pages)


def test_a_thread_that_cannot_be_started_costs_no_place(pages, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("socketserver.ThreadingMixIn.process_request", refuse)
    for _ in range(2 * module.MOST):
        assert ask(pages) == b""
    monkeypatch.undo()
    assert ask(pages).startswith(b"HTTP/1.0 200")


def test_without_descriptors_it_waits_and_does_not_turn(pages):
    """A connection that cannot be accepted stays there: asking for it without a pause would take a processor."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = socket.socket()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), before[1]))
        spare = _all_descriptors()
        waiting.connect(("127.0.0.1", pages.port))
        began_s, cpu_s = time.monotonic(), time.process_time()
        time.sleep(1.5)
        share = (time.process_time() - cpu_s) / (time.monotonic() - began_s)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for one in spare:
            os.close(one)
    assert share < 0.3
    waiting.close()
    assert answers(pages)


def _all_descriptors() -> list[int]:
    taken: list[int] = []
    while True:
        try:
            taken.append(os.dup(0))
        except OSError:
            return taken
