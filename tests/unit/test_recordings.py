"""The shipped recordings: what the manifest says, byte for byte, and made again from the seed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = json.loads((ROOT / "recordings" / "manifest.json").read_text())
LIMIT_BYTES, DEMO_LIMIT_BYTES = 3_000_000, 1_500_000


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """Return recordings/make.py as a module."""
    return load_script("recordings/make.py")


@pytest.mark.parametrize("name", MANIFEST)
def test_a_shipped_file_is_the_one_in_the_manifest(name: str) -> None:
    assert hashlib.sha256((ROOT / name).read_bytes()).hexdigest() == MANIFEST[name]["sha256"]


def test_the_folder_is_small_and_fully_listed() -> None:
    listed = {name for name in MANIFEST if name.startswith("recordings/")}
    assert {f"recordings/{path.name}" for path in (ROOT / "recordings").glob("*.raw")} == listed
    assert sum(entry["size_bytes"] for entry in MANIFEST.values()) < LIMIT_BYTES
    assert MANIFEST["edgesnn/zoo/demo.raw"]["size_bytes"] < DEMO_LIMIT_BYTES


def test_the_smallest_recording_is_made_again_from_its_seed(maker: ModuleType, tmp_path: Path) -> None:
    name = min(MANIFEST, key=lambda key: MANIFEST[key]["size_bytes"])
    entry = maker.make(name, tmp_path)
    assert entry["sha256"] == MANIFEST[name]["sha256"]
    assert json.loads(json.dumps(entry)) == MANIFEST[name]


def test_a_moving_recording_is_made_again_from_its_seed(maker: ModuleType, tmp_path: Path) -> None:
    name = "recordings/hand_clap.raw"
    assert maker.make(name, tmp_path)["sha256"] == MANIFEST[name]["sha256"]
