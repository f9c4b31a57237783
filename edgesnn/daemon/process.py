"""What the service asks of the kernel: processors, real-time priority of the streams' threads, memory that stays."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable

from edgesnn.daemon.schema import Process
from edgesnn.errors import ConfigError

_LOCK_NOW_AND_LATER = 1 | 2  # mlockall(2): MCL_CURRENT, MCL_FUTURE
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3): M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
_LARGE_BYTES = 4 << 20  # above the arrays of most windows, which are so not mapped anew for each


def check_process(process: Process) -> None:
    """Raise ConfigError where processors are not there or the priority is not permitted; nothing changes."""
    if process.cpus is not None:
        allowed = os.sched_getaffinity(0)
        if not set(process.cpus) <= allowed:
            expected = f"some of {', '.join(map(str, sorted(allowed)))}"
            raise ConfigError("no such processors", where="cpus", found=str(process.cpus), expected=expected)
    if process.fifo_priority is not None:
        _in_a_thread(lambda: set_priority(process))


def apply_process(process: Process) -> None:
    """Set the processors of all threads, those of libraries too, and lock the memory; called before others start.

    What takes 4 MB and more goes back to the kernel when it is freed: glibc would keep it after the first such block
    (mallopt(3), M_MMAP_THRESHOLD), and the largest burst of months would stay in memory.

    Raises:
        ConfigError: it is not permitted.
    """
    if process.cpus is not None:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), process.cpus)
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "mallopt"):  # musl has none, and keeps no large block
        libc.mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGE_BYTES)
    if process.lock_memory and libc.mlockall(_LOCK_NOW_AND_LATER) != 0:
        code = ctypes.get_errno()
        hint = "under systemd LimitMEMLOCK=infinity; else `ulimit -l`" if code in (errno.EPERM, errno.ENOMEM) else None
        raise ConfigError("memory cannot be locked", where="lock_memory", found=os.strerror(code), hint=hint)


def set_priority(process: Process) -> None:
    """Give the calling thread, and those that it starts, the priority that the configuration says.

    Raises:
        ConfigError: it is not permitted.
    """
    if process.fifo_priority is None:
        return
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(process.fifo_priority))
    except OSError as error:
        hint = "under systemd LimitRTPRIO=99; else CAP_SYS_NICE, or `ulimit -r`"
        what = "real-time priority is not permitted"
        raise ConfigError(what, where="fifo_priority", found=error.strerror, hint=hint) from None


def _in_a_thread(call: Callable[[], None]) -> None:
    """Call it in a thread that ends, and raise what it raised."""
    errors: list[ConfigError] = []

    def attempt() -> None:
        try:
            call()
        except ConfigError as error:
            errors.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
