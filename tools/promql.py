"""The part of PromQL that deploy/observability uses, on pages of /metrics: what a rule or a panel gives there.

As Prometheus evaluates it where the pages cover a range; tests hold it against promtool. `job`, `instance` and `up` are
Prometheus' own: `rows` adds them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
Page = tuple[float, Vector]  # when, in s, and its rows
NAME = "__name__"
_TOKEN = re.compile(r'\s*(\[\d+[smh]\]|\d+(?:\.\d+)?|[A-Za-z_:][\w:]*|"[^"\\]*"|=~|!~|!=|==|[>*(){},=])')
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_MATCH: dict[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "=~": lambda value, pattern: re.fullmatch(pattern, value) is not None,
    "!~": lambda value, pattern: re.fullmatch(pattern, value) is None,
}
_LEVELS = (("or",), ("and",), ("==", ">"), ("*",))  # each binds more tightly than the one before


def rows(text: str, **target: str) -> Vector:
    """Return the rows of a page, with the labels of the target that has it, and `up`."""
    found = {frozenset({(NAME, "up"), *target.items()}): 1.0}
    for family in text_string_to_metric_families(text):
        for row in family.samples:
            found[frozenset({(NAME, row.name), *row.labels.items(), *target.items()})] = row.value
    return found


def evaluate(expression: str, pages: Sequence[Page]) -> Vector:
    """Return what an expression gives at the time of the last page; `ValueError`: it is none of this part of PromQL."""
    reader = _Reader(expression, pages)
    found = reader.binary(0)
    if reader.words or isinstance(found, float):
        raise ValueError(f"no instant vector: {expression}")
    return found


def everything(query: str) -> str:
    """Return a query of the dashboard for all boards and streams, its rates over the last minute."""
    return re.sub(r"\$(board|stream)\b", ".*", query).replace("$__rate_interval", "1m")


def without(labels: Labels, *names: str) -> Labels:
    """Return labels without some."""
    return frozenset((name, value) for name, value in labels if name not in names)


class _Reader:
    """Evaluates while it reads."""

    def __init__(self, expression: str, pages: Sequence[Page]) -> None:
        self.words = _TOKEN.findall(expression)
        self._pages = pages
        if "".join(self.words) != re.sub(r"\s", "", expression):
            raise ValueError(f"other than this part of PromQL: {expression}")

    def binary(self, level: int) -> Vector | float:
        if level == len(_LEVELS):
            return self._one()
        left = self.binary(level + 1)
        while self._next() in _LEVELS[level]:
            sign = self._take()
            on = self._names() if self._skip("on") else None
            left = _combine(sign, left, self.binary(level + 1), on)
        return left

    def _one(self) -> Vector | float:
        word = self._take()
        if word[0].isdigit():
            return float(word)
        if word == "(":
            return self._closed()
        if word in ("sum", "count"):
            return self._aggregate(word)
        if word in ("rate", "increase"):
            return self._over_time(word)
        return self._select(word, self._pages[-1][1])

    def _closed(self) -> Vector | float:
        inside = self.binary(0)
        self._expect(")")
        return inside

    def _aggregate(self, kind: str) -> Vector:
        keep = self._names() if self._skip("by") else None
        drop = self._names() if keep is None and self._skip("without") else None
        self._expect("(")
        groups: dict[Labels, list[float]] = {}
        for labels, value in _vector(self._closed()).items():
            if drop is not None:
                group = without(labels, NAME, *drop)
            else:
                group = frozenset(one for one in labels if one[0] in (keep or ()))
            groups.setdefault(group, []).append(value)
        return {group: sum(values) if kind == "sum" else len(values) for group, values in groups.items()}

    def _over_time(self, kind: str) -> Vector:
        self._expect("(")
        words, found = list(self.words), []
        for at_s, page in self._pages:
            self.words = list(words)
            found.append((at_s, self._select(self._take(), page)))
        span = self._take()
        self._expect(")")
        range_s = int(span[1:-2]) * _SECONDS[span[-2]]
        now_s = self._pages[-1][0]
        made: Vector = {}
        for labels in found[-1][1]:
            seen = [(at_s, page[labels]) for at_s, page in found if at_s > now_s - range_s and labels in page]
            if len(seen) > 1:
                gained = sum(b - a if b >= a else b for (_, a), (_, b) in pairwise(seen))
                per_s = gained / (seen[-1][0] - seen[0][0])
                made[without(labels, NAME)] = per_s if kind == "rate" else per_s * range_s
        return made

    def _select(self, name: str, page: Vector) -> Vector:
        wanted = [(NAME, _MATCH["="], name)]
        if self._skip("{"):
            while not self._skip("}"):
                label, match, text = self._take(), self._take(), self._take()
                wanted.append((label, _MATCH[match], text.strip('"')))
                self._skip(",")
        return {
            labels: value
            for labels, value in page.items()
            if all(match(dict(labels).get(label, ""), text) for label, match, text in wanted)
        }

    def _names(self) -> list[str]:
        self._expect("(")
        names = []
        while not self._skip(")"):
            names.append(self._take())
            self._skip(",")
        return names

    def _next(self) -> str:
        return self.words[0] if self.words else ""

    def _take(self) -> str:
        if not self.words:
            raise ValueError("the expression ends too early")
        return str(self.words.pop(0))

    def _skip(self, word: str) -> bool:
        return self._next() == word and bool(self.words.pop(0))

    def _expect(self, word: str) -> None:
        if (found := self._take()) != word:
            raise ValueError(f"{found!r} where {word!r} is expected")


def _vector(value: Vector | float) -> Vector:
    if isinstance(value, float):
        raise ValueError("a number where rows are expected")
    return value


def _combine(sign: str, left: Vector | float, right: Vector | float, on: list[str] | None) -> Vector:
    """Return what an operator makes of two operands. Rows belong together whose labels, or those of `on`, are equal."""
    if sign == "*":
        factor, many = (left, right) if isinstance(left, float) else (right, left)
        if not isinstance(factor, float):
            raise ValueError("rows times rows")
        return {without(labels, NAME): factor * value for labels, value in _vector(many).items()}

    def key(labels: Labels) -> Labels:
        return without(labels, NAME) if on is None else frozenset(one for one in labels if one[0] in on)

    many = _vector(left)
    if sign in ("==", ">"):
        holds = operator.eq if sign == "==" else operator.gt
        others = {} if isinstance(right, float) else {key(labels): value for labels, value in right.items()}
        limit = [right if isinstance(right, float) else others.get(key(labels)) for labels in many]
        compared = zip(many.items(), limit, strict=True)
        return {labels: value for (labels, value), other in compared if other is not None and holds(value, other)}
    others = {key(labels): value for labels, value in _vector(right).items()}
    if sign == "and":
        return {labels: value for labels, value in many.items() if key(labels) in others}
    had = {key(labels) for labels in many}
    return {**many, **{labels: value for labels, value in _vector(right).items() if key(labels) not in had}}
