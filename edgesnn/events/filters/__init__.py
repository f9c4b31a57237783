"""Filters of event streams, alone or in a chain: `Chain(["refractory:period=1ms"], sensor=(640, 480)).push(events)`.

`registry.py` lists them with their parameters, `specification.py` reads their two written forms (text and JSON),
`chain.py` is the door to the native ones (`native/events/filters`, one file each). What each computes stands in
`docs/filters.md`. The names here are imported when they are first used, so that `--help` can list the filters without
numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesnn.events.filters.chain import Chain
    from edgesnn.events.filters.specification import Filter, FilterLike, parse_filter, parse_filters

__all__ = ["Chain", "Filter", "FilterLike", "parse_filter", "parse_filters"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'edgesnn.events.filters' has no attribute {name!r}")
    module = "chain" if name == "Chain" else "specification"
    return getattr(import_module(f"edgesnn.events.filters.{module}"), name)
