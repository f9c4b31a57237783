# Made by `make stubs` of a module built with pybind11 3.1.0. Not to be edited.
"""
The native core of edgesnn. Private: use the public names of the package.
"""

from __future__ import annotations

from . import encode, events, executor, pipeline

__all__: list[str] = ["encode", "events", "executor", "pipeline"]
