"""The file of a bundle: what is altered is found, what is none is one clear error; the commands that read it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edgesnn
from edgesnn.cli.main import main
from edgesnn.errors import RecordingError
from edgesnn.recorder import bundle
from edgesnn.recorder.bundle import Bundle
from edgesnn.recorder.check import Difference, differences, model_of
from tests.flights import Flight, files, resealed, streamed

__all__ = ["files"]  # a fixture


@pytest.fixture(scope="module")
def made(files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """A bundle of events and one of lines."""
    folder = tmp_path_factory.mktemp("made")
    both = {}
    for kind, name, source in (("events", "points", "walk.bin"), ("tokens", "writer", "app.log")):
        stream, model = streamed(files, name, source)
        (both[kind],) = Flight(folder / kind, stream, model, stop_after=4).end()
    return both


@given(st.sampled_from(["events", "tokens"]), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
def test_one_bit_anywhere_is_found(made, tmp_path, kind, share, bit):
    data = bytearray(Path(made[kind].path).read_bytes())
    data[int(share * len(data))] ^= 1 << bit
    (tmp_path / "flipped.bundle").write_bytes(data)
    with pytest.raises(RecordingError, match=r"flipped\.bundle"):
        bundle.read(tmp_path / "flipped.bundle")


@given(st.sampled_from(["events", "tokens"]), st.floats(0, 1, exclude_max=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=30)
def test_one_that_is_cut_is_one_clear_error(made, tmp_path, kind, share):
    data = Path(made[kind].path).read_bytes()
    (tmp_path / "cut.bundle").write_bytes(data[: int(share * len(data))])
    with pytest.raises(RecordingError, match=r"cut\.bundle"):
        bundle.read(tmp_path / "cut.bundle")


def altered(made: Bundle, path: Path, change: Any) -> Bundle:
    """Return the bundle with another published prediction, and the right checksum."""
    records = [json.loads(one.to_json()) for one in made.published]
    change(records[2])
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    return bundle.read(resealed(made, path, published=np.frombuffer(text, np.uint8)))


def next_float(record: dict[str, Any], name: str) -> None:
    record[name] = float(np.nextafter(record[name], 2.0))


ALTERATIONS: dict[str, Any] = {
    "spikes": lambda r: r.update(spikes=r["spikes"] ^ 1),
    "synops": lambda r: r.update(synops=r["synops"] ^ 1),
    "topk": lambda r: r["topk"][0].__setitem__(1, float(np.nextafter(r["topk"][0][1], 2.0))),
    "sensor": lambda r: r["sensor"].update(dropped=1),
    "decision": lambda r: r.update(decision="idle"),
    "label": lambda r: r.update(label="other"),
    "class": lambda r: r.update({"class": 7}),
    "confidence": lambda r: r.update(confidence=0.123),
    "window": lambda r: r.update(window=1234),
    "model.sha256": lambda r: r["model"].update(sha256="0" * 64),
}


@pytest.mark.parametrize("field", ALTERATIONS)
def test_a_prediction_that_was_forged_is_one_line_with_its_field(made, tmp_path, capsys, field):
    forged = altered(made["events"], tmp_path / "forged.bundle", ALTERATIONS[field])
    found = list(differences(forged, model_of(forged)))
    assert [one.field for one in found] == [field]
    assert main(["replay", forged.path, "--check"]) == 3
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert f": {field}: expected " in out
    assert "1 difference" in err


def test_events_that_were_forged_are_found(made, tmp_path):
    events = made["events"].taken["events"].copy()
    events["x"][: len(events) // 2] ^= 8
    raw = events.view(np.uint8).reshape(-1, 13)
    forged = bundle.read(resealed(made["events"], tmp_path / "forged.bundle", events=raw))
    assert {one.field for one in differences(forged, model_of(forged))} & {"spikes", "topk"}


def test_lines_that_were_forged_are_found(made, tmp_path):
    text = made["tokens"].taken["text"].copy()
    text[4] ^= 1
    forged = bundle.read(resealed(made["tokens"], tmp_path / "forged.bundle", text=text))
    assert {one.field for one in differences(forged, model_of(forged))} >= {"tokens"}


def test_decisions_that_were_not_made_are_a_difference(made, tmp_path):
    forged = bundle.read(resealed(made["events"], tmp_path / "forged.bundle", decisions=400))
    assert list(differences(forged, model_of(forged)))[-1].field == "decisions"
    assert "the stretch: decisions: expected 400" in str(Difference(None, "decisions", 400, 4))


def test_another_model_and_one_whose_weights_have_changed_are_refused(made, files, tmp_path, capsys):
    one = made["events"]
    assert main(["replay", one.path, "--check", "-m", str(files / "spikes.safetensors")]) == 4
    assert "another model than the bundle's" in capsys.readouterr().err
    data = bytearray((files / "points.safetensors").read_bytes())
    weight = edgesnn.load(files / "points.safetensors").document.tensors["deep.weight"].data.tobytes()
    data[data.index(weight) + 100] ^= 1
    other = tmp_path / "points.safetensors"
    other.write_bytes(data)
    assert main(["replay", one.path, "--check", "-m", str(other)]) == 4
    assert "deep.weight" in capsys.readouterr().err
    moved = bundle.read(
        resealed(one, tmp_path / "moved.bundle", model={**one.about["model"], "path": "./gone.safetensors"})
    )
    assert main(["replay", moved.path, "--check"]) == 4
    assert "-m MODEL" in capsys.readouterr().err
    assert main(["replay", moved.path, "--check", "-m", str(files / "points.safetensors")]) == 0


def huge(one: Bundle) -> dict[str, Any]:
    packets = one.taken["packets"].copy()
    packets[0, 0] = 1 << 60
    return {"packets": packets}


def negative(one: Bundle) -> dict[str, Any]:
    packets = one.taken["packets"].copy()
    packets[0, 0], packets[1, 0] = -5, packets[1, 0] + packets[0, 0] + 5
    return {"packets": packets}


HOSTILE: dict[str, Any] = {
    "packets or lines that are not what is there": huge,
    "packets or lines": negative,
    "'packets' is another": lambda one: {"packets": one.taken["packets"].astype(np.int32)},
    "'events' is another": lambda one: {"events": np.zeros((3, 12), np.uint8)},
    "'start' is another": lambda one: {"start": np.zeros((2, 2), np.uint8)},
    "another version": lambda one: {"version": 2},
    "neither events nor tokens": lambda one: {"kind": "frames"},
    "tensor 'events' is unknown": lambda one: {"kind": "tokens"},
    "not a number of decisions": lambda one: {"decisions": 1 << 60},
    "'decisions' is not": lambda one: {"decisions": True},
    "'model' is not": lambda one: {"model": ["x"]},
    "published prediction 0": lambda one: {"published": np.frombuffer(b"{}\n", np.uint8)},
    "published prediction 0 is": lambda one: {"published": np.frombuffer(b"[" * 100_000, np.uint8)},
    "more predictions than decisions": lambda one: {"decisions": 1},
}


@pytest.mark.parametrize("why", HOSTILE)
def test_a_hostile_one_is_one_clear_error(made, tmp_path, capsys, why):
    path = resealed(made["events"], tmp_path / "hostile.bundle", **HOSTILE[why](made["events"]))
    for command in (["replay", str(path), "--check"], ["info", str(path)]):
        assert main(command) == 3
        err = capsys.readouterr().err
        assert why in err, err
        assert err.count("\n") == 1


CONFIGURED: dict[str, Any] = {
    "no sensor": {"config": {}},
    "a filter that writes": {"filters": ["../../etc/passwd"]},
    "no filters": {"filters": 5},
    "a sensor of nothing": {"sensor": [0, 0]},
    "a sensor of words": {"sensor": "wide"},
    "windows without end": {"window_events": 1 << 60},
    "an adapter": {"adapt": {"a": 1}},
}


@pytest.mark.parametrize("case", CONFIGURED)
def test_a_configuration_that_cannot_be_is_one_clear_error(made, tmp_path, capsys, case):
    one, change = made["events"], CONFIGURED[case]
    config = change.get("config", {**one.about["config"], **change})
    path = resealed(one, tmp_path / "hostile.bundle", config=config)
    assert main(["replay", str(path), "--check"]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_a_state_that_is_none_is_one_clear_error(made, tmp_path, capsys):
    for start in (b"", b"not a snapshot", os.urandom(4096)):
        path = resealed(made["events"], tmp_path / "hostile.bundle", start=np.frombuffer(start, np.uint8))
        assert main(["replay", str(path), "--check"]) == 3
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("kind", ["folder", "fifo", "text"])
def test_what_is_no_bundle_is_not_taken_for_one(tmp_path, capsys, kind):
    path = tmp_path / "x.bundle"
    {
        "folder": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
        "text": lambda: path.write_text("x"),
    }[kind]()
    assert main(["replay", str(path), "--check"]) == 2
    assert "only a bundle is checked" in capsys.readouterr().err
    with pytest.raises(RecordingError):
        bundle.read(path)


def test_one_that_is_not_there_is_not_there(tmp_path, capsys):
    assert main(["replay", str(tmp_path / "none.bundle"), "--check"]) == 3
    assert "none.bundle: cannot be opened: no such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["raw", "npz", "csv"])
def test_its_events_become_a_recording_as_the_stream_took_them_in(files, tmp_path, capsys, suffix):
    stream, model = streamed(files, filters=["refractory:period=1ms"])
    (one,) = Flight(tmp_path / "bundles", stream, model, stop_after=4).end()
    target = tmp_path / f"door.{suffix}"
    assert main(["convert", one.path, str(target)]) == 0, capsys.readouterr().err
    whole = edgesnn.open(stream.source, sensor=tuple(one.about["config"]["sensor"])).read()
    written = edgesnn.open(target).read()
    assert len(written) == len(one.taken["events"]) > 1000
    at = int(np.flatnonzero(whole["t"] == written["t"][0])[0])
    assert np.array_equal(written, whole[at : at + len(written)])
    part = tmp_path / f"part.{suffix}"
    middle_us = int(written["t"][len(written) // 2])
    assert main(["convert", one.path, str(part), "--start", f"{middle_us}us"]) == 0
    assert len(edgesnn.open(part).read()) == (written["t"] >= middle_us).sum()


def test_one_that_cannot_be_a_recording_is_one_clear_error(made, tmp_path, capsys):
    config = {**made["events"].about["config"], "sensor": [0, "x"]}
    hostile = resealed(made["events"], tmp_path / "hostile.bundle", config=config)
    target = str(tmp_path / "x.raw")
    for command, code, why in (
        (["convert", made["tokens"].path, target], 3, "holds no events"),
        (["convert", str(hostile), target], 3, "no sensor size"),
        (["convert", made["events"].path, target, "--from", "evt3"], 2, "--from"),
    ):
        assert main(command) == code
        err = capsys.readouterr().err
        assert why in err, err
        assert err.count("\n") == 1
    assert not Path(target).exists()


def test_flags_that_a_bundle_says_itself_are_refused(made, capsys):
    path = made["events"].path
    for flags in (["--filter", "hot_pixels"], ["--sensor", "10x10"], ["--follow"], ["--stream", "x"]):
        assert main(["replay", path, *flags]) == 2
        assert flags[0] in capsys.readouterr().err


def test_info_says_what_it_is_and_replay_prints_it(made, capsys):
    for kind in ("events", "tokens"):
        path = made[kind].path
        assert main(["info", path]) == 0
        out = capsys.readouterr().out
        assert f"{'trigger':<14} stop" in out
        assert "4, 4 of them published" in out
        assert main(["info", path, "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["kind"], report["published"]) == (kind, 4)
        assert main(["replay", path, "--json"]) == 0
        records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [record["window"] for record in records] == [one.window for one in made[kind].published]


def test_replay_without_a_model_says_so(files, capsys):
    assert main(["replay", str(files / "walk.bin")]) == 2
    assert "no model" in capsys.readouterr().err
