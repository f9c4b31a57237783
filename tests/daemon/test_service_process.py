"""What the service asks of the kernel: processors, real-time priority, locked memory; given, or refused loudly."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.brokers import KillableBroker
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
