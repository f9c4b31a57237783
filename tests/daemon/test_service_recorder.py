"""Bundles of a running service, each checked by the command: recordings, datagrams, a log; every trigger."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import edgesnn
from edgesnn.publish.broker import free_port
from edgesnn.recorder.bundle import read
from tests.daemon.test_service import (
    RECORDING,
    ROOT,
    configuration,
    one_broker,
    run,
    stream,
    subscribed,
    wait_for,
)
from tests.predictions import validated

__all__ = ["one_broker", "run"]  # fixtures


def recorder(**keys: object) -> str:
    lines = {"enabled": "true", **keys}
    return "[recorder]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items())


def bundles(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.bundle"))


def checked(paths: list[Path]) -> str:
    """Return what `replay --check` says of all of them, in one process."""
    script = "import sys; from edgesnn.cli.main import main"
    script += "; sys.exit(sum(main(['replay', p, '--check']) for p in sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, paths)], capture_output=True, text=True, cwd=ROOT, timeout=240
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return done.stderr


def test_three_kinds_of_sources_leave_bundles_that_hold_what_was_published(one_broker, run, tmp_path):
    """On a label, and when it is told to end; one model for two streams; fewer published than decided."""
    port = free_port()
    log = tmp_path / "app.log"
    log.write_text("ROMEO:\nWhat light through yonder window breaks?\n")
    text = configuration(
        one_broker,
        stream(
            "door", f"replay:{RECORDING}?loop&speed=8x", 'publish = "change"', 'filters = ["refractory:period=1ms"]'
        ),
        stream("yard", f"udp://127.0.0.1:{port}?format=evt3&sensor=128x128"),
        f'[[stream]]\nname = "log"\nsource = "{log}"\nmodel = "shakespeare"\nfollow = true\nthreshold = 3.5\n',
        more="[http]\nenabled = false\n" + recorder(on='["label", "stop"]', apart='"1s"'),
    )
    data = edgesnn.open(str(RECORDING)).open_data(0).read()
    with subscribed(one_broker) as subscriber, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        daemon = run(text)
        subscriber.wait_for(2, "/log/prediction", timeout_s=60)
        for at in range(0, 200_000, 1000):
            sender.sendto(data[at : at + 1000], ("127.0.0.1", port))
            if at % 10_000 == 0:
                subscriber.wait_for(1, "/door/prediction", timeout_s=60)
        subscriber.wait_for(1, "/yard/prediction", timeout_s=60)
        subscriber.wait_for(4, "/door/prediction", timeout_s=60)
        wait_for(lambda: [one for one in bundles(tmp_path) if "label" in one.name], what=daemon.log, timeout_s=60)
        assert daemon.end() == 0, daemon.log
        sent = {
            (record["stream"], record["window"]): record
            for record in (validated(message) for message in subscriber.of("/prediction"))
        }
    made = [read(path) for path in bundles(tmp_path)]
    assert {(one.about["stream"], one.about["trigger"]) for one in made} >= {
        ("door", "label"),
        ("door", "stop"),
        ("yard", "stop"),
        ("log", "stop"),
    }
    for one in made:
        for prediction in one.published:
            record = json.loads(prediction.to_json())
            assert {**record, "late": None} == {**sent[one.about["stream"], record["window"]], "late": None}
    door = next(one for one in made if one.about["stream"] == "door" and one.about["trigger"] == "stop")
    assert 0 < len(door.published) < door.about["decisions"]
    said = checked(bundles(tmp_path))
    assert said.count(": no differences") == len(made)


@pytest.mark.full
def test_the_folder_is_bounded_and_metrics_say_what_went(one_broker, run, tmp_path):
    port = free_port()
    keys = {"on": '["low_confidence"]', "confidence": 1.0, "apart": '"1ms"', "max_bundles": 3}
    door = stream("door", f"replay:{RECORDING}?loop&speed=8x")
    daemon = run(configuration(one_broker, door, more=f"[http]\nport = {port}\n" + recorder(**keys)))

    def metrics() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    wait_for(lambda: re.search(r"^edgesnn_bundles_deleted_total [1-9]", metrics(), re.M), what=daemon.log, timeout_s=60)
    text = metrics()
    assert re.search(r'^edgesnn_bundles_total\{stream="door",what="written"\} [1-9]', text, re.M)
    assert re.search(r'^edgesnn_recorder_held_bytes\{stream="door"\} [1-9]', text, re.M)
    assert daemon.end() == 0
    assert len(bundles(tmp_path)) == 3
    checked(bundles(tmp_path))
