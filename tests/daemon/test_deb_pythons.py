"""The Debian package for the Pythons of JetPack 6 and 7: made, unpacked, and run by such a Python.

dpkg has not installed it on a system of theirs: Debian 12, in which test_deb.py does that, has Python 3.11 alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from edgesnn.errors import PublishError
from edgesnn.publish.broker import free_port
from tests.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
REPLAY = (
    "replay",
    str(ROOT / "recordings" / "left_arm_clockwise_noisy.raw"),
    "-m",
    "gestures",
    "--speed",
    "max",
    "--json",
)
SAME = ("window", "decision", "label", "confidence")
LIBC = {"3.10": 35, "3.12": 39}
"""The C libraries (2.N) of Ubuntu 22.04 and 24.04, on which JetPack 6 and 7 stand."""


def run(*command: str | Path, **variables: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500, env={**kept, **variables})
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def predicted(text: str) -> list[Any]:
    return [[record.get(key) for key in SAME] for record in map(json.loads, text.splitlines())]


def licence(one: metadata.Distribution) -> str:
    """Return what a distribution states of its own licence; where it states nothing, the licence itself."""
    classifiers = [text for text in one.metadata.get_all("Classifier") or [] if text.startswith("License")]
    stated = one.metadata.get_all("License-Expression") or classifiers or one.metadata.get_all("License")
    files = [Path(str(path.locate())) for path in one.files or [] if re.match("LICEN[CS]E", path.name)]
    text = "\n".join(stated or map(Path.read_text, files))
    assert text.strip(), f"{one.name} states no licence"
    return text


def test_a_wheel_whose_c_library_is_not_known_makes_no_package(tmp_path):
    """The build machine's may be newer than that of the board, where dpkg then refuses the package."""
    tag = "cp{}{}".format(*sys.version_info[:2])
    wheel = tmp_path / f"edgesnn-1.2-{tag}-{tag}-linux_x86_64.whl"
    wheel.touch()
    command = [sys.executable, ROOT / "tools" / "make_deb.py", wheel, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"make deb: {wheel}: no manylinux tag, so the C library")
    assert list(tmp_path.iterdir()) == [wheel]


def test_the_c_library_is_that_of_the_oldest_system_that_all_of_it_runs_on():
    libc = load_script("tools/make_deb.py").libc
    assert libc(["35"]) == "2.35"
    assert libc(["34", "35"]) == "2.34"
    assert libc(["17"]) == "2.28", "what is carried needs more"


@pytest.mark.full
@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not installed")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("version", ["3.10", "3.12"])
def test_the_package_runs_with_its_python(version, tmp_path):
    python = {load_script("tools/pythons.py").version_of(one): one for one in interpreters()}.get(version)
    if python is None:
        pytest.skip(f"there is no CPython {version} here, which the package is for")
    run(sys.executable, ROOT / "tools" / "make_debs.py", tmp_path, python)
    (package,) = tmp_path.glob("*.deb")
    tag = version.replace(".", "")
    assert package.name.split("_")[1].endswith(f"~py{tag}")
    needs = run("dpkg-deb", "-f", package, "Depends").strip().split(", ")
    assert needs[:3] == ["python3", f"python{version}", "libstdc++6"]
    (libc,) = re.findall(r"^libc6 \(>= 2\.(\d+)\)$", needs[3])
    assert int(libc) <= LIBC[version]
    assert len(needs) == 4

    tree = tmp_path / "tree"
    run("dpkg-deb", "-x", package, tree)
    site = tree / "usr/lib/edgesnn"
    cached = {path.name.split(".")[-2] for path in (site / "edgesnn").rglob("*.pyc")}
    assert cached == {f"cpython-{tag}"}
    text = (tree / "usr/bin/edgesnn").read_text()
    assert text.startswith(f"#!/usr/bin/python{version} -I\n")
    command = tmp_path / "edgesnn"
    command.write_text(text.replace('SITE = "/usr/lib/edgesnn"', f'SITE = "{site}"'))
    about = json.loads(run(python, "-I", command, "doctor", "--json"))
    assert about["native"]["available"] is True
    assert run(python, "-I", command, "run", "-c", tree / "etc/edgesnn/config.toml", "--print-url")
    example = (tree / "usr/share/doc/edgesnn/examples/camera.toml").read_text()
    camera = tmp_path / "camera.toml"
    camera.write_text(example.replace("127.0.0.1:1883", f"127.0.0.1:{free_port()}"))
    done = subprocess.run([python, "-I", command, "run", "-c", camera, "--check"], capture_output=True, text=True)
    assert done.returncode == PublishError.exit_code, f"all is right but the broker, which is away: {done.stderr}"
    carried = list(metadata.distributions(path=[str(site)]))
    assert {"edgesnn", "lz4", "neuromorphic_drivers", "zstandard"} <= {one.name for one in carried}
    assert [one.name for one in carried if re.search("GPL|GNU", licence(one))] == []
    here = run(sys.executable, "-m", "edgesnn", *REPLAY, PYTHONPATH=str(ROOT))
    assert predicted(run(python, "-I", command, *REPLAY)) == predicted(here)
    assert any(label for _, _, label, _ in predicted(here))


def interpreters() -> list[str]:
    return load_script("tools/pythons.py").found("deb")  # type: ignore[no-any-return]
