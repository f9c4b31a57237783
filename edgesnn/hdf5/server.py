"""The process in which HDF5 is read; run as a script by `process.py`, with the descriptor of its orders.

It imports h5py once and forks a worker for each order: {"module", "request", "memory_bytes", "file"}, with two pipes,
for the job's messages and for how the worker ended. Orders that name the same file one after another go to the same
worker, for a while: forking costs as much as reading 100,000 events. It ends, and its workers with it, when its caller
does.
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
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn

_IDLE_S = 5.0
_MOST_JOBS = 64  # of one worker: what libhdf5 forgets to free does not add up
_PRELOADED = ("numpy", "h5py", "hdf5plugin")


@dataclass
class Worker:
    """A worker as the server sees it.

    Attributes:
        process: its number.
        end: a pipe that closes when it ends.
        orders: the socket by which it gets its orders and says that it is done with one.
        file: the one that it reads; "": it gets no other order.
        status: the pipe for how it ended, of the job that it does; -1: it waits for another one.
    """

    process: int
    end: int
    orders: socket.socket
    file: str
    status: int


class Server:
    """The workers of one caller."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._workers: list[Worker] = []

    def run(self) -> None:
        """Serve until the caller has ended."""
        while True:
            ready = self._wait()
            for worker in list(self._workers):
                if worker.orders.fileno() in ready and _says_done(worker):
                    os.close(worker.status)
                    worker.status = -1
                elif worker.end in ready:
                    self._ended(worker)
                elif worker.status in ready:  # the caller has let go of its job
                    self._end(worker)
            if self._control.fileno() in ready and not self._start():
                return
            if not ready:
                self._end_idle()

    def stop(self) -> None:
        """End all workers."""
        for worker in self._workers:
            os.kill(worker.process, signal.SIGKILL)

    def _wait(self) -> set[int]:
        """Return the descriptors that something has happened to; none: no worker was asked for anything for a while."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        for worker in self._workers:
            poll.register(worker.end, select.POLLIN)
            poll.register(worker.orders, select.POLLIN)
            if worker.status >= 0:
                poll.register(worker.status, 0)
        idle = any(worker.status < 0 for worker in self._workers)
        return {descriptor for descriptor, _ in poll.poll(_IDLE_S * 1000 if idle else None)}

    def _start(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, 1 << 16, 2)
        if not data:
            return False
        pipe, status = descriptors
        order = json.loads(data)
        for worker in self._workers:
            if worker.status < 0 and worker.file and worker.file == order["file"]:
                with contextlib.suppress(OSError):
                    socket.send_fds(worker.orders, [data], [pipe])
                    worker.status = status
                    os.close(pipe)
                    return True
        self._end_idle()
        with contextlib.suppress(ImportError):
            import_module(order["module"])  # once, not in each worker
        self._fork(pipe, status, order)
        os.close(pipe)
        return True

    def _fork(self, pipe: int, status: int, order: dict[str, Any]) -> None:
        end, theirs = os.pipe()
        orders, their_orders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = os.fork()
        if process == 0:
            for mine in (end, status, self._control.fileno(), orders.fileno()):
                os.close(mine)
            for other in self._workers:
                for theirs_too in (other.end, other.orders.fileno(), other.status):
                    if theirs_too >= 0:
                        os.close(theirs_too)
            serve(pipe, order, their_orders)
        os.close(theirs)
        their_orders.close()
        self._workers.append(Worker(process, end, orders, order["file"], status))

    def _end_idle(self) -> None:
        for worker in self._workers:
            if worker.status < 0:
                self._end(worker)

    def _end(self, worker: Worker) -> None:
        worker.file = ""  # no order reaches it, also where it says just now that it is done
        os.kill(worker.process, signal.SIGKILL)

    def _ended(self, worker: Worker) -> None:
        self._workers.remove(worker)
        code = os.waitstatus_to_exitcode(os.waitpid(worker.process, 0)[1])
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if worker.status >= 0:
            with contextlib.suppress(OSError):
                os.write(worker.status, how.encode())
            os.close(worker.status)
        os.close(worker.end)
        worker.orders.close()


def _says_done(worker: Worker) -> bool:
    try:
        return bool(worker.orders.recv(1))
    except OSError:
        return False


def serve(pipe: int, order: dict[str, Any], orders: socket.socket) -> NoReturn:
    """Do this job, and others on the same file after it, and end this process."""
    code = 1
    try:
        _limit(order["memory_bytes"])
        jobs = 1
        while work(pipe, order, orders if order["file"] and jobs < _MOST_JOBS else None):
            jobs += 1
            os.close(pipe)
            data, descriptors, _, _ = socket.recv_fds(orders, 1 << 16, 1)
            if not data:
                break
            pipe, order = descriptors[0], json.loads(data)
        code = 0
    except BaseException:  # the caller has gone
        pass
    finally:
        os._exit(code)


def work(pipe: int, order: dict[str, Any], orders: socket.socket | None) -> bool:
    """Do one job; say whether another one may follow, to `orders` too, before the caller hears of the end."""
    from edgesnn.hdf5.wire import Link

    link = Link(pipe)
    try:
        import_module(order["module"]).work(link, order["request"])
    except ModuleNotFoundError as error:
        link.send({"missing": error.name or str(error)})
        return False
    except Exception as error:  # of a file that libhdf5 takes for another than it is
        link.send({"refused": " ".join((str(error) or type(error).__name__).split())[:300]})
        return False
    if orders is None:
        link.send({"end": True})
        return False
    orders.send(b"d")
    with contextlib.suppress(OSError):  # the caller may have let go of the job, which is done
        link.send({"end": True})
    return True


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
