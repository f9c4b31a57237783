"""Stubs of the native module are made and compared by the pinned versions only: another one fails in `make lint`."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest

from tools import make_stubs


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Stubs of two files, and the pinned versions installed; making them anew is quick."""
    versions = make_stubs.pinned()

    def version(name):
        if versions[name] is None:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    head = f"# Made by `make stubs` of a module built with pybind11 {versions['pybind11']}. Not to be edited.\n"
    for name in ("__init__.pyi", "events.pyi"):
        (tmp_path / name).write_text(f"{head}text\n")
    monkeypatch.setattr(make_stubs, "TARGET", tmp_path)
    monkeypatch.setattr(make_stubs, "make", lambda _: dict.fromkeys(("__init__.pyi", "events.pyi"), "text\n"))
    monkeypatch.setattr(metadata, "version", version)
    return versions, tmp_path


def picture(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("arguments", [["--check"], []])
@pytest.mark.parametrize("name", make_stubs.MAKERS)
@pytest.mark.parametrize(("found", "said"), [("9.9", "9.9"), (None, "not installed")])
def test_another_version_fails_and_is_named_beside_the_pinned_one(
    tree, monkeypatch, capsys, arguments, name, found, said
):
    versions, folder = tree
    pin, versions[name] = versions[name], found
    before = picture(folder)
    monkeypatch.setattr(sys, "argv", ["make_stubs.py", *arguments])
    assert make_stubs.main() == 1
    assert f"stubs: {name} is {said}, pinned {pin} (pyproject.toml, dev)" in capsys.readouterr().out
    assert picture(folder) == before


def test_with_the_pinned_versions_what_is_there_is_compared(tree, monkeypatch, capsys):
    _, folder = tree
    monkeypatch.setattr(sys, "argv", ["make_stubs.py", "--check"])
    assert make_stubs.main() == 0
    (folder / "events.pyi").write_text("another")
    assert make_stubs.main() == 1
    assert "events.pyi" in capsys.readouterr().out
