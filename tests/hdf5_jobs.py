"""Jobs that misbehave, run by a worker of `edgesnn.hdf5` for tests/unit/test_hdf5_process.py."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np

from edgesnn.hdf5.wire import Link, Refused


def work(link: Link, request: dict[str, Any]) -> None:
    """Do what request["do"] names."""
    getattr(Jobs, request["do"])(link)


class Jobs:
    """What a worker may do."""

    @staticmethod
    def echo(link: Link) -> None:
        for number in range(3):
            arrays = [np.arange(number), np.float32(number), np.zeros((2, 0), "u1"), np.array([["a", "bc"]])]
            link.send({"number": number, "pid": os.getpid()}, arrays)

    @staticmethod
    def refuse(link: Link) -> None:
        raise Refused("it is green")

    @staticmethod
    def crash(link: Link) -> None:
        link.send({"number": 0})
        os.kill(os.getpid(), signal.SIGSEGV)

    @staticmethod
    def crash_inside_a_message(link: Link) -> None:
        link.write(b"\x10\0\0\0")
        os._exit(7)

    @staticmethod
    def hang(link: Link) -> None:
        link.send({"pid": os.getpid()})
        time.sleep(600)

    @staticmethod
    def flood(link: Link) -> None:
        kept = []
        while True:
            kept.append(bytearray(1 << 24))

    @staticmethod
    def talk_too_much(link: Link) -> None:
        while True:
            link.send({}, [np.zeros(1 << 16, np.uint8)])

    @staticmethod
    def babble(link: Link) -> None:
        link.write(b"\xff" * 4096)

    @staticmethod
    def lie(link: Link) -> None:
        document = b'{"message": {}, "arrays": [["<f8", [1000000]]]}'
        link.write(len(document).to_bytes(4, "little") + b"\x10\0\0\0" + document + bytes(16))

    @staticmethod
    def need(link: Link) -> None:
        import no_such_package  # noqa: F401
