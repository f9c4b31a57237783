"""Run a Python target under atheris: `python fuzz/run.py TARGET [libFuzzer's arguments] CORPUS...`."""

from __future__ import annotations

import logging
import sys

import atheris

if __name__ == "__main__":
    name = sys.argv.pop(1)
    logging.getLogger("edgesnn").setLevel(logging.ERROR)  # a log of each damaged file
    with atheris.instrument_imports(include=["edgesnn"]):
        from fuzz.choices import drawn
        from fuzz.targets import TARGETS

        for data in drawn(50):  # imports what is imported where it is used
            TARGETS[name](data)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
