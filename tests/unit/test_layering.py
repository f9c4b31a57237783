"""Imports only point down the list of rooms, and heavy packages stay where they belong (docs/architecture.md)."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "edgesnn"

# From the top of the house to its ground floor; a room may import its own row and the rows below.
ROWS = [
    {"cli", "__main__"},
    {"train"},
    {"daemon"},
    {"recorder"},
    {"pipeline"},
    {"publish"},
    {"quantize"},
    {"importers"},
    {"models"},
    {"runtime"},
    {"exporters"},
    {"graph"},
    {"encode", "tokens"},
    {"events"},
    {"hdf5"},
    {"mqtt", "board"},
    {"prediction", "schemas", "broker_url"},
    {
        "errors",
        "units",
        "version",
        "clock",
        "spread",
        "variants",
        "replacement",
        "_native",
        "native_file",
        "packages",
        "zoo",
    },
]
LEVEL = {room: len(ROWS) - index for index, row in enumerate(ROWS) for room in row}

# What a room may import besides the standard library, numpy and edgesnn.
EXTRA = {
    "train": {"torch", "tonic", "tomli", "tokenizers"},
    "events": {"h5py", "hdf5plugin"},
    "exporters": {"onnx"},
    "importers": {"h5py", "torch"},
    "models": {"torch"},
    "mqtt": {"paho"},
    "publish": {"amqtt"},
    "runtime": {"onnxruntime", "tensorrt"},
    "cli": {"paho"},
    "daemon": {"prometheus_client", "pydantic", "pydantic_core"},
    "tokens": {"tokenizers"},
}
NUMPY_FREE = {
    *("cli", "publish", "mqtt", "board", "prediction", "schemas", "broker_url"),
    *("clock", "errors", "native_file", "packages", "replacement", "spread", "units", "variants", "version"),
}


NATIVE = PACKAGE.parent / "native"
NATIVE_MAY = {
    "base": set(),
    "events": {"base"},
    "encode": {"base"},
    "kernels": {"base"},
    "executor": {"base", "encode", "kernels"},
    "pipeline": {"base", "events", "encode", "executor"},
    "bindings": {"base", "events", "encode", "kernels", "executor", "pipeline"},
}
"""Which native rooms a native room may include besides itself."""


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Yield the absolute names that a module imports anywhere, or as soon as it is imported."""
    tree = ast.parse(path.read_text("utf-8"), str(path))
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "edgesnn":
                yield from (f"edgesnn.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


def own_rooms(path: Path) -> Iterator[str]:
    for name in imports(path):
        package, _, rest = name.partition(".")
        room = rest.split(".")[0]
        if package == "edgesnn" and room and ((PACKAGE / room).exists() or (PACKAGE / f"{room}.py").exists()):
            yield room


def test_every_room_has_its_row():
    found = {room_of(path) for path in modules()}
    assert found <= set(LEVEL), f"rooms without a row in this test and in docs/architecture.md: {found - set(LEVEL)}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    room = room_of(path)
    upward = {other for other in own_rooms(path) if LEVEL[other] > LEVEL[room]}
    assert not upward, f"{room} must not import {upward}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_other_packages_stay_in_their_rooms(path):
    room = room_of(path)
    allowed = {"edgesnn", "numpy", *sys.stdlib_module_names, *EXTRA.get(room, set())}
    strangers = {name.split(".")[0] for name in imports(path)} - allowed
    assert not strangers, f"{room} must not import {strangers}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_importers_may_read_a_pickle(path):
    """A checkpoint that a user was given may hold code."""
    if room_of(path) == "importers":
        return
    assert not {name.split(".")[0] for name in imports(path)} & {"pickle", "marshal", "shelve", "joblib", "dill"}
    readers = ("torch.load(", "torch.jit.load(", "allow_pickle=True")
    assert not [word for word in readers if word in path.read_text("utf-8")]


# What no registry has: it comes with the board.
OF_THE_BOARD = {"tensorrt"}


@pytest.mark.parametrize("package", sorted(set().union(*EXTRA.values()) - OF_THE_BOARD))
def test_what_a_room_may_import_stands_in_the_requirements(package):
    """Also what only an older Python needs: `tomli` where there is no tomllib."""
    page = (PACKAGE.parent / "pyproject.toml").read_text("utf-8")
    names = {"paho": "paho-mqtt", "prometheus_client": "prometheus-client", "pydantic_core": "pydantic"}
    name = names.get(package, package)
    assert re.search(rf'"{name}[=><;]', page), f"no requirement or extra of pyproject.toml names {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_that_need_no_numpy_do_not_import_it_at_once(path):
    if room_of(path) in NUMPY_FREE:
        assert "numpy" not in {name.split(".")[0] for name in imports(path, top_level_only=True)}


def native_files() -> list[Path]:
    files = (path for path in NATIVE.rglob("*") if path.suffix in (".cpp", ".hpp", ".inl"))
    return sorted(path for path in files if path.relative_to(NATIVE).parts[0] != "tests")


def test_native_rooms_include_what_they_may():
    for path in native_files():
        room = path.relative_to(NATIVE).parts[0]
        included = {name.split("/")[0] for name in re.findall(r'^#include "(.+)"', path.read_text("utf-8"), re.M)}
        assert included <= {room, *NATIVE_MAY[room]}, f"{path} includes {included}"


def test_times_are_waited_for_by_the_steady_clock_alone():
    """Below glibc 2.30 std::condition_variable waits by the wall clock (native/base/steady_condition.hpp)."""
    timed = re.compile(r"\.(wait_for|wait_until)\(")
    waiting = [path for path in native_files() if timed.search(path.read_text("utf-8"))]
    assert {path.name for path in waiting} == {"packet_ring.cpp"}
    header = (NATIVE / "pipeline" / "packet_ring.hpp").read_text("utf-8")
    assert "SteadyCondition" in header
    assert "condition_variable" not in header


def test_files_stay_small():
    long = {str(path): lines for path in (*modules(), *native_files()) if (lines := _lines(path)) > 400}
    assert not long, f"split these files: {long}"


def _lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def test_the_house_is_drawn_in_the_architecture_page():
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text("utf-8")
    for room in set(LEVEL) - {"__main__", "_native"}:
        assert f"`edgesnn/{room}" in page or f"`{room}.py`" in page, f"docs/architecture.md does not name {room}"
