"""The scripts behind the Makefile: what is missing is one apt line; a step shows its command and its failure."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def check_system(python: str, path: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(ROOT / "tools" / "check_system.sh"), python]
    return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, timeout=60)


def step(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, str(ROOT / "tools" / "step.py"), "a step", *command]
    return subprocess.run(script, cwd=folder, capture_output=True, text=True, timeout=60)


def test_a_missing_compiler_is_one_apt_line():
    done = check_system(sys.executable, "/nowhere")
    assert done.returncode == 1
    assert "    sudo apt install g++\n" in done.stderr


def test_a_missing_python_is_in_the_same_line(tmp_path):
    done = check_system("python3", "/nowhere")
    assert done.returncode == 1
    assert "    sudo apt install python3 python3-dev python3-venv g++\n" in done.stderr


def test_an_old_python_is_named(tmp_path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.8.10\nexit 1\n')
    old.chmod(0o755)
    done = check_system(str(old), "/usr/bin:/bin")
    assert done.returncode == 1
    assert "Python 3.8.10, edgesnn needs 3.10 or later" in done.stderr


def test_a_whole_system_says_nothing():
    done = check_system(sys.executable, "/usr/bin:/bin:/usr/local/bin")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_path_with_a_space_is_refused_before_anything_is_fetched(tmp_path):
    """Flags of a compiler go through lists that part at spaces."""
    folder = tmp_path / "my board" / "tools" / "aarch64"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "aarch64" / "prepare.sh", folder)
    command = ["sh", str(folder / "prepare.sh"), sys.executable]
    done = subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    found = f"found '{tmp_path / 'my board'}', expected a path without spaces"
    assert done.stderr == f"make aarch64: {found}: compilers' flags cannot have them; move it\n"
    assert not (tmp_path / "my board" / "build").exists()


def test_a_step_shows_its_command_and_keeps_its_output(tmp_path):
    done = step(tmp_path, "echo", "much output")
    assert (done.returncode, done.stdout, done.stderr) == (0, "$ echo 'much output'\n", "")
    assert (tmp_path / "build/logs/a-step.log").read_text() == "much output\n"


def test_a_step_that_fails_shows_why(tmp_path):
    done = step(tmp_path, "sh", "-c", "echo the reason; exit 3")
    assert done.returncode == 3
    assert "the reason" in done.stderr
    assert "exit code 3" in done.stderr


def test_a_long_step_gives_signs_of_life(tmp_path):
    done = step(tmp_path, "sleep", "4.5")
    assert "  a step: 4 s\n" in done.stdout


def test_make_help_lists_the_two_commands():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    for target in ("demo", "test", "test-full", "lint", "bench", "clean"):
        assert f"\n{target} " in f"\n{done.stdout}"
