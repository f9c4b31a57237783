"""The container's files: what hadolint says, that what they copy and run is there. No image is built here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgesnn.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "container"
BESIDE = Path(sys.executable).with_name("hadolint")
HADOLINT = str(BESIDE) if BESIDE.exists() else shutil.which("hadolint")


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed (there is none for this machine)")
def test_hadolint_finds_nothing():
    assert HADOLINT is not None
    command = [HADOLINT, "--no-color", "--failure-threshold", "style", str(FOLDER / "Containerfile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_there_and_what_builds_the_package_is_copied():
    text = (FOLDER / "Containerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE) for name in line.split()]
    assert all((ROOT / name).exists() for name in copied), copied
    assert {"pyproject.toml", "CMakeLists.txt", "README.md", "LICENSE", "native", "edgesnn"} == set(copied)
    assert 'CMD ["run"' in text
    assert "run" in COMMANDS


def test_the_composition_is_closed_and_fits_the_container():
    document: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    service = document["services"]["edgesnn"]
    assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == FOLDER / "Containerfile"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    targets = [volume.split(":")[1] for volume in service["volumes"]]
    text = (FOLDER / "Containerfile").read_text()
    assert "/var/lib/edgesnn" in targets
    assert "VOLUME /var/lib/edgesnn" in text
    assert set(document["volumes"]) == {
        volume.split(":")[0]
        for one in document["services"].values()
        for volume in one["volumes"]
        if not volume.startswith(("/", "."))
    }
    broker = document["services"]["mosquitto"]
    mounted = dict(volume.split(":")[:2][::-1] for volume in broker["volumes"])
    assert (FOLDER / mounted["/mosquitto/config/mosquitto.conf"]).is_file()  # what the image runs
    (kept,) = re.findall(r"^persistence_location (.*)/$", (FOLDER / "mosquitto.conf").read_text(), re.MULTILINE)
    assert mounted[kept] in document["volumes"]
    for port in broker["ports"]:
        assert port.startswith("127.0.0.1:"), "a broker without passwords for the board alone"
