"""`edgesnn info` and `replay` of live sources, off a terminal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.events.sources.devices import Found
from tests.live import encoded, made_up
from tests.small_models import small_document

ROOT = Path(__file__).parents[2]
EVENTS = made_up(20_000, sensor=(128, 128))
HOW = "format=evt3&sensor=128x128"
CLIP = "recordings/hand_clap.raw"


def start(*arguments: Any, **how: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "edgesnn", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)


def done(process: subprocess.Popen[bytes], data: bytes | None = None) -> tuple[int, str, str]:
    out, err = process.communicate(data, timeout=60)
    return process.returncode, out.decode(), err.decode()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    small_document().save(path)
    return path


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_info_shows_the_rate_of_standard_input() -> None:
    code, out, err = done(start("info", f"pipe:-?{HOW}", "--json", stdin=subprocess.PIPE), encoded(EVENTS))
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert (report["events"], report["state"], report["sensor"]) == (len(EVENTS), "ended", [128, 128])
    assert report["on"] == int(EVENTS["p"].sum())
    assert report["counters"]["bytes"] == len(encoded(EVENTS))
    assert report["rate_hz"] is None or report["seconds"] >= 0.1


def test_info_shows_the_rate_of_datagrams_and_stops_by_itself() -> None:
    port = free_port()
    process = start("info", f"udp://127.0.0.1:{port}?{HOW}", "--seconds", "2")
    words, until_s = encoded(EVENTS), time.monotonic() + 30
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        at = 0
        while process.poll() is None and time.monotonic() < until_s:
            one.sendto(words[at : at + 1000], ("127.0.0.1", port))
            at = (at + 1000) % (len(words) // 1000 * 1000)
            time.sleep(0.005)
    code, out, err = done(process)
    assert (code, err) == (0, "")
    rows = {line[:14].strip(): line[15:] for line in out.splitlines()}
    assert rows["state"] == "live"
    assert rows["sensor"] == "128x128"
    assert "events/s" in rows["rate"]


def test_info_of_a_source_that_nobody_sends_to_says_so() -> None:
    code, out, _ = done(start("info", f"udp://127.0.0.1:0?{HOW}", "--seconds", "0.2"))
    assert code == 0
    assert "waiting" in out


def test_replay_predicts_from_standard_input(model: Path) -> None:
    process = start("replay", f"pipe:-?{HOW}", "-m", model, "--json", stdin=subprocess.PIPE)
    code, out, err = done(process, encoded(EVENTS))
    assert code == 0, err
    assert [json.loads(line)["window"] for line in out.splitlines()] == [0, 1, 2]
    assert f"source: events {len(EVENTS)}" in err


def test_replay_records_what_it_predicts_from(model: Path, tmp_path: Path) -> None:
    flags = ["--record", tmp_path / "a.raw", "--record-size", "10kB"]
    code, _, err = done(start("replay", f"pipe:-?{HOW}", "-m", model, *flags, stdin=subprocess.PIPE), encoded(EVENTS))
    assert code == 0, err
    assert f"recorded_events {len(EVENTS)}" in err
    parts = [edgesnn.open(path).read() for path in sorted(tmp_path.glob("a-*.raw"))]
    assert len(parts) > 1
    assert np.array_equal(np.concatenate(parts)[["x", "y", "p"]], EVENTS[["x", "y", "p"]])


def test_replay_of_a_live_source_ends_with_ctrl_c_and_a_summary(model: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    process = start("replay", f"pipe:{tmp_path}/pipe?{HOW}", "-m", model)
    threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(encoded(EVENTS),)).start()
    assert process.stdout is not None
    for _ in range(2):  # the first one is counted when the second one is there
        assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    code, _, err = done(process)
    assert code == 130
    assert "windows: " in err
    assert "source: events" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "x.raw", "--seconds", "2"], "only live sources are looked at for a time"),
        (["info", f"udp://127.0.0.1:0?{HOW}", "--seconds", "-1"], "not a number of seconds"),
        (["info", f"udp://127.0.0.1:0?{HOW}", "--verify"], "only models have checksums"),
        (["info", f"udp://127.0.0.1:0?{HOW}", "--on-corrupt", "strict"], "live sources skip what is damaged"),
        (
            ["replay", "recordings/hand_clap.raw", "-m", "gestures", "--record", "x.raw"],
            "only live sources are recorded",
        ),
        (["replay", CLIP, "-m", "gestures", "--record-size", "1MB"], "this flag needs --record"),
        (["convert", f"udp://127.0.0.1:0?{HOW}", "x.raw"], "a live source is no recording"),
    ],
)
def test_a_wrong_call_is_one_line(arguments: list[str], words: str) -> None:
    code, _, err = done(start(*arguments))
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


def test_info_lists_video_devices_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgesnn.events.sources.v4l2 import V4l2

    found = [
        Found("v4l2:/dev/video0", "A sensor, evt3"),
        Found("v4l2:/dev/video1", "/dev/video1", "no right", "sudo x"),
    ]
    monkeypatch.setattr(V4l2, "devices", lambda self: found)
    assert main(["info", "v4l2:"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split() for line in out] == [
        ["v4l2:/dev/video0", "A", "sensor,", "evt3"],
        ["v4l2:/dev/video1", "/dev/video1:", "no", "right"],
        ["to", "do", "sudo", "x"],
    ]
    assert main(["info", "v4l2:", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["devices"][1] == found[1]._asdict()
    monkeypatch.setattr(V4l2, "devices", lambda self: [])
    assert main(["info", "v4l2:"]) == 0
    assert capsys.readouterr().err.startswith("v4l2: no /dev/video*; is the sensor's driver loaded")
