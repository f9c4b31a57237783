"""What `make aarch64` runs: its patterns name tests that are there, once; what a system lacks is one line."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
from hypothesis import strategies as st

from tests import conftest

ROOT = Path(__file__).resolve().parents[2]


def test_what_the_patterns_name_is_there_and_named_once() -> None:
    files = runpy.run_path(str(ROOT / "tools" / "aarch64" / "selection.py"))["files"]
    first, second = files("cortex-a76"), files("cortex-a72")
    assert len(set(first)) == len(first)
    assert set(second) < set(first)
    assert {"attacks", "conformance", "property", "unit"} <= {name.split("/")[1] for name in second}
    for name in first:  # no torch there: a file that needs it whole would be skipped without a word
        assert not re.search(
            r"(?m)^(torch = .*|import torch.*|pytest.importorskip\(.torch.*)$", (ROOT / name).read_text()
        )


def test_one_in_three_cases_of_each_test_and_arm_is_kept_and_a_third_is_drawn() -> None:
    drawn: list[int] = []

    @hypothesis.settings(max_examples=30, database=None)
    @hypothesis.given(st.integers())
    def draws(number: int) -> None:
        drawn.append(number)

    names = ["a.py::one", *(f"a.py::many[{i}]" for i in range(7)), "b.py::many[0]", "b.py::draws"]
    items: list[Any] = [SimpleNamespace(nodeid=name, obj=draws if "draws" in name else None) for name in names]
    for arm in ("scalar", "neon_dotprod"):
        names += [f"c.py::arms[{arm}-{i}]" for i in range(3)]
        params = SimpleNamespace(params={"arm": arm})
        items += [SimpleNamespace(nodeid=name, obj=None, callspec=params) for name in names[-3:]]
    left: list[Any] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: left.extend(items))
    conftest.keep_one_in(3, SimpleNamespace(hook=hook), items)  # type: ignore[arg-type]
    kept = ["a.py::one", "a.py::many[0]", "a.py::many[3]", "a.py::many[6]", "b.py::many[0]", "b.py::draws"]
    kept += ["c.py::arms[scalar-0]", "c.py::arms[neon_dotprod-0]"]
    assert [item.nodeid for item in items] == kept
    assert [item.nodeid for item in left] == [name for name in names if name not in kept]
    conftest.draw_one_in(3, items)
    draws()
    assert 1 <= len(drawn) <= 10


def test_what_is_missing_for_aarch64_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    command = ["/bin/sh", str(ROOT / "tools" / "aarch64" / "check_system.sh")]
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    wanted = "make aarch64: missing on this system: sudo apt install g++-aarch64-linux-gnu qemu-user\n"
    assert (done.stdout, done.stderr) == ("", wanted)
