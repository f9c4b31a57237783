"""On which line of a TOML text a key stands. `tomllib` does not tell.

The text has been read by `tomllib` before: what is here only has to find its way through correct TOML.
"""

from __future__ import annotations

import re

from edgesnn.daemon.toml import loads

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*([A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*(\.?)""")
_TEXT = re.compile(
    r'\"{3}(?:[^\\]|\\.)*?\"{3,5}|\'{3}.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}\n#]+")


def lines_of(text: str) -> dict[Path, int]:
    """Return the line, from 1, on which each key or element begins: ("stream", 0, "filters", 1) -> 7.

    >>> lines_of('[node]\\nname = "a"\\n[[stream]]\\nfilters = [\\n  "flip",\\n]')[("stream", 0, "filters", 0)]
    5
    """
    scan = _Scan(text.replace("\r\n", "\n"))
    scan.document()
    return scan.lines


class _Scan:
    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._line, self._counted = 1, 0
        self._tables: dict[Path, int] = {}  # elements of each array of tables so far

    def document(self) -> None:
        table: Path = ()
        self._skip()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip()

    def _header(self) -> Path:
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        keys = self._keys()
        self._at += 2 if array else 1
        path: Path = ()
        for key in keys[:-1]:
            path = self._inside((*path, key))
        path = (*path, keys[-1])
        self._note(path)
        if not array:
            return path
        self._tables[path] = self._tables.get(path, 0) + 1
        path = self._inside(path)
        self._note(path)
        return path

    def _inside(self, path: Path) -> Path:
        """Return the path of the last table where `path` names an array of them."""
        return (*path, self._tables[path] - 1) if path in self._tables else path

    def _pair(self, table: Path) -> None:
        path = table
        line = self._here()
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip()
        opening = self._text[self._at : self._at + 1]
        if opening == "[":
            self._elements(path)
        elif opening == "{":
            self._inline(path)
        else:
            match = _TEXT.match(self._text, self._at) or _PLAIN.match(self._text, self._at)
            self._at = match.end() if match else len(self._text)

    def _elements(self, path: Path) -> None:
        self._at += 1
        number = 0
        while self._more("]"):
            self._note((*path, number))
            self._value((*path, number))
            number += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        while self._more("}"):
            self._pair(path)

    def _more(self, closing: str) -> bool:
        """Go to the next element; False behind the end of the array or table."""
        self._skip()
        if self._text.startswith(",", self._at):
            self._at += 1
            self._skip()
        if self._at >= len(self._text):
            return False
        if self._text[self._at] == closing:
            self._at += 1
            return False
        return True

    def _keys(self) -> list[str]:
        keys: list[str] = []
        more = True
        while more:
            match = _KEY.match(self._text, self._at)
            if match is None:
                self._at = len(self._text)
                break
            word = match[1]
            keys.append(next(iter(loads(f"{word} = 0"))) if word[0] in "\"'" else word)
            self._at, more = match.end(), match[2] == "."
        return keys or [""]

    def _skip(self) -> None:
        match = _BLANK.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _note(self, path: Path) -> None:
        self.lines.setdefault(path, self._here())

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line
