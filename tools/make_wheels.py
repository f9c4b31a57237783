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
import re
import shutil
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

from pythons import chosen
from target import ROOT, TAGGERS, Target

WHEELS = Target("wheels")
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
    tools = WHEELS.environment(work / "tools", next(iter(pythons.values())), ("build>=1.2", *TAGGERS))
    WHEELS.step("build the archive", tools / "python", "-m", "build", "--sdist", "--outdir", out, ROOT)
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
        check_contents(WHEELS.tag(tools, wheel, out))
    proved = max(work.glob("proof-*"))  # of the newest Python: the versions that it gets are no other's
    WHEELS.step("write the SBOM", proved / "bin" / "python", ROOT / "tools" / "make_sbom.py", out)
    report(out)
    return 0


def check_sources(wheel: Path, source: Path) -> None:
    """Refuse a wheel of `make aarch64` that is not of these sources, or was not proved.

    Its Python files are in it; what the module is compiled of, build.sh has listed beside it (sha256sum). That all
    that runs under emulation has passed with it, run.sh says in the end.
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
        wrong = f"not of these sources: {wrong}"
    elif hashlib.sha256(wheel.read_bytes()).hexdigest() not in _read(wheel.with_name("proved")):
        wrong = "not proved: make aarch64 has not come to its end"
    if wrong:
        raise SystemExit(f"make wheels: {wheel}: {wrong}; make aarch64 again, or remove {wheel.parent}")


def _read(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def build(work: Path, source: Path, out: Path, tools: Path, version: str, python: str) -> str:
    """Build the wheel of one Python, put it into OUT, prove it, and return what it predicts."""
    builder, raw = WHEELS.environment(work / f"build-{version}", python, ()), work / f"raw-{version}"
    WHEELS.step(f"build for {version}", builder / "python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", raw, source)
    (built,) = raw.glob("*.whl")
    wheel = WHEELS.tag(tools, built, out)
    check_contents(wheel)
    return prove(work, wheel, python, version)


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
    command = WHEELS.environment(work / f"proof-{version}", python, (str(wheel),)) / "edgesnn"
    empty = work / f"empty-{version}"
    empty.mkdir()
    WHEELS.output(command, "doctor", "--json", cwd=empty)
    records = [json.loads(line) for line in WHEELS.output(command, *REPLAY, cwd=empty).splitlines()]
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


if __name__ == "__main__":
    sys.exit(main())
