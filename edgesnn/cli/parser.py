"""The argument parser of every command: argparse whose errors are a `UsageError` naming the nearest valid choice."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterable
from itertools import takewhile
from typing import Any, NoReturn

from edgesnn.errors import UsageError

_CHOICE = re.compile(r"argument (?P<argument>[^:]*): invalid choice: '(?P<found>[^']*)'")
_UNKNOWN = re.compile(r"unrecognized arguments: (?P<found>\S+)")


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that is most like `word`, or None if none is like it.

    >>> nearest("replya", ["replay", "doctor"])
    'replay'
    """
    close = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return close[0] if close else None


class Parser(argparse.ArgumentParser):
    """argparse with full option names only, text kept as written, and errors raised as `UsageError` (exit code 2)."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` instead of leaving the process."""
        hint = self._nearest_to(message)
        text = f"did you mean {hint}?" if hint else f"see `{self.prog} --help`"
        raise UsageError(message, hint=text)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Name an unknown option before anything that is missing: what is missing is often only its right name."""
        words = sys.argv[1:] if args is None else list(args)
        if self._subparsers is None:
            for word in takewhile(lambda word: word != "--", words):
                if word.startswith("--") and word.partition("=")[0] not in self._option_string_actions:
                    self.error(f"unrecognized arguments: {word}")
        return super().parse_known_args(words, namespace)

    def _nearest_to(self, message: str) -> str | None:
        unknown = _UNKNOWN.search(message)
        if unknown:
            return nearest(unknown["found"].split("=")[0], self._option_string_actions)
        choice = _CHOICE.search(message)
        return nearest(choice["found"], self._choices_of(choice["argument"])) if choice else None

    def _choices_of(self, argument: str) -> list[str]:
        """Return the choices of one argument, by its name in messages; of those without flags, by any other name."""
        named = [action for action in self._actions if argument == "/".join(action.option_strings)]
        wanted = named or [action for action in self._actions if not action.option_strings]
        return [str(choice) for action in wanted for choice in action.choices or ()]
