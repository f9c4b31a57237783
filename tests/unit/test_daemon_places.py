"""The line that a key of a TOML text is said to stand on is the line where it stands."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.daemon.places import lines_of
from edgesnn.daemon.toml import loads

KEYS = st.sampled_from(["a", "b-1", "c_d", '"e.f"', "'g # h'", '"i \\" ]"', "7"])
FILLER = st.sampled_from(["", " # [not] = a table", "\n", "\n\n# 'comment\n", "\n  "])
TEXTS = [
    '"""one\ntwo = 3\n\\""" [x]"""',
    "'''\n'' [[y]]\n'''",
    '"a # b"',
    "'c, ] }'",
    "2020-01-02T03:04:05Z",
    "-1.5e3",
    "true",
]


class Writer:
    """Writes TOML in which every number is another one and stands alone on its line."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.number = 1000

    def value(self, depth: int) -> str:
        kind = self.draw(st.sampled_from(["number", "text", "array", "inline"] if depth else ["number", "text"]))
        if kind == "number":
            self.number += 1
            return str(self.number)
        if kind == "text":
            return self.draw(st.sampled_from(TEXTS))
        many = self.draw(st.integers(0, 3))
        if kind == "array":
            parts = [f"{self.draw(FILLER)}\n{self.value(depth - 1)}{self.draw(FILLER)}\n" for _ in range(many)]
            return "[" + ",".join(parts) + "]"
        keys = self.draw(st.lists(KEYS, max_size=2, unique=True))
        return "{" + ", ".join(f"{key} = {self.value(0)}" for key in keys) + "}"

    def pairs(self) -> str:
        keys = self.draw(st.lists(KEYS, max_size=3, unique=True))
        return "".join(
            f"{key}{self.draw(st.sampled_from(['', '.z']))} = {self.value(2)}{self.draw(FILLER)}\n" for key in keys
        )


@st.composite
def documents(draw: Any) -> str:
    writer = Writer(draw)
    text = writer.pairs()
    for number in range(draw(st.integers(0, 3))):
        text += f"[[many]]\n{writer.pairs()}" + (f"[many.in]\n{writer.pairs()}" if draw(st.booleans()) else "")
        text += f'[table{number}."x y"]\n{writer.pairs()}' if draw(st.booleans()) else ""
    return text


def numbers(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], int]]:
    if isinstance(value, dict):
        return [one for key, inner in value.items() for one in numbers(inner, (*path, key))]
    if isinstance(value, list):
        return [one for at, inner in enumerate(value) for one in numbers(inner, (*path, at))]
    return [(path, value)] if type(value) is int else []


@settings(max_examples=300)
@given(documents())
def test_every_number_stands_on_its_line(text):
    lines, places = text.split("\n"), lines_of(text)
    found = numbers(loads(text))
    for path, number in found:
        inline = places[path]
        assert str(number) in lines[inline - 1], (path, inline)
    assert set(places) >= {path for path, _ in found}


def test_tables_and_elements_of_arrays_of_tables_have_lines():
    text = "x = 1\n\n[[stream]]\nname = 'a'\n\n[[stream]]\n[stream.readout]\nrejection = 1\r\n[log]\n"
    places = lines_of(text)
    assert places[("stream", 0)] == 3
    assert places[("stream", 1)] == 6
    assert places[("stream", 1, "readout")] == 7
    assert places[("stream", 1, "readout", "rejection")] == 8
    assert places[("log",)] == 9
