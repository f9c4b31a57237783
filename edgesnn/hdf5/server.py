"""The process in which HDF5 is read; run as a script by `process.py`, with the descriptor of its orders.

It imports h5py once and forks a worker for each order: {"module", "request", "memory_bytes"}, with two pipes, for the
job's messages and for how the worker ended. It ends, and its workers with it, when its
caller does.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import socket
import sys
from importlib import import_module
from typing import Any, NoReturn

_PRELOADED = ("numpy", "h5py", "hdf5plugin")


class Server:
    """The workers of one caller: a worker is known by the pipe that closes when it ends."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._workers: dict[int, tuple[int, int]] = {}  # that pipe -> (process, pipe of its status)
        self._watched: dict[int, int] = {}  # pipe of a status, while somebody reads it -> process

    def run(self) -> None:
        """Serve until the caller has ended."""
        while True:
            poll = select.poll()
            poll.register(self._control, select.POLLIN)
            for end in self._workers:
                poll.register(end, select.POLLIN)
            for status in self._watched:
                poll.register(status, 0)
            for descriptor, _ in poll.poll():
                if descriptor == self._control.fileno():
                    if not self._start():
                        return
                elif descriptor in self._workers:
                    self._ended(descriptor)
                elif descriptor in self._watched:
                    os.kill(self._watched.pop(descriptor), signal.SIGKILL)  # the caller has let go of it

    def stop(self) -> None:
        """End all workers."""
        for process, _ in self._workers.values():
            os.kill(process, signal.SIGKILL)

    def _start(self) -> bool:
        order, descriptors, _, _ = socket.recv_fds(self._control, 1 << 16, 2)
        if not order:
            return False
        pipe, status = descriptors
        order = json.loads(order)
        with contextlib.suppress(ImportError):
            import_module(order["module"])  # once, not in each worker
        end, theirs = os.pipe()
        process = os.fork()
        if process == 0:
            statuses = [other for _, other in self._workers.values()]
            for mine in (end, status, self._control.fileno(), *self._workers, *statuses):
                os.close(mine)
            work(pipe, order)
        os.close(pipe)
        os.close(theirs)
        self._workers[end] = process, status
        self._watched[status] = process
        return True

    def _ended(self, end: int) -> None:
        process, status = self._workers.pop(end)
        self._watched.pop(status, None)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        with contextlib.suppress(OSError):
            os.write(status, how.encode())
        os.close(status)
        os.close(end)


def work(pipe: int, order: dict[str, Any]) -> NoReturn:
    """Do one job and end this process."""
    from edgesnn.hdf5.wire import Link

    link, code = Link(pipe), 1
    try:
        _limit(order["memory_bytes"])
        try:
            import_module(order["module"]).work(link, order["request"])
            link.send({"end": True})
        except ModuleNotFoundError as error:
            link.send({"missing": error.name or str(error)})
        except Exception as error:  # of a file that libhdf5 takes for another than it is
            link.send({"refused": " ".join((str(error) or type(error).__name__).split())[:300]})
        code = 0
    except BaseException:  # the caller has gone
        pass
    finally:
        os._exit(code)


def _limit(memory_bytes: int) -> None:
    with open("/proc/self/statm", encoding="ascii") as file:
        most = int(file.read().split()[0]) * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(descriptor: int) -> None:
    """Serve the orders that come on this descriptor."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for name in _PRELOADED:
        with contextlib.suppress(ImportError):
            import_module(name)
    server = Server(socket.socket(fileno=descriptor))
    try:
        server.run()
    finally:
        server.stop()


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: a module of ours must not stand in for a package's
    main(int(sys.argv[1]))
