"""Run a Python target under atheris: `python fuzz/run.py TARGET [libFuzzer's arguments] CORPUS...`."""

from __future__ import annotations

import importlib
import sys

import atheris

if __name__ == "__main__":
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["edgesnn"]):
        target = importlib.import_module(f"fuzz.{name}").one_input
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
