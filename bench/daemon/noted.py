"""`edgesnn` that notes when each message is handed to the MQTT client, and writes that down at its end.

    python -c "from bench.daemon.noted import main; main()" NOTES run -c CONFIG

NOTES gets a JSON line for each prediction: [seq, monotonic ns before `Client.publish`, late].
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from edgesnn.cli.main import main as edgesnn
from edgesnn.mqtt import Client


def main() -> None:
    """Run the command in `sys.argv`; exit as it does."""
    notes: list[tuple[int, bytes]] = []
    publish = Client.publish

    def noted(self: Client, topic: str, payload: bytes, **options: Any) -> int:
        if topic.endswith("/prediction"):
            notes.append((time.monotonic_ns(), payload))
        return publish(self, topic, payload, **options)

    Client.publish = noted  # type: ignore[method-assign]
    code = edgesnn(sys.argv[2:])
    with Path(sys.argv[1]).open("w") as file:
        for at_ns, payload in notes:
            record = json.loads(payload)
            file.write(json.dumps([record["seq"], at_ns, record["late"]]) + "\n")
    raise SystemExit(code)
