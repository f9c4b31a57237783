"""The models of a configuration: each file is loaded once, however many streams use it; again where it was replaced."""

from __future__ import annotations

from collections.abc import Iterable

from edgesnn.daemon.schema import Stream
from edgesnn.errors import ModelError
from edgesnn.graph import with_readout
from edgesnn.publish.topics import check_level
from edgesnn.runtime import Model, load
from edgesnn.runtime.model import locate

Key = tuple[str, str, int, int, int]


class Models:
    """Loads models and keeps them. One thread uses it."""

    def __init__(self) -> None:
        self._loaded: dict[Key, Model] = {}

    def get(self, stream: Stream) -> Model:
        """Return the model of a stream, with the stream's numbers in its readout; loaded, and all its tensors compared
        with their checksums, at the first call for its file.

        Raises:
            ModelError: it cannot be loaded, is another than `sha256` says, or holds other bytes than its document says.
            ConfigError: a label that cannot be in a topic or on a terminal.
            BackendError: it cannot run on the backend that was named.
            UsageError: numbers that its readout cannot have.
        """
        key = _key(stream)
        if key not in self._loaded:
            model = load(stream.model, backend=stream.backend)
            model.document.verify()
            for label in (model.readout or {}).get("labels", ()):
                check_level(str(label), "label")
            self._loaded[key] = model
        model = self._loaded[key]
        if stream.sha256 is not None and stream.sha256 != model.identity:
            raise ModelError(
                "another model than the configuration says",
                where=model.document.where,
                found=f"sha256 {model.identity}",
                expected=f"sha256 {stream.sha256}",
                hint="name the right file, or write its identity (`edgesnn info --json`)",
            )
        if stream.readout is None:
            return model
        return Model(with_readout(model.document, **stream.readout.model_dump()), backend=stream.backend)

    def keep(self, streams: Iterable[Stream]) -> None:
        """Let go of what none of these streams would get now."""
        wanted = {_key(stream) for stream in streams}
        self._loaded = {key: model for key, model in self._loaded.items() if key in wanted}


def _key(stream: Stream) -> Key:
    """Return path, backend, and what shows that the file is another one."""
    path = locate(stream.model).absolute()
    try:
        stat = path.stat()
    except OSError:  # loading it says why
        return str(path), stream.backend, 0, 0, 0
    return str(path), stream.backend, stat.st_ino, stat.st_size, stat.st_mtime_ns
