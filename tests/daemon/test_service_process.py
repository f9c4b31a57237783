"""What the service asks of the kernel: processors, real-time priority, locked memory; given, or refused loudly."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.brokers import KillableBroker
from tests.daemon.faulty import text_of
from tests.daemon.test_service import RECORDING, Daemon, configuration, one_broker, run, stream, wait_for

__all__ = ["one_broker", "run"]  # fixtures


def process_of(broker: KillableBroker, key: str) -> str:
    more = f"[process]\n{key}\n[http]\nenabled = false\n"
    return configuration(broker, stream("door", f"replay:{RECORDING}?loop"), more=more)


def threads_of(daemon: Daemon) -> list[int]:
    return [int(name) for name in os.listdir(f"/proc/{daemon.process.pid}/task")]


def test_processors_are_those_of_the_configuration(one_broker, run):
    cpu = max(os.sched_getaffinity(0))
    daemon = run(process_of(one_broker, f"cpus = [{cpu}]"))
    wait_for(lambda: "as node gate-1" in daemon.log, what=daemon.log)
    threads = threads_of(daemon)
    assert len(threads) > 4
    assert {frozenset(os.sched_getaffinity(thread)) for thread in threads} == {frozenset({cpu})}
    assert daemon.end() == 0


def may_have_priority() -> bool:
    code = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(3))"
    return subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode == 0


def test_priority_is_given_to_who_reads_and_decides_or_refused_loudly(one_broker, run):
    daemon = run(process_of(one_broker, "fifo_priority = 3"))
    if not may_have_priority():
        assert daemon.process.wait(30) == 5
        refusal = r"line \d+: process: fifo_priority: real-time priority is not permitted: .*LimitRTPRIO"
        assert re.search(refusal, daemon.log)
        return
    wait_for(lambda: "as node gate-1" in daemon.log, what=daemon.log)
    wait_for(lambda: [os.sched_getscheduler(one) for one in threads_of(daemon)].count(os.SCHED_FIFO) == 2)
    assert os.sched_getscheduler(daemon.process.pid) == os.SCHED_OTHER
    assert daemon.end() == 0


def test_memory_is_locked_or_that_is_refused_loudly(one_broker, run):
    daemon = run(process_of(one_broker, "lock_memory = true"))
    wait_for(lambda: "as node gate-1" in daemon.log or daemon.process.poll() is not None)
    if daemon.process.poll() is not None:
        assert daemon.process.returncode == 5
        assert "lock_memory: memory cannot be locked: found " in daemon.log
        return
    locked = re.search(r"VmLck:\s+(\d+) kB", Path(f"/proc/{daemon.process.pid}/status").read_text())
    assert locked is not None
    assert int(locked[1]) > 10_000
    assert daemon.end() == 0


FREES = """
import ctypes
from edgesnn.daemon.process import apply_process
from edgesnn.daemon.schema import Process
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd u f used free keep".split()]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
apply_process(Process())
for _ in range(2):
    large = bytearray(20_000_000)
    print(libc.mallinfo2().hblkhd > 20_000_000)
    del large
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="the C library does not say what it maps")
def test_a_large_block_is_mapped_by_itself_also_after_one_was_freed():
    done = subprocess.run([sys.executable, "-c", FREES], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


TRIED = {
    "fifo_priority": "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(3))",
    "lock_memory": "sys.exit(ctypes.CDLL(None).mlockall(3))",
}


def forbidding() -> list[str]:
    """Return the words before a command that may neither set a priority nor lock memory, whoever runs it."""
    words = ["prlimit", "--rtprio=0:0", "--memlock=65536:65536"]
    if os.geteuid() == 0:
        words = ["setpriv", "--bounding-set=-sys_nice,-ipc_lock,-sys_resource", "--inh-caps=-all", *words]
    return words if all(shutil.which(word) for word in words if not word.startswith("-")) else []


def forbidden(key: str) -> bool:
    """Say whether the kernel refuses it to another program that is begun in this way."""
    command = [*forbidding(), sys.executable, "-c", f"import ctypes, os, sys; {TRIED[key]}"]
    return bool(forbidding()) and subprocess.run(command, capture_output=True).returncode != 0


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("fifo_priority", "3", "fifo_priority: real-time priority is not permitted: found .*LimitRTPRIO"),
        ("lock_memory", "true", "lock_memory: memory cannot be locked: found .*LimitMEMLOCK"),
        ("cpus", "[4095]", r"cpus: no such processors: found \[4095\], expected some of \d"),
    ],
)
def test_what_the_kernel_refuses_is_one_loud_line_and_nothing_starts(tmp_path, key, value, why):
    if key in TRIED and not forbidden(key):
        pytest.skip(
            f"{key} cannot be taken away here: it needs setpriv and prlimit of util-linux, and their permission"
        )
    path = tmp_path / "config.toml"
    path.write_text(
        text_of(stream("door", str(RECORDING)), more=f"[http]\nenabled = false\n[process]\n{key} = {value}\n")
    )
    command = [*(forbidding() if key in TRIED else []), sys.executable, "-m", "edgesnn", "run", "-c", str(path)]
    environment = {**os.environ, "STATE_DIRECTORY": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 5, done.stderr
    assert re.search(why, done.stderr), done.stderr
    assert "as node" not in done.stderr
    assert "Traceback" not in done.stderr
    assert [one.name for one in tmp_path.iterdir() if one != path] == []
