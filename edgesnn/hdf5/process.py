"""The caller's side of a job: one worker that reads one file, and what becomes of it."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgesnn.hdf5 import wire

MEMORY_BYTES = 1 << 29
TIMEOUT_S = 60.0
MOST_BYTES = 1 << 26
_PIPE_BYTES = 1 << 20  # Linux's most: the fewer times the two sides wait for each other
_KEPT = str(1 << 25)  # bytes that a worker uses again rather than fresh ones for each block, which cost as much
_SERVER = Path(__file__).with_name("server.py")
_ROOT = str(Path(__file__).resolve().parents[2])


class JobError(Exception):
    """A job came to nothing.

    Attributes:
        kind: "refused" (by the worker: the file), "missing" (a package), "died", "slow".
        text: what is known of it.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text

    @property
    def what(self) -> str:
        """One clause for a message that names the file."""
        if self.kind == "missing":
            return f"{self.text} is not installed"
        return {
            "refused": "the HDF5 file cannot be read",
            "slow": "reading the file took too long",
            "died": "the process that reads the file died",
        }[self.kind]


class Job:
    """One worker. Iterate its messages once; close it, or let it go, and the worker ends.

    Args:
        module: whose `work(link, request)` the worker runs.
        request: JSON values.
        memory_bytes: by how much the worker's address space may grow.
        timeout_s: how long the worker may take for one message.
        most_bytes: of the arrays of one message.
        file: the one that is read, by a name that no other content has; jobs that name the same one after another share
            a worker. "": the worker is of this job alone.

    Raises:
        JobError: no process could be started.
    """

    def __init__(
        self,
        module: str,
        request: dict[str, Any],
        *,
        memory_bytes: int = MEMORY_BYTES,
        timeout_s: float = TIMEOUT_S,
        most_bytes: int = MOST_BYTES,
        file: str = "",
    ) -> None:
        self._timeout_s = timeout_s
        self._most_bytes = most_bytes
        self._pipe, their_pipe = os.pipe()
        self._status, their_status = os.pipe()
        os.set_blocking(self._pipe, False)
        with contextlib.suppress(OSError):  # more than a user may have: it goes with the usual size, slower
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        order = json.dumps({"module": module, "request": request, "memory_bytes": memory_bytes, "file": file}).encode()
        try:
            _server.send(order, [their_pipe, their_status])
        except OSError as error:
            self.close()
            raise JobError("died", f"it could not be started: {error}") from None
        finally:
            os.close(their_pipe)
            os.close(their_status)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], list[wire.Array]]]:
        """Yield the worker's messages, each with its arrays. Raises JobError."""
        try:
            while True:
                said = self._receive()
                if "end" in said[0]:
                    return
                for kind in ("refused", "missing"):
                    if kind in said[0]:
                        raise JobError(kind, str(said[0][kind])[:300])
                yield said
        finally:
            self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """End the worker; twice is no error."""
        for name in ("_pipe", "_status"):
            descriptor = getattr(self, name, -1)
            setattr(self, name, -1)
            if descriptor >= 0:
                os.close(descriptor)

    def _receive(self) -> tuple[dict[str, Any], list[wire.Array]]:
        try:
            said = wire.receive(self._pipe, self._most_bytes, self._timeout_s)
        except TimeoutError:
            raise JobError("slow", f"nothing in {self._timeout_s:.0f} s") from None
        except wire.WireError as error:
            raise JobError("died", self._how() or str(error)) from None
        if said is None:
            raise JobError("died", self._how() or "it said nothing")
        return said

    def _how(self) -> str:
        """Return how the worker ended, "" where nobody says it."""
        os.close(self._pipe)
        self._pipe = -1
        with open(self._status, "rb", closefd=False) as status:
            return status.read(200).decode("ascii", "replace")


class _Server:
    """The process that forks the workers; one for this process, started when it is needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def send(self, order: bytes, descriptors: list[int]) -> None:
        """Pass on an order; a server that has died is replaced once. Raises OSError."""
        with self._lock:
            if self._control is None:
                self._start()
            assert self._control is not None
            try:
                socket.send_fds(self._control, [order], descriptors)
            except OSError:
                self._start()
                socket.send_fds(self._control, [order], descriptors)

    def _start(self) -> None:
        self._forget()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        paths = [os.path.abspath(path) for path in (*sys.path, _ROOT)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
            "OPENBLAS_NUM_THREADS": "1",
            "HDF5_USE_FILE_LOCKING": "FALSE",  # a recording may lie where nothing can be locked
            "MALLOC_TRIM_THRESHOLD_": _KEPT,
            "MALLOC_MMAP_THRESHOLD_": _KEPT,
        }
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(_SERVER), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
            )

    def _forget(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._control = self._process = None

    def stop(self) -> None:
        """End the server and its workers."""
        with self._lock:
            self._forget()

    def forked(self) -> None:
        """Leave the server to the process that this one was forked from."""
        self._lock = threading.Lock()
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.returncode = 0  # not ours to wait for
        self._control = self._process = None


_server = _Server()
os.register_at_fork(after_in_child=_server.forked)
atexit.register(_server.stop)
