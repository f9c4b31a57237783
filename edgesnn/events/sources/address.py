"""Addresses of live sources: `udp://127.0.0.1:3333?format=evt3&sensor=640x480`."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from edgesnn.errors import UsageError
from edgesnn.events.formats.base import printable

_SCHEME = re.compile(r"([a-z][a-z0-9]*):")


@dataclass(frozen=True)
class Address:
    """A source's address.

    Attributes:
        url: as it was given; what messages call the source.
        scheme: "udp".
        host, port: None where there is none.
        path: what stands after them, percent signs decoded: "/dev/video0", "-".
        options: what stands after "?"; "" for those without a value.
    """

    url: str
    scheme: str
    host: str | None
    port: int | None
    path: str
    options: Mapping[str, str]

    def check(self, known: Iterable[str]) -> None:
        """Raise UsageError where an option is none of these."""
        names = sorted(known)
        for name in self.options:
            if name not in names:
                close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
                hint = f"did you mean {close[0]}?" if close else None
                raise self.wrong(f"no option {name!r}", expected=f"one of {', '.join(names)}", hint=hint)

    def flag(self, name: str) -> bool:
        """Return whether an option is there; it takes no value."""
        if self.options.get(name, "") != "":
            raise self.wrong(f"{name} takes no value", found=repr(self.options[name]))
        return name in self.options

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Return an option that is a whole number."""
        text = self.options.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"\d{1,12}", text) or not low <= int(text) <= high:
            raise self.wrong(f"{name} is out of range", found=repr(text), expected=f"{low} to {high}")
        return int(text)

    def choice(self, name: str, *choices: str) -> str:
        """Return an option that is one of these words, the first where it is absent."""
        text = self.options.get(name, choices[0])
        if text not in choices:
            raise self.wrong(f"{name} is no such word", found=repr(text), expected=" or ".join(choices))
        return text

    def wrong(
        self, what: str, *, found: str | None = None, expected: str | None = None, hint: str | None = None
    ) -> UsageError:
        """Return the error of a wrong address."""
        return UsageError(what, where=printable(self.url), found=found, expected=expected, hint=hint)


def scheme_of(text: object) -> str | None:
    """Return what stands before the first colon, where it may be a scheme."""
    match = _SCHEME.match(text) if isinstance(text, str) else None
    return match[1] if match else None


def parse(url: str) -> Address:
    """Take an address apart; UsageError where it is none."""
    try:
        parts = urlsplit(url, allow_fragments=False)
        port = parts.port
    except ValueError as error:
        raise UsageError("not the address of a source", where=printable(url), found=str(error)) from None
    if parts.username is not None:
        raise UsageError("a source has no user", where=printable(without_user(url)), hint="write SCHEME://HOST:PORT")
    return Address(url, parts.scheme, parts.hostname, port, _path(url, parts), _options(url, parts))


def without_user(url: str) -> str:
    """Return an address for messages, without what may be a password.

    >>> without_user("udp://ann:word@127.0.0.1:3333")
    'udp://127.0.0.1:3333'
    """
    return re.sub("//[^/]*@", "//", url)


def _path(url: str, parts: SplitResult) -> str:
    path = unquote(parts.path)
    try:
        fits = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        fits = False
    if not fits:
        raise UsageError("not the address of a source", where=printable(url), found="a path that no file can have")
    return path


def _options(url: str, parts: SplitResult) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in options:
            raise UsageError(f"{name} is said twice", where=printable(url))
        options[name] = value
    return options
