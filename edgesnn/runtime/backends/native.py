"""The native backend: the door to `native/executor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgesnn.graph import Document
from edgesnn.runtime.backends.base import Engine


class NativeBackend:
    def available(self) -> str | None:
        return "it is not built yet"

    def prepare(self, document: Document) -> Any:
        raise NotImplementedError

    def engine(self, prepared: Any, record: Sequence[str]) -> Engine:
        raise NotImplementedError
