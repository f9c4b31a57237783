"""The sessions of a stream of tokens by key: made when a key is first seen, bounded, saved and restored."""

from __future__ import annotations

import copy
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.graph import StateType
from edgesnn.pipeline.token_records import saved_decide
from edgesnn.runtime import Model, Session
from edgesnn.runtime.decide import Decide, Readout
from edgesnn.tokens.surprise import LineScorer

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass
class Keyed:
    """What belongs to one key."""

    session: Session
    scorer: LineScorer
    decide: Decide | None
    heard_s: float | None = None


class TokenSessions:
    """Sessions by key, the one that was silent longest first.

    Args:
        model: of kind tokens.
        states: its states, with the reset policies of this stream.
        readout: how it decides; None: it does not.
        most: at most so many; the one that was silent longest goes.

    Attributes:
        lines: what the model file says of lines.
        evicted: how many went.
    """

    def __init__(self, model: Model, states: Sequence[StateType], readout: Readout | None, most: int) -> None:
        self._model, self._states, self._readout, self._most = model, states, readout, most
        self.lines = LineScorer(model.session()).lines  # raises where the model does not fit
        self._keyed: OrderedDict[str, Keyed] = OrderedDict()
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._keyed)

    def __contains__(self, key: str) -> bool:
        return key in self._keyed

    @property
    def room(self) -> int:
        """How many new keys there may be before one goes."""
        return self._most - len(self._keyed)

    def of(self, key: str) -> Keyed:
        """Return what belongs to a key, which has now been heard last; made where it is new."""
        if key in self._keyed:
            self._keyed.move_to_end(key)
        else:
            if len(self._keyed) == self._most:
                self._keyed.popitem(last=False)
                self.evicted += 1
            self._keyed[key] = self._made(self._model.session())
        return self._keyed[key]

    def copies(self, keys: Iterable[str]) -> dict[str, Keyed | None]:
        """Return copies of what belongs to these keys, None of a new one: for `put_back`."""
        return {key: self._copy(self._keyed[key]) if key in self._keyed else None for key in keys}

    def order(self) -> list[str]:
        """Return the keys, the one that was silent longest first."""
        return list(self._keyed)

    def put_back(self, before: Mapping[str, Keyed | None], order: Iterable[str]) -> None:
        """Make these keys what they were when they were copied, and the order this one; nothing was evicted since."""
        now = {**self._keyed, **before}
        self._keyed = OrderedDict((key, one) for key in order if (one := now[key]) is not None)

    def save(self) -> dict[str, npt.NDArray[Any]]:
        """Return the sections session, tokens and decide of a snapshot, the counts of `tokens` left out."""
        keys = json.dumps(list(self._keyed)).encode()
        arrays: dict[str, npt.NDArray[Any]] = {"tokens/keys": np.frombuffer(keys, dtype=np.uint8)}
        for number, one in enumerate(self._keyed.values()):
            arrays[f"session/{number}"] = np.frombuffer(one.session.snapshot(), dtype=np.uint8)
            arrays |= {f"tokens/{number}/{name}": array for name, array in one.scorer.save().items()}
            arrays[f"decide/{number}"] = saved_decide(one.decide)
        return arrays

    def restored(self, arrays: Arrays) -> OrderedDict[str, Keyed]:
        """Return what `save` gave as sessions, for `replace`.

        Raises:
            ModelError, ValueError, KeyError, TypeError: it did not give them; nothing changes.
        """
        keys = json.loads(arrays["tokens/keys"].tobytes())
        if not isinstance(keys, list) or len(keys) > self._most or len({str(key) for key in keys}) != len(keys):
            raise ValueError("other sessions")
        _check_names(arrays, len(keys))
        return OrderedDict((str(key), self._restored(arrays, number)) for number, key in enumerate(keys))

    def replace(self, keyed: OrderedDict[str, Keyed], evicted: int) -> None:
        """Go on with restored sessions."""
        self._keyed, self.evicted = keyed, evicted

    def _made(self, session: Session) -> Keyed:
        decide = None if self._readout is None else Decide(self._readout)
        return Keyed(session, LineScorer(session, states=self._states, lines=self.lines), decide)

    def _copy(self, one: Keyed) -> Keyed:
        twin = self._made(one.session.clone())
        twin.scorer.load(one.scorer.save())
        return Keyed(twin.session, twin.scorer, copy.copy(one.decide), one.heard_s)

    def _restored(self, arrays: Arrays, number: int) -> Keyed:
        one = self._made(self._model.session())
        one.session.restore(arrays[f"session/{number}"].tobytes())
        head = f"tokens/{number}/"
        one.scorer.load({name.removeprefix(head): a for name, a in arrays.items() if name.startswith(head)})
        active, misses, candidate, run = (int(value) for value in arrays[f"decide/{number}"])
        if one.decide is not None:
            if max(active, candidate) >= len(one.decide.readout.labels) or min(misses, run) < 0:
                raise ValueError("a decision that the model does not make")
            one.decide.active, one.decide.candidate = (None if at < 0 else at for at in (active, candidate))
            one.decide.misses, one.decide.run = misses, run
        return one


def _check_names(arrays: Arrays, keys: int) -> None:
    each = ("session/{}", "decide/{}", "tokens/{}/known", "tokens/{}/counts", "tokens/{}/running")
    wanted = {"source/mark", "tokens/counts", "tokens/keys", *(name.format(n) for n in range(keys) for name in each)}
    for name in sorted(arrays.keys() ^ wanted):
        raise ValueError(f"{name} is {'unknown' if name in arrays else 'missing'}")
