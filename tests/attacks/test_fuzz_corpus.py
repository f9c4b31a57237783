"""The corpora of the Python fuzz targets, and drawn inputs, find nothing (fuzz/README.md; native ones: ctest)."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz import model_file, snapshot_file
from fuzz.choices import Target, replay

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"


@pytest.mark.parametrize(
    ("name", "target"), [("model_file", model_file.one_input), ("snapshot_file", snapshot_file.one_input)]
)
def test_the_corpus_finds_nothing(name: str, target: Target) -> None:
    assert replay(target, CORPUS / name, 300) > 300
