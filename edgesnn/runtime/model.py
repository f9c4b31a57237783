"""A loaded model: immutable, shared by any number of sessions and threads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgesnn.errors import ModelError, UsageError
from edgesnn.graph import Document, read
from edgesnn.graph.activations import with_activations
from edgesnn.runtime.backends.base import Array, Engine, Options
from edgesnn.runtime.backends.registry import choose
from edgesnn.runtime.inputs import inputs
from edgesnn.runtime.session import Output, Session, step_many

ZOO = Path(__file__).parents[1] / "zoo"
SUFFIX = ".safetensors"


class Model:
    """A document, prepared for one backend. Immutable and thread-safe; weights stay mapped from the file.

    Args:
        document: what `edgesnn.graph.read` or a `Builder` gave.
        backend: "auto" (native, else reference with a warning), "native", "onnx", "reference" or "tensorrt".

    Attributes:
        document: the file's content.
        backend: name of the backend in use.
        inputs: checks of what a session's calls take.
        outputs: types of the graph's outputs by name.

    Raises:
        BackendError: a backend asked for by name cannot run here, or not this document.
    """

    def __init__(self, document: Document, *, backend: str = "auto") -> None:
        self.document = document
        self.backend, self._backend = choose(backend)
        self.prepared = self._backend.prepare(document)
        self.inputs = inputs(document.input)
        self.outputs = {name: document.analysis.values[name] for name in document.outputs}

    @property
    def input(self) -> Mapping[str, Any]:
        """The `input` section: what a step takes, and how events become it."""
        return self.document.input

    @property
    def sensor(self) -> tuple[int, int] | None:
        """(width, height) of the sensor that the model was made for; None where its input is not made of events."""
        section = self.input if self.input["kind"] == "points" else self.input.get("events") or {}
        size = section.get("sensor")
        return None if size is None else (int(size[0]), int(size[1]))

    @property
    def readout(self) -> Mapping[str, Any] | None:
        """The `readout` section: how scores become a decision."""
        return self.document.readout

    @property
    def identity(self) -> str:
        """sha256 of the document without provenance."""
        return self.document.identity

    @property
    def precision(self) -> str:
        """ "float32", "int8", "int4" or "mixed"."""
        return self.document.precision

    @property
    def native(self) -> Any:
        """The `_native.executor.Model` that the native chain runs; None on another backend."""
        return self.prepared[1] if self.backend == "native" else None

    @property
    def name(self) -> str:
        """File name without suffix; "model" for one that was built in memory."""
        return Path(self.document.where).name.removesuffix(SUFFIX)

    def session(self, *, record: Sequence[str] = (), threads: int = 1, account: bool = True) -> Session:
        """Return a new session, its states at their initial values.

        Args:
            record: names of nodes whose outputs of the last call are kept in `session.recorded`.
            threads: how many threads may share the rows of large layers; the bits are the same for any number. In a
                forked child they are not there: its one thread does their work too.
            account: whether to count spikes, synaptic operations, multiply-adds and bytes (`session.layers`).

        Raises:
            UsageError: record is no list, a recorded name is no node, or threads is no number from 1 to 256.
        """
        nodes = [node.name for node in self.document.nodes]
        if isinstance(record, str) or not isinstance(record, Iterable):
            found = repr(record)[:80]
            raise UsageError("no list of nodes", where="record", found=found, expected="a list of nodes' names")
        record = tuple(record)
        for name in record:
            if name not in nodes:
                raise UsageError("no node to record", where="record", found=repr(name), expected=", ".join(nodes))
        if type(threads) is not int or not 1 <= threads <= 256:
            raise UsageError("no number of threads", where="threads", found=repr(threads), expected="1 to 256")
        options = Options(record, threads, bool(account))
        return Session(self, self._backend.engine(self.prepared, options), options)

    def step_many(self, sessions: Sequence[Session], xs: Any = None, *, active: Any = None) -> Output:
        """Do one time step of each session, in one pass over the weights; the same bits as one `step` each.

        Args:
            sessions: of this model, all different.
            xs: one input a session: an array [sessions, ...], integers [sessions], or a list of windows.
            active: kind spikes, instead of xs: (indices, offsets [sessions + 1]).

        Returns:
            Outputs [sessions, ...]; a dict by name where there are several. Nothing is recorded.

        Raises:
            ModelError: xs or active is not what the model takes; nothing changes then.
            UsageError: no session, one twice, another model's, or one that another thread uses; nothing changes then.
        """
        return step_many(self, sessions, xs, active)

    def step_engines(self, engines: Sequence[Engine], x: Any) -> Mapping[str, Array]:
        """Do one step of each engine; for `step_many`, which holds the sessions' locks."""
        return self._backend.step_many(engines, x)

    def quick_many(self, engines: Sequence[Engine], active: Any) -> Mapping[str, Array] | None:
        """Do one step of each engine, of unchecked lists of active inputs, or nothing: `Backend.quick_many`."""
        return self._backend.quick_many(engines, active)

    def __repr__(self) -> str:
        return f"<edgesnn.Model {self.name} {self.precision} on {self.backend}, sha256 {self.identity[:12]}>"


def load(
    model: str | os.PathLike[str], *, backend: str = "auto", activations: str | None = None, copy: bool = False
) -> Model:
    """Return the model of a file or of a name in the zoo.

    Args:
        model: a path if it holds a path separator or ends in ".safetensors", else a name in the zoo ("digits").
        backend: "auto", "native", "onnx", "reference" or "tensorrt".
        activations: what integer matrices do with graded input: "int8" rounds it, "float32" does not; None as the file
            says. Other than the file's, it is another model with its own identity.
        copy: copy the weights instead of mapping the file.

    Raises:
        ModelError: no such file or name, or a file with anything wrong in it.
        BackendError: a backend asked for by name cannot run here.
        UsageError: activations is none of these.
    """
    document = read(locate(model), copy=copy)
    return Model(document if activations is None else with_activations(document, activations), backend=backend)


def locate(model: str | os.PathLike[str]) -> Path:
    """Return the path that a model argument names.

    Raises:
        ModelError: the zoo has no such name; the error lists what it has.
    """
    if not isinstance(model, (str, os.PathLike)):
        raise UsageError("not a model", where="load", found=repr(model), expected="a file's path, or a name in the zoo")
    text = os.fspath(model)
    if os.sep in text or text.endswith(SUFFIX) or not isinstance(model, str):
        return Path(text)
    if text not in zoo():
        raise ModelError(
            "no such model in the zoo",
            where=text[:200],
            expected=", ".join(zoo()) or "the zoo is empty",
            hint="a file needs a path separator or the suffix .safetensors",
        )
    return ZOO / f"{text}{SUFFIX}"


def zoo() -> list[str]:
    """Return the names of the shipped models."""
    return sorted(path.name.removesuffix(SUFFIX) for path in ZOO.glob(f"*{SUFFIX}"))
