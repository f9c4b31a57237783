"""Streams of lines: predictions, sessions by key, snapshots, and what comes that is no text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgesnn
from edgesnn import TokenStream
from edgesnn.errors import ModelError, UsageError
from edgesnn.pipeline.token_records import surprise_share
from edgesnn.prediction import Prediction
from edgesnn.publish.sinks.terminal import format_line
from edgesnn.runtime import Model, snapshot
from edgesnn.schemas import load_schema
from edgesnn.tokens import score
from tests.one_operator import document as one
from tests.token_models import classifier, writer

LINES = ["gate ready", "", "pump 12 is on", "gate ready", "zzz 99.9", "pump 13 is on"]
MODEL = Model(writer(reset="line"))
GOES_ON = Model(writer(reset={"policy": "tokens", "tokens": 5}), backend="reference")
VALIDATOR = jsonschema.Draft202012Validator(load_schema("prediction-1"))


def record(prediction: Prediction) -> dict[str, Any]:
    """Return the JSON of a prediction after the schema has accepted it and it came back the same."""
    numbered = prediction.numbered(node="gate", boot_id="0123456789abcdef", seq=0, ts="2026-01-02T03:04:05.678Z")
    made: dict[str, Any] = json.loads(numbered.to_json())
    VALIDATOR.validate(made)
    assert Prediction.from_dict(made) == numbered
    return made


def facts(prediction: Prediction) -> dict[str, Any]:
    """Return what is the same however often it is made."""
    made = record(prediction)
    return {name: value for name, value in made.items() if name not in ("t_mono_us", "latency_us", "ts")}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text("".join(f"{line}\n" for line in LINES))
    return path


def test_a_file_gives_a_prediction_a_line(log: Path) -> None:
    with TokenStream(log, MODEL) as stream:
        made = [record(prediction) for prediction in stream]
        counters = stream.counters
    assert [(row["kind"], row["window"], row["decision"]) for row in made] == [
        ("tokens", i, "none" if line else "idle") for i, line in enumerate(LINES)
    ]
    scores = list(score(MODEL.session(), LINES))
    for row, wanted in zip(made, scores, strict=True):
        tokens = row["tokens"]
        assert (tokens["surprise_bits"], tokens["bits_per_token"]) == (wanted.total_bits, wanted.bits_per_token)
        assert (tokens["mean"], tokens["deviation"]) == (wanted.mean, wanted.deviation)
        assert (tokens["first"], tokens["count"], tokens["last"]) == (
            wanted.first,
            wanted.count,
            wanted.first + wanted.count - 1,
        )
        assert "sensor" not in row
    assert counters["lines"] == len(LINES)
    assert counters["tokens"] == sum(one.count for one in scores)
    assert counters["source.bytes"] == log.stat().st_size


def test_text_stays_here_unless_it_is_published() -> None:
    private, public = (TokenStream(None, MODEL, publish_text=text, threshold=0.1) for text in (False, True))
    row = record(private.push("secret word"))
    assert "secret" not in json.dumps(row)
    row = record(public.push("secret word"))
    assert row["tokens"]["text"] == "secret word"
    assert {span["text"] for span in row["tokens"]["spans"]} == {"secret", "word"}
    assert "secret" in format_line(public.push("a secret"))


def test_a_line_above_the_threshold_is_an_alert() -> None:
    bits = [one.bits_per_token for one in score(MODEL.session(), LINES) if one.bits_per_token is not None]
    threshold = sorted(set(bits))[-2]
    stream = TokenStream(None, MODEL, threshold=threshold)
    made = [stream.push(line) for line in LINES]
    alerts = [row for row in made if row.decision == "label"]
    assert {(row.label, row.class_index) for row in alerts} == {("alert", 0)}
    assert [row.tokens.bits_per_token for row in alerts if row.tokens] == [bit for bit in bits if bit > threshold]
    for row in made:
        assert row.tokens is not None
        if row.tokens.bits_per_token is not None:
            share = surprise_share(row.tokens.bits_per_token, row.tokens.mean, row.tokens.deviation)
            assert row.topk == (("alert", share),)
        record(row)


@pytest.mark.parametrize("seed", range(5))
def test_the_share_is_a_bound_for_any_distribution(seed: int) -> None:
    """Of any values at most 1 - share lie at or above one, by their own mean and deviation."""
    values = np.random.default_rng(seed).exponential(1 + seed, 200) ** (1 + seed % 3)
    mean, deviation = float(values.mean()), float(values.std())
    for value in values:
        assert (values >= value).mean() <= 1 - surprise_share(float(value), mean, deviation) + 1e-12
    assert surprise_share(1.0, 2.0, 1.0) == surprise_share(1.0, None, None) == surprise_share(3.0, 1.0, None) == 0


def test_a_model_with_labels_decides_by_line() -> None:
    stream = TokenStream(None, Model(classifier()))
    made = [stream.push(line) for line in LINES]
    assert {row.label for row in made if row.decision == "label"} <= {"good", "bad"}
    assert [row.decision == "idle" for row in made] == [not line for line in LINES]
    assert all(len(row.topk or ()) == 2 for row in made if row.decision != "idle")
    for row in made:
        record(row)


def test_each_key_is_a_stream_of_its_own() -> None:
    stream = TokenStream(None, GOES_ON, key=0)
    mixed = [stream.push(line) for line in ("a one", "b one", "a two", "b two")]
    for key in "ab":
        alone = TokenStream(None, GOES_ON)
        wanted = [alone.push(f"{key} {word}") for word in ("one", "two")]
        found = [row for row in mixed if row.tokens is not None and row.tokens.key == key]
        assert [row.tokens.bits_per_token for row in found if row.tokens] == [
            row.tokens.bits_per_token for row in wanted if row.tokens
        ]
    by_origin = TokenStream(None, GOES_ON, key="origin")
    assert [by_origin.push("x", origin).tokens.key for origin in ("h1", "h2")] == ["h1", "h2"]  # type: ignore[union-attr]


def test_the_session_that_was_silent_longest_goes() -> None:
    stream = TokenStream(None, GOES_ON, key=0, sessions=2)
    first = [stream.push(f"{key} x") for key in "abac"]
    assert stream.counters["sessions_evicted"] == 1
    again = stream.push("a x")
    assert again.tokens is not None
    assert again.tokens.first > 0
    fresh = stream.push("b x")
    assert fresh.tokens is not None
    assert (fresh.tokens.first, fresh.tokens.bits_per_token) == (0, first[1].tokens and first[1].tokens.bits_per_token)
    assert stream.counters["sessions"] == 2


def test_a_reset_of_the_streams_own_is_said() -> None:
    rows = [TokenStream(None, GOES_ON, reset=reset).push("x").tokens for reset in (None, "line", "never")]
    assert [row.reset for row in rows if row] == [None, "line", "never"]
    stream = TokenStream(None, GOES_ON, reset={"policy": "tokens", "tokens": 64, "idle_ms": 500})
    assert stream.push("x").tokens.reset == "tokens:64,idle_ms:500"  # type: ignore[union-attr]
    line = TokenStream(None, GOES_ON, reset="line")
    a, b = (line.push("same") for _ in range(2))
    assert a.tokens is not None
    assert b.tokens is not None
    assert a.tokens.bits_per_token == b.tokens.bits_per_token


@settings(max_examples=25)
@given(st.lists(st.sampled_from([*LINES, "gate\xff", "a" * 50]), max_size=8), st.integers(0, 8), st.booleans())
def test_killed_and_restored_it_goes_on_byte_for_byte(lines: list[str], cut: int, labels: bool) -> None:
    options: dict[str, Any] = {"key": 0, "sessions": 2, "threshold": None if labels else 5.0}
    model = Model(classifier("never")) if labels else GOES_ON
    whole = TokenStream(None, model, **options)
    wanted = [facts(whole.push(line)) for line in lines]
    first = TokenStream(None, model, **options)
    begun = [facts(first.push(line)) for line in lines[:cut]]
    second = TokenStream(None, model, **options)
    second.push("something else")
    second.restore(first.snapshot())
    assert begun + [facts(second.push(line)) for line in lines[cut:]] == wanted
    assert second.snapshot() == whole.snapshot()


_GO_ON = """
import sys
from pathlib import Path
from edgesnn import TokenStream
log, model, blob = sys.argv[1:]
with TokenStream(log, model, key=0, threshold=5.0, backend="reference") as stream:
    stream.restore(Path(blob).read_bytes())
    for prediction in stream:
        print(prediction.to_json())
"""


def test_another_process_on_another_backend_goes_on_byte_for_byte(log: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    writer(reset={"policy": "tokens", "tokens": 5}).save(model)
    with TokenStream(log, model, key=0, threshold=5.0, backend="native") as stream:
        for _ in range(3):
            next(stream)
        (tmp_path / "blob").write_bytes(stream.snapshot())
        wanted = [json.loads(row.to_json()) for row in stream]
    command = [sys.executable, "-c", _GO_ON, str(log), str(model), str(tmp_path / "blob")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    made = [json.loads(line) for line in done.stdout.splitlines()]
    for row in (*wanted, *made):
        for name in ("t_mono_us", "latency_us"):
            del row[name]
        del row["model"]["backend"]
    assert made == wanted
    assert len(made) == len(LINES) - 3


@pytest.mark.parametrize("cut", range(len(LINES) + 1))
def test_a_file_goes_on_after_the_last_line(log: Path, cut: int) -> None:
    with TokenStream(log, MODEL) as stream:
        wanted = [facts(row) for row in stream]
    with TokenStream(log, MODEL) as first:
        begun = [facts(next(first)) for _ in range(cut)]
        blob = first.snapshot()
    with TokenStream(log, MODEL) as second:
        second.restore(blob)
        assert begun + [facts(row) for row in second] == wanted
    log.rename(log.with_suffix(".1"))
    log.write_text("new\n")
    with TokenStream(log, MODEL) as third:
        third.restore(blob)
        rest = [row.window for row in third]
    assert rest == [cut]


@pytest.mark.parametrize("cut", range(len(LINES) + 1))
def test_a_stream_that_went_on_is_put_back(log: Path, cut: int) -> None:
    with log.open("a") as open_end:
        open_end.write("no end")
    with TokenStream(log, MODEL) as stream:
        for _ in range(cut):
            next(stream)
        blob = stream.snapshot()
        wanted = [facts(row) for row in stream]
        for _ in range(2):
            stream.restore(blob)
            assert not stream.ended
            assert stream.snapshot() == blob
            assert [facts(row) for row in stream] == wanted


def test_a_place_before_a_truncation_is_none_in_what_grew_since(log: Path) -> None:
    with TokenStream(log, MODEL, follow=True) as first:
        while first.poll(0) is not None:
            pass
        os.truncate(log, 0)
        assert first.poll(200) is None
        assert first.counters["source.truncations"] == 1
        log.write_text("".join(f"new {i}\n" for i in range(40)))
        blob = first.snapshot()
    with TokenStream(log, MODEL) as second:
        second.restore(blob)
        assert sum(1 for _ in second) == 40


def test_a_snapshot_that_is_none_changes_nothing() -> None:
    stream = TokenStream(None, MODEL)
    stream.push("a")
    before = stream.snapshot()
    other = TokenStream(None, GOES_ON)
    keyed = TokenStream(None, MODEL, key=0)
    for line in ("a", "b"):
        keyed.push(line)
    small = TokenStream(None, MODEL, sessions=1)
    for blob in (b"", before[:-1], other.snapshot(), MODEL.session().snapshot()):
        with pytest.raises(ModelError):
            stream.restore(blob)
        assert stream.snapshot() == before
    with pytest.raises(ModelError, match="snapshot is of no such stream"):
        small.restore(keyed.snapshot())
    arrays = snapshot.decode(before, MODEL.identity, ["decide", "session", "source", "tokens"])
    for wrong in (
        {"tokens/9/known": np.zeros(0, np.float32)},
        {"tokens/counts": np.array([-1, 0, 0])},
        {"tokens/keys": np.frombuffer(b'["a","a"]', np.uint8)},
        {"tokens/keys": np.frombuffer(b"{}", np.uint8)},
        {"source/mark": np.array([1, 2])},
        {"source/mark": np.array([1, -2, 3])},
        {"tokens/0/counts": np.array([1, -2, 0])},
        {"tokens/0/known": np.full_like(arrays["tokens/0/known"], np.nan)},
        {"decide/0": np.zeros(0, np.int64)},
        {"session/0": np.zeros(0, np.uint8)},
    ):
        blob = snapshot.encode({**arrays, **wrong}, MODEL.identity, ["decide", "session", "source", "tokens"])
        with pytest.raises(ModelError):
            stream.restore(blob)
        assert stream.snapshot() == before


def test_text_that_is_none_goes_through() -> None:
    stream = TokenStream(None, MODEL)
    for data in (b"\xff\xfe\x00", b"\x00" * 9, b"x" * 200_000, "\ud800 ü".encode("utf-8", "surrogatepass"), b"\r"):
        record(stream.push(data))
    assert stream.counters["lines"] == 5


def test_a_line_of_100_mb_is_one_prediction_of_its_start(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"a" * 1_000_000)
        file.write(b"\nnext\n")
    with TokenStream(path, MODEL) as stream:
        counts = [row.tokens.count for row in stream if row.tokens]
        assert counts == [65_537, 5]
        assert (stream.counters["source.lines_cut"], stream.counters["source.bytes_cut"]) == (1, 100_000_000 - 65_536)
    os.unlink(path)


def test_lines_of_numbers_are_a_token_a_channel() -> None:
    tokenizer = {"kind": "numbers", "edges": [[0, 10, 20], [5]]}
    stream = TokenStream(None, Model(writer({"vocab": 8, "tokenizer": tokenizer}, reset="never")), publish_text=True)
    rows = [stream.push(line).tokens for line in ("1.5, nan", "", "12;7", "no numbers at all")]
    assert [row.count for row in rows if row] == [2, 0, 2, 2]
    assert [len(row.spans) for row in rows if row] == [2, 0, 2, 2]
    assert rows[0] is not None
    assert rows[0].spans[1].bits == 0  # nothing stands before the first value of all
    assert {span.text for span in rows[2].spans if rows[2]} == {"10..20,", "5.."}  # type: ignore[union-attr]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"key": -1}, "not a key of sessions"),
    ({"key": "host"}, "not a key of sessions"),
    ({"sessions": 0}, "not a number of sessions"),
    ({"threshold": float("nan")}, "not a threshold"),
    ({"threshold": "5"}, "not a threshold"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TokenStream(None, MODEL, **options)


def test_calls_that_do_not_fit_are_refused(log: Path) -> None:
    for reset in ("word", {"policy": "tokens"}, {"policy": "never", "idle_ms": 1 << 40}):
        with pytest.raises(UsageError, match="reset: not a reset policy: found"):
            TokenStream(None, MODEL, reset=reset)
    for line in (5, None, ["a"], 10**12):
        with pytest.raises(UsageError, match="not a text: found"):
            TokenStream(None, MODEL).push(line)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="the model reads no tokens"):
        TokenStream(None, Model(one("accumulate", [3])))
    with pytest.raises(ModelError, match="the model has no tokenizer"):
        TokenStream(None, Model(writer({"tokenizer": None})))
    with TokenStream(log, MODEL) as stream, pytest.raises(UsageError, match="has a source"):
        stream.push("a")
    with pytest.raises(UsageError, match="the stream is closed"):
        next(stream)
    pushed = TokenStream(None, MODEL)
    with pytest.raises(UsageError, match="the stream has no source"):
        next(pushed)
    with pytest.raises(UsageError, match="a line holds a line's end"):
        pushed.push("a\nb")
    assert edgesnn.TokenStream is TokenStream
