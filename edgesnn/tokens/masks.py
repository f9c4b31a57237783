"""What a model does not see of a line: fields that are left out, and words in place of what differs every time."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from typing import Any

from edgesnn.errors import ModelError

_HEX = "[0-9A-Fa-f]"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = r"\d{2}[:.]\d{2}[:.]\d{2}(?:[.,]\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?"

MASKS: dict[str, tuple[str, str]] = {
    "times": (
        rf"(?<!\d)\d{{4}}[-./]\d{{2}}[-./]\d{{2}}(?:[T _-]{_CLOCK})?(?!\d)"
        rf"|\b{_MONTH} [ \d]\d \d{{2}}:\d{{2}}:\d{{2}}(?!\d)"
        r"|(?<![\d:])\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?![\d:])",
        "<time>",
    ),
    "uuids": (rf"\b{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}\b", "<uuid>"),
    "addresses": (
        rf"(?<![\w:-]){_HEX}{{2}}(?:[:-]{_HEX}{{2}}){{5}}(?![\w:-])"
        r"|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d{1,5})?(?![\w.]*\d)"
        rf"|(?<![\w:])(?:{_HEX}{{1,4}}:){{7}}{_HEX}{{1,4}}(?![\w:])"
        rf"|(?<![\w:])(?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{0,6}})?::(?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{0,6}})(?![\w:])",
        "<addr>",
    ),
    "hex": (rf"\b0[xX]{_HEX}+\b|\b(?=[A-Fa-f]*\d)(?=\d*[A-Fa-f]){_HEX}{{8,}}\b", "<hex>"),
    "numbers": (r"\d+(?:\.\d+)*", "<num>"),
}
"""By name: what is replaced, and the word in its place. Where several fit at one place, the first of this list does."""

MOST_FIELD = 255


def check_masks(value: Any, where: str) -> None:
    """Check a model file's `input.masks`: different names of `MASKS`."""
    names = value if isinstance(value, list) else [value]
    known = all(isinstance(name, str) and name in MASKS for name in names)
    if not isinstance(value, list) or not value or not known or len(set(value)) != len(value):
        expected = f"different ones of {', '.join(MASKS)}"
        raise ModelError("input.masks is wrong", where=where, found=repr(value)[:120], expected=expected)


def check_drop_fields(value: Any, where: str) -> None:
    """Check a model file's `input.drop_fields`: ascending numbers of fields."""
    numbers = value if isinstance(value, list) else []
    whole = all(type(number) is int and 0 <= number <= MOST_FIELD for number in numbers)
    if not numbers or not whole or sorted(set(numbers)) != numbers:
        expected = f"ascending numbers of fields, 0 to {MOST_FIELD}"
        raise ModelError("input.drop_fields is wrong", where=where, found=repr(value)[:120], expected=expected)


def mask(text: str, names: Iterable[str]) -> str:
    """Return a line with the words of these masks.

    >>> mask("2005-06-03-15.42.50.675872 10.1.2.3 failed at 0x0b85eee0 after 12 ms", MASKS)
    '<time> <addr> failed at <hex> after <num> ms'
    """
    pattern = _pattern(frozenset(names))
    return pattern.sub(lambda found: MASKS[str(found.lastgroup)][1], text) if pattern else text


def drop_fields(text: str, numbers: Collection[int]) -> str:
    """Return a line without some of its fields, which are apart by spaces; 0 is the first.

    >>> drop_fields("- 1117838570 R02-M1 RAS KERNEL", [0, 2])
    '1117838570 RAS KERNEL'
    """
    if not numbers:
        return text
    last = max(numbers)
    fields = re.split(r"[ \t]+", text.lstrip(" \t"), maxsplit=last + 1)
    return " ".join(field for number, field in enumerate(fields) if number not in numbers)


def field_of(text: str, number: int) -> str:
    """Return one field of a line, "" where it has not so many."""
    fields = re.split(r"[ \t]+", text.lstrip(" \t"), maxsplit=number + 1)
    return fields[number] if number < len(fields) else ""


@cache
def _pattern(names: frozenset[str]) -> re.Pattern[str] | None:
    parts = [f"(?P<{name}>{rule})" for name, (rule, _) in MASKS.items() if name in names]
    return re.compile("|".join(parts)) if parts else None
