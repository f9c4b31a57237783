"""When states of a token model go back to their initial values: by line, by count of tokens, after silence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from edgesnn.tokens.stepping import TokenSession


class Resets:
    """The reset policies of one session's states.

    Args:
        session: whose states they are.
        states: the model's `StateType`s, with the policies that hold here.
    """

    def __init__(self, session: TokenSession, states: Sequence[Any]) -> None:
        self._session = session
        self._line = [state for state in states if state.reset in ("line", "window")]
        self._counted = [state for state in states if state.reset == "tokens"]
        self._idle = [state for state in states if state.idle_ms is not None]
        self._all = len(states)
        self.since = 0
        """Tokens since the session began."""

    def line(self, idle_ms: float | None) -> bool:
        """Do what is due before a line; say whether every state was reset, so that nothing stands before it.

        Args:
            idle_ms: how long nothing has come; None where that is not known.
        """
        due = {state.name: state for state in self._line}
        if idle_ms is not None:
            due |= {state.name: state for state in self._idle if idle_ms > state.idle_ms}
        self._reset(due.values())
        return 0 < len(due) == self._all

    def pieces(self, count: int) -> list[int]:
        """Return where to cut so many tokens so that a reset is due at each cut: ascending, the last is `count`."""
        periods = {state.tokens for state in self._counted}
        cuts = {end for n in periods for end in range(n - self.since % n, count + 1, n)}
        return sorted(cuts | {count})

    def taken(self, count: int) -> None:
        """Say that so many tokens were taken; resets what is due after them."""
        self.since += count
        self._reset(state for state in self._counted if self.since % state.tokens == 0)

    def _reset(self, states: Iterable[Any]) -> None:
        for state in states:
            self._session.state[state.name][...] = state.initial
