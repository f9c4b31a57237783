"""What engines that take their steps one by one in Python share: when a window begins, and which states that sets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.graph import Document
from edgesnn.graph.fields import POLICIES
from edgesnn.runtime.backends.base import COUNTS, Array, Keep, Options, QuickRun, QuickStep


class EngineInPython(ABC):
    """See `edgesnn.runtime.backends.base.Engine`; one that inherits gives `_steps`, and `state` where states are."""

    state: Mapping[str, Array]

    def __init__(self, document: Document, options: Options) -> None:
        self._document = document
        self._options = options
        self._points = document.input["kind"] == "points"
        self.recorded: Mapping[str, Array] = {}
        self.quick_step: QuickStep | None = None
        self.quick_run: QuickRun | None = None
        self.counts: npt.NDArray[np.int64] = np.zeros((len(document.nodes), len(COUNTS)), dtype=np.int64)
        self.step_number = 0

    @abstractmethod
    def _steps(self, xs: Any, keep: Keep) -> Mapping[str, Array]:
        """Do the steps, set `recorded` and `counts`, and return the outputs that are kept."""

    def reset(self) -> None:
        """See `Engine.reset`."""
        self._reset(POLICIES)

    def new_window(self) -> None:
        """See `Engine.new_window`."""
        step = self.step_number
        self._reset(("window",))
        if self._document.states and not self._points and all(s.reset != "window" for s in self._document.states):
            self.step_number = step

    def step(self, x: Any) -> Mapping[str, Array]:
        """See `Engine.step`."""
        if self._points and self.step_number >= self._document.input["steps"]:
            self._reset(("window",))
        return self._steps(x, "all")

    def run(self, x: Any, keep: Keep) -> Mapping[str, Array]:
        """See `Engine.run`."""
        if self._points:
            self._reset(("window",))
        return self._steps(x, keep)

    def _reset(self, policies: Sequence[str]) -> None:
        for state in self._document.states:
            if state.reset in policies:
                self.state[state.name][...] = state.initial
        self.step_number = 0
