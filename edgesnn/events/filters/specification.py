"""The two written forms of a filter: text for the command line, JSON for model files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

from edgesnn.errors import UsageError
from edgesnn.events.described import Written, parse
from edgesnn.events.filters.registry import FILTERS


@dataclass(frozen=True)
class Filter(Written):
    """A filter with all its parameters."""

    word: ClassVar[str] = "filter"
    known = FILTERS

    @property
    def native(self) -> tuple[str, dict[str, int], bytes]:
        """What `_native.events.FilterChain` takes: name, numbers, and the bits of a bitmap."""
        from edgesnn.events.filters import bitmap

        texts = [value for value in self.values.values() if isinstance(value, str)]
        pictures = [made for text in texts if (made := bitmap.unpack(text))]
        return self.name, self.numbers, pictures[0][2] if pictures else b""


MOST_FILTERS = 64
FilterLike = str | Mapping[str, Any] | Filter


def parse_filter(source: FilterLike, *, where: str = "filter") -> Filter:
    """Return the filter of a text or of a JSON object; defaults are filled in.

    Raises:
        UsageError: an unknown filter or parameter, a missing one, or a value that it cannot have.

    >>> parse_filter("refractory:period=1ms").json
    {'filter': 'refractory', 'period_us': 1000, 'after': 'passed'}
    """
    return parse(Filter, source, where)


def parse_filters(sources: Iterable[FilterLike], *, where: str = "filters") -> tuple[Filter, ...]:
    """Return the filters of a list, in their order; `parse_filter` of each."""
    if isinstance(sources, (str, Mapping)):
        raise UsageError("not a list of filters", where=where, found=repr(sources)[:80], expected="a list")
    listed = tuple(islice(sources, MOST_FILTERS + 1))
    if len(listed) > MOST_FILTERS:
        raise UsageError("too many filters", where=where, expected=f"at most {MOST_FILTERS}")
    return tuple(parse_filter(source, where=f"{where}[{at}]") for at, source in enumerate(listed))
