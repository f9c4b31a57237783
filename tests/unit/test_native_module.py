"""The compiled module: what is said where it is missing, of another Python or processor, or damaged; how it waits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from edgesnn import _native

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
