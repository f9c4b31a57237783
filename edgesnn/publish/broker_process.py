"""`python -m edgesnn.publish.broker_process KIND PORT [MOSQUITTO]`: run a broker until standard input closes.

The parent holds the other end of standard input, so the broker ends with it even when the parent is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

MOSQUITTO_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
"""


def run_mosquitto(path: str, port: int) -> int:
    """Run mosquitto until standard input closes or it ends by itself; return its exit code."""
    with tempfile.TemporaryDirectory(prefix="edgesnn-broker-") as folder:
        configuration = Path(folder, "mosquitto.conf")
        configuration.write_text(MOSQUITTO_CONFIGURATION.format(port=port), encoding="utf-8")
        process = subprocess.Popen([path, "-c", str(configuration)], stdin=subprocess.DEVNULL)
        threading.Thread(target=_end_with_parent, args=(process,), daemon=True).start()
        return process.wait()


def _end_with_parent(process: subprocess.Popen[bytes]) -> None:
    _wait_for_end_of_input()
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=2.0)
        return
    process.kill()


def run_amqtt(port: int) -> int:
    """Run amqtt in this process until standard input closes."""
    from amqtt.broker import Broker

    from edgesnn.publish.broker import amqtt_configuration

    logging.disable(logging.CRITICAL)  # it logs every client that leaves as an error

    async def serve() -> None:
        broker = Broker(json.loads(amqtt_configuration(port)))
        await broker.start()
        await asyncio.get_running_loop().run_in_executor(None, _wait_for_end_of_input)
        with contextlib.suppress(Exception):
            await asyncio.wait_for(broker.shutdown(), timeout=2.0)

    asyncio.run(serve())
    return 0


def _wait_for_end_of_input() -> None:
    while os.read(0, 4096):
        pass


def main(arguments: list[str]) -> int:
    """Run the broker that the arguments name."""
    kind, port = arguments[0], int(arguments[1])
    code = run_mosquitto(arguments[2], port) if kind == "mosquitto" else run_amqtt(port)
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
