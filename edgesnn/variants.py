"""Variants by name that are imported on use: ours, then those of other packages, which never replace one of ours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class Variants:
    """What a registry chooses from.

    Args:
        ours: "module:attribute" by name.
        group: of the entry points of other packages; None: there are none but ours.

    Example:
        >>> Variants({"pi": "math:pi"}).find("pi")
        3.141592653589793
    """

    def __init__(self, ours: Mapping[str, str], group: str | None = None) -> None:
        self._ours = ours
        self._group = group

    def names(self) -> list[str]:
        """Return all names, ours first."""
        return [*self._ours, *(name for name in self._others() if name not in self._ours)]

    def find(self, name: object) -> Any:
        """Return what has this name, None where nothing has."""
        if not isinstance(name, str):
            return None
        if name in self._ours:
            module, _, attribute = self._ours[name].partition(":")
            return getattr(import_module(module), attribute)
        other = self._others().get(name)
        return None if other is None else other.load()

    def _others(self) -> dict[str, EntryPoint]:
        return {} if self._group is None else entry_points_of(self._group)


@cache
def entry_points_of(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name."""
    from importlib.metadata import entry_points  # takes 2 MB

    return {point.name: point for point in entry_points(group=group)}
