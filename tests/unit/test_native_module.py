"""The compiled module: what is said where it is missing, of another Python or processor, or damaged; how it waits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from edgesnn import _native, native_file

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "recordings" / "gate.raw"
EXPECTED = f"_native{EXTENSION_SUFFIXES[0]}"
AGAIN = "; install the package again with this Python\n"


def edgesnn(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "edgesnn", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The package's Python files alone, as from a build that failed."""
    shutil.copytree(ROOT / "edgesnn", tmp_path / "edgesnn", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return tmp_path / "edgesnn"


def refusal(package: Path) -> str:
    """Return the only line that a command says of it."""
    done = edgesnn(package.parent, "info", str(RECORDING))
    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("edgesnn: error: edgesnn._native: the native module ")
    return done.stderr.removeprefix("edgesnn: error: ")


def test_without_the_native_module_one_line_says_so(package: Path) -> None:
    assert refusal(package).endswith(f"was not built: expected {EXPECTED} beside the Python files{AGAIN}")


def test_a_module_of_another_python_or_processor_is_named(package: Path) -> None:
    (package / "_native.cpython-38-sparc64-linux-gnu.so").touch()
    named = "is of another Python or processor: found _native.cpython-38-sparc64-linux-gnu.so"
    assert refusal(package).endswith(f"{named}, expected {EXPECTED} beside the Python files{AGAIN}")


@pytest.mark.parametrize("content", [b"", b"\x7fELF" + bytes(400)])
def test_a_module_that_cannot_be_loaded_is_named(package: Path, content: bytes) -> None:
    (package / EXPECTED).write_bytes(content)
    line = refusal(package)
    assert "is damaged, or of another processor or system: found " in line
    assert str(package / EXPECTED) in line
    assert line.endswith(AGAIN)
    if not content:
        report = edgesnn(package.parent, "doctor").stdout
        assert report.count(line) == 2, report  # of the module and of the backend


@pytest.mark.parametrize("percent", [0.0005, 2, 10, 50, 90, 99, 99.99])
def test_a_module_that_is_cut_is_named_before_it_is_loaded(package: Path, percent: float) -> None:
    content = Path(_native.__file__).read_bytes()
    (package / EXPECTED).write_bytes(content[: int(len(content) * percent / 100)])
    line = refusal(package)
    assert f"is damaged, or of another processor or system: found {package / EXPECTED}: " in line
    assert line.endswith(AGAIN)
    if percent == 50:
        assert f": cut, {len(content) // 2} of {len(content)} bytes" in line
        report = edgesnn(package.parent, "doctor").stdout
        assert report.count(line) == 2, report


def test_a_module_that_lost_what_lies_behind_its_sections_is_cut() -> None:
    """As tools write it that move the sections' table to the front: the segments tell where it ends."""
    content = bytearray(Path(_native.__file__).read_bytes())
    content[40:48] = bytes(8)  # e_shoff
    content[60:62] = bytes(2)  # e_shnum
    assert 4096 < native_file._needed(bytes(content[:4096])) <= len(content)


@pytest.mark.parametrize(
    "header", [b"\x7fELF\x02\x01" + bytes([fill]) * size for fill in (0, 255) for size in (9, 58, 999)]
)
def test_a_header_of_nonsense_raises_nothing(header: bytes) -> None:
    assert native_file._needed(header) >= 0


def test_an_import_that_fails_elsewhere_stays_a_fault_of_ours(package: Path) -> None:
    (package / "cli" / "info.py").write_text("import no_such_module\n")
    done = edgesnn(package.parent, "info", str(RECORDING))
    assert done.returncode == 1
    assert "internal error: ModuleNotFoundError: No module named 'no_such_module'" in done.stderr


def test_the_built_module_waits_by_no_function_newer_than_its_wheels_may_use() -> None:
    """std::condition_variable calls what came with glibc 2.30 for a time of the steady clock; wheels are of 2.28."""
    content = Path(_native.__file__).read_bytes()
    assert b"pthread_cond_timedwait\0" in content
    for name in (b"pthread_cond_clockwait", b"pthread_mutex_clocklock", b"sem_clockwait"):
        assert name not in content


@pytest.mark.full
def test_the_types_are_those_of_the_module() -> None:
    """As mypy's own comparison finds, whatever wrote them; pybind11's metaclass and `__all__` are no types of ours."""
    command = [sys.executable, "-m", "mypy.stubtest", "edgesnn._native"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=250)
    assert "(checked 5 modules)" in done.stdout, done.stdout + done.stderr
    errors = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    known = (" is inconsistent, metaclass differs", ".__all__ is not present at runtime")
    assert [line for line in errors if not line.endswith(known)] == []
