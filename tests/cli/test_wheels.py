"""`make wheels`: what a wheel has and is called, its SBOM, licences, and what is said where no wheel can be built."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from tests.scripts import load_script

tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
make_sbom = load_script("tools/make_sbom.py")
AT_RUN_TIME = ("nir", "events", "camera", "tokens", "broker", "daemon", "ui", "onnx", "tensorrt")
"""The extras that something which runs may need; the others train, compare, test and build."""


def own() -> dict[str, Any]:
    """Return the document that CMake puts into a wheel."""
    text = (ROOT / "native" / "bindings" / "sbom.cdx.json.in").read_text()
    document: dict[str, Any] = json.loads(re.sub(r"@(SKBUILD_PROJECT_VERSION_FULL|pybind11_VERSION)@", "1.2.3", text))
    return document


def names(requirements: list[str]) -> list[str]:
    return [re.split(r"[^A-Za-z0-9_-]", line)[0].lower() for line in requirements]


def licence_files(name: str) -> list[Path]:
    return [Path(path.locate()) for path in metadata.files(name) or [] if re.match("LICEN[CS]E", path.name)]


def make_wheels(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "make_wheels.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=800)


def violations(document: dict[str, Any]) -> str | None:
    """Return what the schema of CycloneDX says of a document."""
    cyclonedx = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib is not installed")
    version = importlib.import_module("cyclonedx.schema").SchemaVersion.V1_6
    found = cyclonedx.JsonStrictValidator(version).validate_str(json.dumps(document))
    return None if found is None else str(found)


def test_the_sbom_names_what_is_compiled_in_and_required():
    document = make_sbom.sbom(own(), names(PROJECT["project"]["dependencies"]))
    parts = {part["name"]: part for part in document["components"]}
    assert set(parts) >= {"pybind11", "numpy", "paho-mqtt"}
    assert parts["numpy"]["version"] == importlib.import_module("numpy").__version__
    assert parts["pybind11"]["version"] == document["metadata"]["component"]["version"] == "1.2.3"
    refs = {part["bom-ref"] for part in document["components"]} | {"edgesnn"}
    assert {entry["ref"] for entry in document["dependencies"]} == refs


@pytest.mark.full
def test_the_sbom_keeps_to_its_schema():
    document = make_sbom.sbom(own(), names(PROJECT["project"]["dependencies"]))
    assert violations(own()) is None
    assert violations(document) is None
    document["components"][0]["type"] = "no type"
    assert violations(document) is not None


def test_a_requirement_of_another_system_or_of_an_extra_is_no_part(monkeypatch):
    lines = ["numpy>=1; python_version >= '3'", "paho.mqtt", "no-such-package", "pytest; extra == 'test'"]
    monkeypatch.setattr(make_sbom.metadata, "requires", lambda name: lines if name == "x" else [])
    assert make_sbom.requirements("x") == ["numpy", "paho-mqtt"]


def test_nothing_that_runs_is_under_the_gpl():
    """Of each package that is installed and of what it requires, itself or by an extra that running may need."""
    project = PROJECT["project"]
    required = names(sum((project["optional-dependencies"][extra] for extra in AT_RUN_TIME), project["dependencies"]))
    others = {"train", "peers", "test", "bench", "dev"}
    assert set(project["optional-dependencies"]) == {*AT_RUN_TIME, *others}
    document = make_sbom.sbom(own(), [name for name in required if make_sbom.installed(name)])
    licences = {part["name"]: json.dumps(part["licenses"]) for part in document["components"]}
    assert len(licences) > 3
    silent = {name for name, text in licences.items() if re.search("unknown", text, re.IGNORECASE)}
    assert silent <= {"hdf5plugin"}  # its metadata state none, its file does
    licences |= {name: "".join(map(Path.read_text, licence_files(name))) for name in silent}
    assert all(licences.values())
    assert not [name for name, text in licences.items() if re.search("GPL|GNU", text)]


def test_the_versions_that_are_built_are_those_that_the_package_names():
    named = [text.split(" :: ")[-1] for text in PROJECT["project"]["classifiers"] if re.search(r"3\.\d+$", text)]
    assert list(load_script("tools/pythons.py").VERSIONS) == named
    built = PROJECT["tool"]["cibuildwheel"]["build"]
    assert built == [f"cp{version.replace('.', '')}-manylinux*" for version in named]


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false"])
def test_what_is_no_python_is_named(python, tmp_path):
    done = make_wheels(str(tmp_path / "dist"), python)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"make wheels: {python}: not a Python with venv and ensurepip; name another\n"
    assert not (tmp_path / "dist").exists()


def test_a_wheel_that_lacks_something_is_refused(tmp_path):
    wheel = tmp_path / "edgesnn-1-cp311-cp311-linux_x86_64.whl"
    with ZipFile(wheel, "w") as archive:
        for name in ("edgesnn/__init__.py", "edgesnn/_native.cpython-311-x86_64-linux-gnu.so", "tests/a.py"):
            archive.writestr(name, "")
    with pytest.raises(SystemExit, match=r"missing \['edgesnn/py.*not of the package \['tests/a.py'\]"):
        load_script("tools/make_wheels.py").check_contents(wheel)


def test_one_version_twice_is_refused(tmp_path):
    done = make_wheels(str(tmp_path / "dist"), sys.executable, sys.executable)
    version = "{}.{}".format(*sys.version_info[:2])
    said = f"make wheels: {sys.executable} and {sys.executable} are both Python {version}; name one\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_a_wheel_for_aarch64_is_of_the_same_sources_and_proved(tmp_path):
    """One of an earlier tree is named with what differs: a version, a file in it, one that it was compiled of.

    One that did not pass all that runs under emulation is none to give away either.
    """
    check = load_script("tools/make_wheels.py").check_sources
    source, dist = tmp_path / "edgesnn-1.2", tmp_path / "dist"
    files = {
        "edgesnn/a.py": "a",
        "native/b.cpp": "b",
        "native/c.hpp": "c",
        "CMakeLists.txt": "d",
        "pyproject.toml": "e",
    }
    for name, text in {**files, "tests/t.py": "no part of it"}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    dist.mkdir()

    def left(version: str, **changes: str) -> Path:
        texts = {**files, **{name.replace("__", "/").replace("_", "."): text for name, text in changes.items()}}
        wheel = dist / f"edgesnn-{version}-cp311-cp311-linux_aarch64.whl"
        with ZipFile(wheel, "w") as archive:
            archive.writestr("edgesnn/_native.cpython-311-aarch64-linux-gnu.so", "")
            for name in (name for name in texts if name.startswith("edgesnn/")):
                archive.writestr(name, texts[name])
        sums = [(name, hashlib.sha256(text.encode()).hexdigest()) for name, text in texts.items()]
        compiled = [f"{digest}  {name}\n" for name, digest in sums if not name.startswith("edgesnn/")]
        (dist / "sources.sha256").write_text("".join(compiled))
        (dist / "proved").write_text(f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel.name}\n")
        return wheel

    check(left("1.2"), source)
    for wheel, said in (
        (left("1.1"), "it is not of version 1.2"),
        (left("1.2", edgesnn__a_py="older"), r"edgesnn/a\.py differs"),
    ):
        with pytest.raises(SystemExit, match=rf"not of these sources: {said}; make aarch64 again, or remove {dist}$"):
            check(wheel, source)
    with pytest.raises(SystemExit, match=r"native/b\.cpp differs, and 1 more"):
        check(left("1.2", native__b_cpp="older", native__c_hpp="older"), source)
    with pytest.raises(SystemExit, match=r"native/gone\.cpp differs"):
        check(left("1.2", native__gone_cpp="no longer there"), source)
    wheel = left("1.2")
    (dist / "sources.sha256").unlink()
    with pytest.raises(SystemExit, match=r"sources\.sha256 is not beside it"):
        check(wheel, source)
    wheel = left("1.2")
    said = (
        f"make wheels: {wheel}: not proved: make aarch64 has not come to its end; make aarch64 again, or remove {dist}"
    )
    with ZipFile(wheel, "a") as archive:
        archive.writestr("edgesnn/_native.so", "of another build")
    with pytest.raises(SystemExit, match=f"^{re.escape(said)}$"):
        check(wheel, source)
    (dist / "proved").unlink()
    with pytest.raises(SystemExit, match=f"^{re.escape(said)}$"):
        check(wheel, source)


@pytest.mark.parametrize("arguments", [[], ["/no/such/folder"]])
def test_the_script_of_the_sbom_says_how_it_is_called(arguments):
    command = [sys.executable, str(ROOT / "tools" / "make_sbom.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("usage: make_sbom.py OUT ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.full
@pytest.mark.timeout(900)
def test_the_wheel_of_this_python_is_built_and_proved(tmp_path, monkeypatch, capfd):
    out, script = tmp_path / "dist", load_script("tools/make_wheels.py")
    monkeypatch.setattr(script, "AARCH64", tmp_path / "none")  # an earlier `make aarch64` is no business of it
    monkeypatch.setattr(sys, "argv", ["make_wheels.py", str(out), sys.executable])
    assert script.main() == 0
    said = capfd.readouterr().out
    sums = dict(line.split("  ")[::-1] for line in (out / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == {path.name for path in out.iterdir()} - {"SHA256SUMS"}
    assert all(hashlib.sha256((out / name).read_bytes()).hexdigest() == digest for name, digest in sums.items())
    tag = "cp{}{}".format(*sys.version_info[:2])
    (wheel,) = out.glob(f"*-{tag}-{tag}-manylinux_2_*_{os.uname().machine}*.whl")
    assert f"{sums[wheel.name]}  {wheel.name}" in said
    document = json.loads(next(out.glob("*.cdx.json")).read_text())
    assert violations(document) is None
    with ZipFile(wheel) as archive:
        content = next(name for name in archive.namelist() if name.endswith("/sboms/edgesnn.cdx.json"))
        inner = json.loads(archive.read(content))
    assert violations(inner) is None
    assert inner["components"][0]["version"][0].isdigit()
    assert inner["metadata"] == document["metadata"]
