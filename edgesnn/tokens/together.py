"""Tokens of several sessions of one model: step by step through one pass over the weights where that reads them less
often than a run of each; the same bits either way.

Work on a session is a generator that yields the tokens to run next and is sent what they gave.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from edgesnn.tokens.stepping import TokenSession

AT_ONCE = 16
"""Steps of a run, and sessions of a step, that share one pass over the weights."""

Keep = Literal["all", "last"]
Tokens = npt.NDArray[np.int64]
Result = TypeVar("Result")


class Ran(NamedTuple):
    """What a run of tokens gave, and its work."""

    outputs: Any
    spikes: int
    synops: int
    macs: int


Work = Generator[Tokens, Ran, Result]


def alone(work: Work[Result], session: TokenSession, keep: Keep) -> Result:
    """Return what work on a session comes to, run by run.

    Args:
        work: yields tokens, at least one.
        session: whose work it is.
        keep: which outputs it needs of a run.
    """
    try:
        tokens = next(work)
        while True:
            tokens = work.send(_run(session, tokens, keep))
    except StopIteration as end:
        result: Result = end.value
        return result


def together(works: Sequence[Work[Result]], sessions: Sequence[TokenSession], keep: Keep) -> list[Result]:
    """Return what work on several sessions of one model comes to: see `alone`, with the same bits."""
    results: dict[int, Result] = {}
    waiting: dict[int, Tokens] = {}
    given: dict[int, Ran | None] = dict.fromkeys(range(len(works)))
    while given:
        waiting.clear()
        for i, ran in given.items():
            try:
                waiting[i] = next(works[i]) if ran is None else works[i].send(ran)
            except StopIteration as end:
                results[i] = end.value
        made = _ran([sessions[i] for i in waiting], list(waiting.values()), keep)
        given = dict(zip(waiting, made, strict=True))
    return [results[i] for i in range(len(works))]


def common_steps(lengths: Sequence[int]) -> int:
    """Return how many steps all sessions are to do together before each runs the rest of its tokens.

    Compares passes over the weights. A step counts twice: it does for one token of each session what a run does for
    sixteen of one, in as many calls.

    >>> common_steps([3] * 8), common_steps([60] * 8), common_steps([2] * 6 + [40])
    (3, 0, 2)
    """

    def cost(steps: int) -> int:
        shared = sum(-(-sum(n > t for n in lengths) // AT_ONCE) for t in range(steps))
        return 2 * shared + sum(-(-max(0, n - steps) // AT_ONCE) for n in lengths)

    candidates = [0, *(n for n in set(lengths) if n <= AT_ONCE)]
    return min(candidates, key=lambda steps: (cost(steps), steps))


def _ran(sessions: Sequence[TokenSession], pieces: Sequence[Tokens], keep: Keep) -> list[Ran]:
    steps = common_steps([len(one) for one in pieces]) if keep == "all" and len(pieces) > 1 else 0
    if steps == 0:
        return [_run(session, one, keep) for session, one in zip(sessions, pieces, strict=True)]
    begun = _step(sessions, [one[:steps] for one in pieces])
    rest = [
        _run(session, one[steps:], keep) if len(one) > steps else None
        for session, one in zip(sessions, pieces, strict=True)
    ]
    return [one if more is None else _joined(one, more) for one, more in zip(begun, rest, strict=True)]


def _step(sessions: Sequence[TokenSession], pieces: Sequence[Tokens]) -> list[Ran]:
    """Do the tokens of each session, a step of all that have one left at a time."""
    rows: list[list[Any]] = [[] for _ in pieces]
    work = np.zeros((len(pieces), 3), np.int64)
    for t in range(max(map(len, pieces))):
        active = [i for i, one in enumerate(pieces) if t < len(one)]
        given = sessions[0].model.step_many([sessions[i] for i in active], [pieces[i][t] for i in active])
        for row, i in enumerate(active):
            rows[i].append({n: a[row] for n, a in given.items()} if isinstance(given, dict) else given[row])
            work[i] += (sessions[i].spikes, sessions[i].synops, sessions[i].macs)
    return [Ran(_stacked(own), *counts) for own, counts in zip(rows, work.tolist(), strict=True)]


def _run(session: TokenSession, tokens: Tokens, keep: Keep) -> Ran:
    return Ran(session.run(tokens, keep=keep), session.spikes, session.synops, session.macs)


def _stacked(rows: list[Any]) -> Any:
    if isinstance(rows[0], dict):
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    return np.stack(rows)


def _joined(first: Ran, second: Ran) -> Ran:
    a, b = first.outputs, second.outputs
    outputs = {n: np.concatenate((a[n], b[n])) for n in a} if isinstance(a, dict) else np.concatenate((a, b))
    return Ran(outputs, *(x + y for x, y in zip(first[1:], second[1:], strict=True)))
