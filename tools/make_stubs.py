"""Writes edgesnn/_native/*.pyi, the types of the native module, from the module that is built: `make stubs`.

Usage: python tools/make_stubs.py           write them
       python tools/make_stubs.py --check   say whether those that are there are what would be written

They depend on the version of pybind11 that the module was built with; another one is named, and nothing is compared.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "edgesnn" / "_native"
MODULE = "edgesnn._native"
PLAIN = {
    "typing.SupportsInt | typing.SupportsIndex": "int",
    "typing.SupportsFloat | typing.SupportsIndex": "float",
    "numpy.ndarray": "numpy.typing.NDArray[typing.Any]",
}
GENERIC = {"tuple": "tuple[typing.Any, ...]", "dict": "dict[typing.Any, typing.Any]", "list": "list[typing.Any]"}
GENERIC["collections.abc.Sequence"] = "collections.abc.Sequence[typing.Any]"


def main() -> int:
    """Return 0, or 1 where they differ."""
    check = sys.argv[1:] == ["--check"]
    version = metadata.version("pybind11")
    head = f"# Made by `make stubs` of a module built with pybind11 {version}. Not to be edited.\n"
    if check and (found := (TARGET / "__init__.pyi").read_text().splitlines()[0]) != head.strip():
        print(f"stubs: not compared: pybind11 {version} is here; {found}")
        return 0
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
