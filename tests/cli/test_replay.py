"""`edgesnn replay` and `edgesnn bench`: records, lines, exit codes, memory, a broker; off a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from edgesnn.events.types import EVENT
from edgesnn.events.writing import write
from edgesnn.publish.broker import LocalBroker, find_mosquitto
from edgesnn.schemas import load_schema
from tests.brokers import KillableBroker, Subscriber
from tests.conftest import Shared
from tests.small_models import LABELS, small_document

MEMORY = (
    "import sys; from edgesnn.cli.main import main; code = main(sys.argv[1:]);"
    "from tests.memory import peak_kib; print('PEAK', peak_kib(), file=sys.stderr); sys.exit(code)"
)
PEAK_LIMIT_KIB = 120 * 1024


def edgesnn(*arguments: Any, start: tuple[str, ...] = ("-m", "edgesnn")) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *start, *map(str, arguments)]
    root = Path(__file__).parents[2]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=root)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    small_document().save(path)
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second with a quiet stretch in the middle."""
    rng = np.random.default_rng(0)
    events = np.zeros(12_000, dtype=EVENT)
    t = np.sort(rng.integers(0, 300_000, len(events)))
    events["t"] = np.where(t < 150_000, t, t + 250_000)
    events["x"], events["y"] = rng.integers(20, 60, len(events)), rng.integers(20, 60, len(events))
    path = tmp_path_factory.mktemp("recording") / "pause.raw"
    write(path, events, sensor=(128, 128))
    return path


def records(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Return the records of --json after the schema has accepted each; seq counts from 0, one record a window."""
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    validator = jsonschema.Draft202012Validator(load_schema("prediction-1"))
    for record in found:
        validator.validate(record)
    assert [r["seq"] for r in found] == [r["window"] for r in found] == list(range(len(found)))
    return found


def test_json_gives_one_valid_record_a_window_and_a_summary_beside_it(model: Path, recording: Path) -> None:
    done = edgesnn("replay", recording, "-m", model, "--json", "--stream", "gate", "--node", "here")
    found = records(done)
    assert {(r["stream"], r["node"]) for r in found} == {("gate", "here")}
    assert {r["decision"] for r in found} >= {"idle"}
    assert len({r["boot_id"] for r in found}) == 1
    assert done.stderr.startswith(f"{len(found)} windows: ")
    assert "events/s" in done.stderr
    assert "processed" in done.stderr


def test_windows_by_count_are_asked_for_by_a_flag(model: Path, recording: Path) -> None:
    done = edgesnn("replay", recording, "-m", model, "--json", "--window-events", 3000, "--hop-events", 1500)
    assert [r["sensor"]["events"] for r in records(done)] == [3000] * 7
    assert "--window-events" in edgesnn("replay", "--help").stdout


def test_a_person_gets_a_line_a_window(model: Path, recording: Path) -> None:
    lines = edgesnn("replay", recording, "-m", model).stdout.splitlines()
    assert len(lines) == len(records(edgesnn("replay", recording, "-m", model, "--json")))
    assert any("(idle)" in line for line in lines)
    assert any(label in line for line in lines for label in (*LABELS, "(none)"))


def test_the_pace_changes_no_decision(model: Path, recording: Path) -> None:
    fast = records(edgesnn("replay", recording, "-m", model, "--json"))
    paced = records(edgesnn("replay", recording, "-m", model, "--json", "--speed", "4x"))
    same = ("window", "sensor", "decision", "label", "class", "confidence", "topk", "spikes", "synops")
    assert [[r[key] for key in same] for r in fast] == [[r[key] for key in same] for r in paced]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["{recording}", "-m", "{missing}"], 4, "cannot read"),
        (["{recording}", "-m", "no-such-model"], 4, "no such model in the zoo"),
        (["{missing}", "-m", "{model}"], 3, "cannot be opened"),
        (["{recording}", "-m", "{model}", "--speed", "fast"], 2, "not a speed"),
        (["{recording}", "-m", "{model}", "--sensor", "12"], 2, "not a sensor size"),
        (["{recording}"], 2, "--model"),
        (["{recording}", "-m", "{model}", "--backend", "tpu"], 2, "invalid choice"),
        (["{recording}", "-m", "{model}", "--mqtt", "mqtt://127.0.0.1:1"], 6, "127.0.0.1:1"),
        (["{recording}", "-m", "{model}", "--mqtt", "mqtt://a:secret@127.0.0.1"], 2, "password"),
        (["{recording}", "-m", "{model}", "--node", "a/b"], 5, "a/b"),
        (["{recording}", "-m", "{model}", "--sensor", "10x10"], 3, "outside the 10x10 sensor"),
    ],
)
def test_every_mistake_is_one_line_and_its_exit_code(
    arguments: list[str], code: int, says: str, model: Path, recording: Path, tmp_path: Path
) -> None:
    names = {"model": model, "recording": recording, "missing": tmp_path / "missing.safetensors"}
    done = edgesnn("replay", *(a.format(**names) for a in arguments), "--json")
    assert done.returncode == code, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("edgesnn: error")]
    assert len(errors) == 1
    assert says in errors[0]
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_damage_gives_the_windows_before_it_then_the_error_or_goes_on(
    model: Path, recording: Path, tmp_path: Path
) -> None:
    whole = records(edgesnn("replay", recording, "-m", model, "--json"))
    data = bytearray(recording.read_bytes())
    place = (len(data) * 2 // 3) // 2 * 2
    data[place : place + 2] = b"\x34\xd2"  # word type 0xD is in no EVT3 stream
    broken = tmp_path / "broken.raw"
    broken.write_bytes(bytes(data))
    strict = edgesnn("replay", broken, "-m", model, "--json")
    assert strict.returncode == 3
    assert "EVT3 word" in strict.stderr
    before = [json.loads(line) for line in strict.stdout.splitlines()]
    assert 0 < len(before) < len(whole)
    assert [r["topk"] for r in before] == [r["topk"] for r in whole[: len(before)]]
    skipped = edgesnn("replay", broken, "-m", model, "--json", "--on-corrupt", "skip")
    assert len(records(skipped)) == len(whole)
    assert "decoder.bad_words 1" in skipped.stderr


def test_the_peak_memory_of_a_replay_stays_small(model: Path, recording: Path) -> None:
    done = edgesnn("replay", recording, "-m", model, "--json", start=("-c", MEMORY))
    assert int(done.stderr.rpartition("PEAK ")[2]) < PEAK_LIMIT_KIB


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
def test_subscribers_see_what_the_terminal_sees(model: Path, recording: Path, tmp_path: Path) -> None:
    with KillableBroker("mosquitto", tmp_path) as broker, Subscriber(broker.broker) as subscriber:
        done = edgesnn("replay", recording, "-m", model, "--json", "--mqtt", broker.url)
        printed = records(done)
        arrived = [json.loads(message.payload) for message in subscriber.wait_for(len(printed))]
    assert arrived == printed
    assert "mqtt: " in done.stderr


@pytest.mark.conformance
@pytest.mark.parametrize(
    ("name", "sensor"),
    [
        ("recordings/gesture_bin/dvs128_gesture_class3.bin", ("--sensor", "128x128")),
        ("recordings/evt3/evt3_vga_rospayload_640x480.raw", ()),
    ],
)
def test_other_people_s_recordings_give_one_record_a_window(
    shared: Shared, model: Path, name: str, sensor: tuple[str, ...]
) -> None:
    done = edgesnn("replay", shared(name), "-m", model, "--json", *sensor, start=("-c", MEMORY))
    found = records(done)
    assert len(found) > 20
    assert sum(r["decision"] != "idle" for r in found) > 20
    assert int(done.stderr.rpartition("PEAK ")[2]) < PEAK_LIMIT_KIB


def test_bench_says_whether_a_model_fits(model: Path) -> None:
    done = edgesnn("bench", model, "--json", "--events", 300)
    facts = json.loads(done.stdout)
    assert facts["schema"] == "edgesnn.bench/1"
    assert facts["events_per_window"] == 300
    assert facts["windows"] >= 19
    assert 0 < facts["encode_ms"]["p50"] <= facts["encode_ms"]["p99"]
    assert facts["total_ms"]["p50"] >= facts["infer_ms"]["p50"]
    assert facts["share_of_hop"] == pytest.approx(facts["total_ms"]["p50"] / 50)
    assert facts["share_of_hop_p99"] == pytest.approx(facts["total_ms"]["p99"] / 50)
    assert facts["fits"] == (facts["share_of_hop_p99"] < 1)


@pytest.mark.parametrize("fits", [True, False])
def test_bench_s_verdict_stands_beside_the_figure_that_decides_it(
    fits: bool, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgesnn.cli.main import main
    from edgesnn.pipeline import bench

    p99 = 40.0 if fits else 60.0
    monkeypatch.setattr(bench, "spread", lambda values: {"p50": 10.0, "p99": p99})
    assert main(["bench", str(model), "--events", "300"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    verdict = "fits" if fits else "does not fit"
    assert last == f"the hop is 50 ms: p99 takes {2 * p99:.1f} % of it, the median 20.0 %; it {verdict}"


def test_the_summary_counts_what_was_dropped_in_words(recording: Path, model: Path) -> None:
    with LocalBroker() as broker:
        done = edgesnn("replay", recording, "-m", model, "--mqtt", broker.url, "--mqtt-protocol", "3.1.1")
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("mqtt: "))
    assert "{" not in line
    for name in ("accepted ", "dropped.overwritten 0", "dropped.expired 0", "dropped.no_subscriber "):
        assert name in line


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--speed", "2"), 2, "--speed: not a speed: found '2'"),
        (("--node", ""), 5, "not a usable node name"),
        (("--stream", ""), 5, "not a usable stream name"),
    ],
)
def test_a_wrong_flag_is_named(arguments: tuple[str, str], code: int, words: str, recording: Path, model: Path) -> None:
    done = edgesnn("replay", recording, "-m", model, *arguments)
    assert done.returncode == code
    assert words in done.stderr
