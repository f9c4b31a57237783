"""A worker that dies, hangs, floods memory or babbles is an error of the caller's, with what is known of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from edgesnn.hdf5 import Job, JobError, process, server

MODULE = "tests.hdf5_jobs"


def job(do: str, **options: Any) -> Job:
    return Job(MODULE, {"do": do}, **options)


def failure(do: str, **options: Any) -> JobError:
    with pytest.raises(JobError) as caught:
        list(job(do, **options))
    return caught.value


def gone(pid: int) -> bool:
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_messages_and_arrays_come_as_they_were_sent() -> None:
    for number, (message, arrays) in enumerate(job("echo")):
        assert message["number"] == number
        assert [array.tolist() for array in arrays] == [list(range(number)), float(number), [[], []], [["a", "bc"]]]
        assert [array.dtype.kind for array in arrays] == ["i", "f", "u", "U"]


def test_each_job_has_a_worker_of_its_own_and_two_run_side_by_side() -> None:
    pairs = list(zip(job("echo"), job("echo"), strict=True))
    pids = {message["pid"] for pair in pairs for message, _ in pair}
    assert len(pairs) == 3
    assert len(pids) == 2
    assert os.getpid() not in pids


def pids(do: str = "echo", **options: Any) -> set[int]:
    return {message["pid"] for message, _ in job(do, **options)}


def test_jobs_on_one_file_one_after_another_share_a_worker_and_no_others_do() -> None:
    first = pids(file="a")
    assert [pids(file="a"), pids(file="a")] == [first, first]
    assert pids() != first
    assert pids(file="b") != first
    assert all(gone(pid) for pid in first)
    busy = job("hang", file="c")
    assert {next(iter(busy))[0]["pid"]}.isdisjoint(pids(file="c"))


@pytest.mark.parametrize("do", ["refuse", "crash", "crash_inside_a_message", "need", "hang"])
def test_a_worker_that_did_not_come_to_its_end_is_not_used_again(do: str) -> None:
    before = pids(file="a")
    going_wrong = iter(job(do, file="a", timeout_s=0.2))
    with pytest.raises(JobError):
        list(going_wrong)
    assert all(gone(pid) for pid in before)
    assert pids(file="a") != before


def test_a_job_that_is_let_go_of_ends_its_worker_and_the_next_has_another() -> None:
    first = pids(file="a")
    hanging = job("hang", file="a")
    assert next(iter(hanging))[0]["pid"] in first
    del hanging
    assert pids(file="a") != first
    assert all(gone(pid) for pid in first)


def test_the_next_job_is_done_whenever_the_one_before_it_was_let_go_of() -> None:
    for number in range(40):
        letting_go = iter(job("echo", file="a"))
        for _ in range(number % 4):
            next(letting_go)
        time.sleep(number % 5 * 0.002)
        del letting_go
        assert len(list(job("echo", file="a"))) == 3


def test_a_worker_does_a_bounded_number_of_jobs() -> None:
    each = [next(iter(pids(file="a"))) for _ in range(130)]
    assert len(set(each)) >= 3
    assert max(each.count(pid) for pid in set(each)) == server._MOST_JOBS


def test_a_worker_that_is_asked_for_nothing_ends() -> None:
    assert all(gone(pid) for pid in pids(file="a"))


@pytest.mark.parametrize(
    ("do", "kind", "text"),
    [
        ("refuse", "refused", "it is green"),
        ("crash", "died", "signal 11"),
        ("crash_inside_a_message", "died", "exit code 7"),
        ("flood", "refused", "MemoryError"),
        ("babble", "died", ""),
        ("lie", "died", ""),
        ("need", "missing", "no_such_package"),
    ],
)
def test_what_goes_wrong_is_said(do: str, kind: str, text: str) -> None:
    error = failure(do, memory_bytes=1 << 28)
    assert error.kind == kind
    assert text in error.text
    assert error.what


def test_a_worker_that_hangs_is_ended() -> None:
    hanging = iter(job("hang", timeout_s=0.5))
    pid = next(hanging)[0]["pid"]
    with pytest.raises(JobError) as caught:
        next(hanging)
    assert caught.value.kind == "slow"
    assert gone(pid)


def test_a_worker_ends_when_its_job_is_let_go_of() -> None:
    hanging = job("hang")
    pid = next(iter(hanging))[0]["pid"]
    del hanging
    assert gone(pid)


def test_more_than_a_message_may_have_is_not_taken() -> None:
    assert failure("talk_too_much", most_bytes=1000).kind == "died"


def test_a_server_that_was_ended_is_replaced() -> None:
    list(job("echo"))
    server = process._server._process
    assert server is not None
    server.kill()
    server.wait()
    assert len(list(job("echo"))) == 3


def test_a_forked_child_has_a_server_of_its_own() -> None:
    list(job("echo"))
    child = os.fork()
    if child == 0:
        os._exit(0 if len(list(job("echo"))) == 3 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list(job("echo"))) == 3


def test_nothing_is_left_when_the_caller_ends() -> None:
    code = (
        "from edgesnn.hdf5 import Job, process\n"
        f"job = Job({MODULE!r}, {{'do': 'hang'}})\n"
        "print(next(iter(job))[0]['pid'], process._server._process.pid, flush=True)\n"
        "import os; os._exit(0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert all(gone(int(pid)) for pid in out.stdout.split())


def test_a_worker_that_is_being_ended_gets_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may say that it is done between its signal and its end: then the next job of its file needs another one."""
    control, caller = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    orders, its_orders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    (end, _), (_, status), (pipe, status_of_next) = os.pipe(), os.pipe(), os.pipe()
    served = server.Server(control)
    served._workers.append(server.Worker(0, end, orders, "a", status))
    ended, forked = [], []
    monkeypatch.setattr(os, "kill", lambda process, number: ended.append((process, number)))
    monkeypatch.setattr(served, "_fork", lambda pipe, status, order: forked.append(order["file"]))

    def turns() -> Iterator[set[int]]:
        yield {status}  # the caller has let go of its job
        its_orders.send(b"d")
        order = json.dumps({"module": MODULE, "file": "a"}).encode()
        socket.send_fds(caller, [order], [pipe, status_of_next])
        yield {orders.fileno(), control.fileno()}
        caller.close()
        yield {control.fileno()}

    turn = turns()
    monkeypatch.setattr(served, "_wait", lambda: next(turn))
    served.run()
    assert set(ended) == {(0, signal.SIGKILL)}
    assert forked == ["a"]
