"""`edgesnn replay` of a model of tokens: records, flags, a followed log, topics of a broker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import paho.mqtt.client as paho
import paho.mqtt.publish as publish
import pytest
from paho.mqtt.enums import CallbackAPIVersion

import edgesnn
from edgesnn.cli.main import main
from edgesnn.publish.broker import LocalBroker, available
from edgesnn.schemas import load_schema
from edgesnn.tokens.sources.mqtt import MqttLines
from tests.brokers import KillableBroker, Subscriber
from tests.predictions import validated
from tests.token_models import classifier, writer
from tests.unit.test_line_sources import EXPORT, MESSAGES

LINES = ["gate ready", "", "pump 12 is on", "gate ready", "zzz 99.9"]
VALIDATOR = jsonschema.Draft202012Validator(load_schema("prediction-1"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "lines.safetensors"
    writer({"masks": ["numbers"]}, reset="line").save(path)
    return str(path)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text("".join(f"{line}\n" for line in LINES))
    return path


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalBroker]:
    if not available():
        pytest.skip("no broker to start")
    with LocalBroker() as running:
        yield running


def records(text: str) -> list[dict[str, Any]]:
    made = [json.loads(line) for line in text.splitlines()]
    for row in made:
        VALIDATOR.validate(row)
    return made


def test_a_log_gives_a_record_a_line(model: str, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(log), "-m", model, "--json", "--key", "0", "--publish-text"]) == 0
    out, err = capsys.readouterr()
    made = records(out)
    assert [row["tokens"]["text"] for row in made] == ["gate ready", "", "pump <num> is on", "gate ready", "zzz <num>"]
    assert [row["tokens"]["key"] for row in made] == ["gate", "", "pump", "gate", "zzz"]
    assert [row["seq"] for row in made] == list(range(5))
    assert err.startswith("5 lines: (none) 4, (idle) 1\n")
    assert "counters: lines 5, tokens 49, lines_in 5, sessions 4, source.bytes 46" in err


def test_lines_for_a_person(model: str, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(log), "-m", model, "--threshold", "0.5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("line        0  alert ")
    assert lines[1].startswith("line        1  (idle)          -   bits/token      0 tokens")


@pytest.mark.parametrize(("alerts", "expected"), [("0", 0), ("0.5", 1), ("1", 2)])
def test_alerts_a_day_set_the_threshold_on_a_normal_log(
    alerts: str, expected: int, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    normal = tmp_path / "normal.log"
    normal.write_text("".join(f"word {'abcdefgh'[i] * (i + 1)}\n" for i in range(8)))
    arguments = ["replay", str(normal), "-m", model, "--json", "--alerts-per-day", alerts]
    assert main([*arguments, "--normal", str(normal), "--normal-time", "2d"]) == 0
    out, err = capsys.readouterr()
    assert [row["decision"] for row in records(out)].count("label") == expected
    assert err.startswith("threshold: ")


def test_the_threshold_found_goes_into_the_model_and_flags_count_more(
    model: str, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = str(tmp_path / "with-threshold.safetensors")
    arguments = ["replay", str(log), "--json", "-m"]
    found = ["--alerts-per-day", "2", "--normal", str(log), "--normal-time", "1d", "--save-model", saved]
    assert main([*arguments, model, *found]) == 0
    out, err = capsys.readouterr()
    wanted = [(row["decision"], row["label"], row["topk"]) for row in records(out)]
    assert [one[1] for one in wanted].count("alert") == 2
    assert main([*arguments, saved]) == 0
    assert [(row["decision"], row["label"], row["topk"]) for row in records(capsys.readouterr().out)] == wanted
    threshold = edgesnn.load(saved).input["alert_bits"]
    assert f"threshold: {threshold:.4f} bits per token" in err
    assert main(["info", saved]) == 0
    assert f"alert_bits {threshold}" in capsys.readouterr().out
    for flag, alerts in (("0", 4), ("99", 0)):
        assert main([*arguments, saved, "--threshold", flag]) == 0
        assert [row["label"] for row in records(capsys.readouterr().out)].count("alert") == alerts
    assert main([*arguments, saved, "--threshold", "1.5", "--save-model", saved]) == 0
    assert edgesnn.load(saved).input["alert_bits"] == 1.5


def test_a_model_that_decides_by_its_readout_stores_no_threshold(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier().save(tmp_path / "labels.safetensors")
    arguments = ["replay", str(log), "-m", str(tmp_path / "labels.safetensors"), "--threshold", "1"]
    assert main([*arguments, "--save-model", str(tmp_path / "x.safetensors")]) == 4
    assert "the model decides by its readout" in capsys.readouterr().err


WRONG: list[tuple[list[str], str]] = [
    (["--save-model", "x.safetensors"], "--save-model: no threshold to write"),
    (["--filter", "transpose"], "--filter: this flag is of models that read events"),
    (["--speed", "1x"], "--speed: this flag is of models that read events"),
    (["--normal", "x"], "--normal: this flag needs --alerts-per-day"),
    (["--alerts-per-day", "1"], "a number of alerts a day needs a normal log"),
    (["--alerts-per-day", "nan", "--normal", __file__, "--normal-time", "1d"], "the normal log says no threshold"),
    (["--alerts-per-day", "inf", "--normal", __file__, "--normal-time", "1d"], "the normal log says no threshold"),
    (["--alerts-per-day", "1", "--normal", "udp://127.0.0.1:0", "--normal-time", "1d"], "a file that ends"),
    (["--alerts-per-day", "1", "--threshold", "2"], "the threshold is said twice"),
    (["--idle", "3s"], "--idle: this flag needs --reset"),
    (["--reset", "tokens:0"], "--reset: no such reset"),
    (["--key", "host"], "--key: not a key of sessions"),
    (["--sessions", "0"], "sessions: not a number of sessions"),
]


@pytest.mark.parametrize(("flags", "message"), WRONG)
def test_wrong_flags_are_named(
    flags: list[str], message: str, model: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(log), "-m", model, *flags]) == 2
    assert message in capsys.readouterr().err


def test_flags_of_lines_are_not_of_events(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(log), "-m", "digits", "--follow"]) == 2
    assert "--follow: this flag is of models that read tokens" in capsys.readouterr().err


def test_a_log_that_is_not_there_is_an_error_of_the_recording(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "missing.log", "-m", model]) == 3
    assert capsys.readouterr().err == "edgesnn: error: missing.log: no log to read: found no such file or directory\n"


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgesnn", "replay", *arguments]
    root = Path(__file__).parents[2]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=root, **options)


def test_a_followed_log_goes_on_through_rotation_until_it_is_interrupted(model: str, log: Path) -> None:
    process = start(str(log), "-m", model, "--json", "--follow", "--publish-text")
    assert process.stdout is not None
    seen = [json.loads(process.stdout.readline())["tokens"]["text"] for _ in LINES]
    log.rename(log.with_suffix(".1"))
    log.write_text("after\n")
    seen.append(json.loads(process.stdout.readline())["tokens"]["text"])
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert seen[-1] == "after"
    assert process.returncode == 130
    assert "source.rotations 1" in err


def test_lines_are_piped_in(model: str) -> None:
    process = start("-", "-m", model, "--json")
    out, _ = process.communicate("one\ntwo", timeout=60)
    assert [row["tokens"]["count"] for row in records(out)] == [4, 4]


def test_a_journal_is_piped_in_with_a_session_for_each_host(model: str) -> None:
    process = start("journal:-", "-m", model, "--json", "--key", "origin", "--publish-text", encoding="latin-1")
    out, err = process.communicate(EXPORT.decode("latin-1"), timeout=60)
    told = [(row["tokens"]["text"], row["tokens"]["key"], row["decision"]) for row in records(out)]
    assert [(key, decision) for _, key, decision in told] == [
        (origin, "none" if data else "idle") for data, origin in MESSAGES
    ]
    assert told[1][0] == "Traceback:  MESSAGE=a \tend"
    assert "sessions 2" in err


def test_predictions_of_lines_are_published(model: str, log: Path, broker: LocalBroker) -> None:
    with Subscriber(broker.broker, "edgesnn/#") as subscriber:
        process = start(str(log), "-m", model, "--mqtt", broker.url, "--threshold", "0.5", "--stream", "app")
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        found = subscriber.wait_for(len(LINES), "/app/prediction")
        events = subscriber.of("/app/event")
        others = subscriber.of("/app/state") + events
    assert [validated(message)["window"] for message in found] == list(range(len(LINES)))
    assert validated(events[0])["event_type"] == "onset"
    assert all(validated(message)["schema"] for message in others)


@pytest.mark.parametrize("kind", available())
def test_a_broker_that_was_away_is_subscribed_to_again(kind: str, tmp_path: Path) -> None:
    with KillableBroker(kind, tmp_path) as broker:
        source = MqttLines(f"{broker.url}/logs")
        broker.kill()
        broker.start()
        end_s = time.monotonic() + 30
        lines: list[bytes] = []
        while not lines and time.monotonic() < end_s:
            lines = [line.data for line in source.read(0.2) or []]
            if source.counters["connections"] == 2:
                publish.single("logs", "back", qos=1, hostname=broker.broker.host, port=broker.broker.port)
        assert set(lines) == {b"back"}
        assert source.counters["connections_lost"] >= 1
        source.close()


def test_lines_come_from_topics(broker: LocalBroker) -> None:
    source = MqttLines(f"{broker.url}/logs/+/lines")
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect(broker.broker.host, broker.broker.port)
    client.loop_start()
    got: list[tuple[bytes, str]] = []
    end_s = time.monotonic() + 20
    sent = 0
    while len(got) < 3 and time.monotonic() < end_s:
        if sent == 0:
            source.read(0.5)  # the subscription is granted
            client.publish("logs/gate/lines", b"one\r\ntwo\n", qos=1)
            client.publish("logs/pump/lines", b"\xff", qos=1)
            client.publish("other", b"no", qos=1)
            sent = 1
        got += [(line.data, line.origin) for line in source.read(0.2) or []]
    client.loop_stop()
    assert got == [(b"one", "logs/gate/lines"), (b"two", "logs/gate/lines"), (b"\xff", "logs/pump/lines")]
    assert source.counters["messages"] == 2
    source.close()
