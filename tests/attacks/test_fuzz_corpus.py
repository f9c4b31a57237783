"""The corpora of the Python fuzz targets, and drawn inputs, find nothing (fuzz/README.md; native ones: ctest)."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.choices import replay
from fuzz.targets import TARGETS

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_finds_nothing(name: str) -> None:
    count = 100 if name.startswith("recording_") else 300
    assert replay(TARGETS[name], CORPUS / name, count) > count


def test_every_target_has_a_corpus() -> None:
    natives = {path.stem.removesuffix("_fuzz") for path in CORPUS.parent.glob("*_fuzz.cpp")}
    assert {path.name for path in CORPUS.iterdir()} == natives | set(TARGETS)
