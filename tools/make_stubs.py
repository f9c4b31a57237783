"""Writes edgesnn/_native/*.pyi, the types of the native module, from the module that is built: `make stubs`.

Usage: python tools/make_stubs.py           write them
       python tools/make_stubs.py --check   say whether those that are there are what would be written

They depend on the versions of pybind11 and of the program that reads the module. pyproject.toml pins both (extra
`dev`); with another one nothing is written or compared, and it fails.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "edgesnn" / "_native"
MAKERS = ("pybind11", "pybind11-stubgen")
MODULE = "edgesnn._native"
PLAIN = {
    "typing.SupportsInt | typing.SupportsIndex": "int",
    "typing.SupportsFloat | typing.SupportsIndex": "float",
    "numpy.ndarray": "numpy.typing.NDArray[typing.Any]",
}
GENERIC = {"tuple": "tuple[typing.Any, ...]", "dict": "dict[typing.Any, typing.Any]", "list": "list[typing.Any]"}
GENERIC["collections.abc.Sequence"] = "collections.abc.Sequence[typing.Any]"


def main() -> int:
    """Return 0, or 1 where they differ or cannot be made."""
    check = sys.argv[1:] == ["--check"]
    pins = pinned()
    if others := [name for name in MAKERS if version(name) != pins[name]]:
        for name in others:
            print(f"stubs: {name} is {version(name) or 'not installed'}, pinned {pins[name]} (pyproject.toml, dev)")
        print("stubs: nothing compared or written; install what is pinned, or pin another version and: make stubs")
        return 1
    head = f"# Made by `make stubs` of a module built with pybind11 {pins['pybind11']}. Not to be edited.\n"
    with tempfile.TemporaryDirectory() as folder:
        made = {name: head + text for name, text in make(Path(folder)).items()}
    there = {path.name: path.read_text() for path in TARGET.glob("*.pyi")}
    if check:
        wrong = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
        if wrong:
            print(f"stubs: {', '.join(wrong)} of {TARGET} are not those of the module that is built: make stubs")
        return 1 if wrong else 0
    for name in there.keys() - made.keys():
        (TARGET / name).unlink()
    for name, text in made.items():
        (TARGET / name).write_text(text)
    return 0


def pinned() -> dict[str, str]:
    """Return the versions of `MAKERS` that the extra `dev` pins."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = dict(line.split("==") for line in project["optional-dependencies"]["dev"] if "==" in line)
    return {name: found[name] for name in MAKERS}


def version(name: str) -> str | None:
    """Return the version of a package that is installed, else None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def make(folder: Path) -> dict[str, str]:
    """Return the text of each file, by its name."""
    subprocess.run([sys.executable, "-m", "pybind11_stubgen", MODULE, "-o", folder, "--exit-code"], check=True)
    stubs = folder.joinpath(*MODULE.split("."))
    for path in stubs.glob("*.pyi"):
        path.write_text(tidy(path.read_text()))
    subprocess.run([sys.executable, "-m", "ruff", "check", "--silent", "--fix", "--exit-zero", stubs], check=True)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", "--line-length", "120", stubs], check=True)
    return {path.name: path.read_text() for path in stubs.glob("*.pyi")}


def tidy(text: str) -> str:
    """Return types as a reader wants them: whole ones, and int where a number is meant."""
    for long, short in PLAIN.items():
        text = text.replace(long, short)
    for bare, whole in GENERIC.items():
        text = re.sub(rf"(?<![\w.]){re.escape(bare)}(?![\w\[.])", lambda _, whole=whole: whole, text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    sys.exit(main())
