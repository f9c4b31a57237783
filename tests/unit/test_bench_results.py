"""The newest rows of bench/results are of what is in the repository now, not of models that were replaced since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import edgesnn
from edgesnn.runtime.model import ZOO, zoo

RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"


def rows_of(bench: str) -> list[dict[str, Any]]:
    """Return the results of a bench, oldest first."""
    return [json.loads(line)["results"] for line in (RESULTS / f"{bench}.jsonl").read_text("utf-8").splitlines()]


TEXT = "shakespeare"


@pytest.mark.parametrize("name", [name for name in zoo() if not name.startswith(TEXT)])
def test_the_newest_time_per_window_is_of_the_shipped_file(name: str) -> None:
    newest = {row["model"]: row for results in rows_of("spikepoint") for row in results["models"]}
    assert newest[name]["identity"] == edgesnn.load(name).identity[:12]


def test_the_newest_time_per_token_is_of_the_shipped_file() -> None:
    identities = rows_of("tokens")[-1]["speed"][0]["identities"]
    assert identities["int8"] == edgesnn.load(TEXT).identity[:12]


def test_the_newest_way_to_the_broker_is_of_the_shipped_recording_and_fits_the_memory_goal() -> None:
    row = rows_of("pipeline")[-1]
    assert (row["model"], row["recording"]) == ("gestures", "demo.raw")
    assert row["windows"] == len(list(edgesnn.Pipeline(ZOO / row["recording"], row["model"])))
    assert row["replay_peak_mb"] < 120


@pytest.mark.parametrize("bench", ["events", "encode"])
def test_decoding_and_encoding_have_rows(bench: str) -> None:
    assert rows_of(bench)[-1]
