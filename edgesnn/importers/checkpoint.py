"""The tensors of a torch checkpoint (.pth), mapped and read one at a time; nothing in the file is ever executed.

Such a file is a zip archive of a pickle and of the tensors' bytes. It is read with `torch.load(weights_only=True)`,
whose unpickler knows tensors and containers only, by torch 2.10 or newer: before it a crafted file could corrupt memory
all the same (CVE-2026-24747).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError, UsageError

TORCH = (2, 10)
_ZIP = b"PK\x03\x04"
_AGAIN = "fetch the file again, and compare its size or sum"

Floats = npt.NDArray[np.float32]


class Checkpoint:
    """A dictionary of float tensors by name. The file is mapped; its pages that were read are given back now and then.

    Args:
        path: the .pth file.

    Attributes:
        where: the path, for messages.
        shapes: of the tensors by name, in the file's order.

    Raises:
        ModelError: no such file, a damaged one, one with anything but float tensors by name; nothing was executed.
        UsageError: no torch, or one that is too old.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.where = os.fspath(path)
        _check_torch()
        _check_head(self.where)
        self._tensors = _checked(_load(self.where), self.where)
        self.shapes: Mapping[str, tuple[int, ...]] = _shapes(self._tensors)
        self._most = max(map(_bytes, self._tensors.values()))
        self._seen = 0  # bytes of the mapped file, at most

    def read(self, name: str) -> Floats:
        """Return a tensor as float32 (a view of the mapped file where it is that already).

        Raises:
            ModelError: it holds what is not a finite number, or the file has changed.
        """
        self._seen += _bytes(self._tensors[name])
        if self._seen > self._most:
            self._map_again(name)
        values: Floats = self._tensors[name].float().numpy()
        if not np.isfinite(values).all():
            raise ModelError("tensor has values that are not numbers", where=f"{self.where}, {name}")
        return values

    def _map_again(self, name: str) -> None:
        """Let go of the pages that were read: no more of them than the largest tensor stay in memory."""
        self._tensors = {}
        self._tensors = _checked(_load(self.where), self.where)
        if _shapes(self._tensors) != self.shapes:
            raise ModelError("checkpoint has changed while it was read", where=self.where)
        self._seen = _bytes(self._tensors[name])

    @property
    def sha256(self) -> str:
        """Hex digest of the file."""
        digest = hashlib.sha256()
        with open(self.where, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()


def _check_torch() -> None:
    hint = f"pip install 'torch>={TORCH[0]}.{TORCH[1]}', or edgesnn[train]"
    if importlib.util.find_spec("torch") is None:
        raise UsageError("reading a torch checkpoint needs torch", hint=hint)
    import torch

    found = str(torch.__version__)
    numbers = re.match(r"(\d+)\.(\d+)", found)
    if numbers is None or tuple(map(int, numbers.groups())) < TORCH:
        raise UsageError(
            "this torch does not read checkpoints safely",
            found=f"torch {found}",
            expected=f"{TORCH[0]}.{TORCH[1]} or newer (CVE-2026-24747)",
            hint=hint,
        )


def _check_head(where: str) -> None:
    try:
        with open(where, "rb") as file:
            head = file.read(len(_ZIP))
    except OSError as error:
        raise ModelError("checkpoint cannot be read", where=where, found=error.strerror) from None
    if head != _ZIP:
        found = f"it begins with {head!r}" if head else "an empty file"
        expected = f"{_ZIP!r}, a zip archive as torch.save writes it since torch 1.6"
        raise ModelError("not a torch checkpoint", where=where, offset=0, found=found, expected=expected)
    if not zipfile.is_zipfile(where):
        found = f"no directory of the archive at its end, in {os.path.getsize(where)} bytes: the file is cut"
        raise ModelError("checkpoint is damaged", where=where, found=found, hint=_AGAIN)


def _load(where: str) -> Any:
    import torch

    try:
        return torch.load(where, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"(?:GLOBAL|function|class) ([\w.]+)", str(error))
        raise ModelError(
            "checkpoint holds more than tensors; nothing of it was executed",
            where=where,
            found=named.group(1) if named else "an instruction that plain tensors do not need",
            expected="tensors by name",
            hint="do not load it with anything else, unless you trust who made it",
        ) from None
    except Exception as error:  # whatever torch's reader meets in bytes that anybody may have written
        found = str(error).split("\n")[0][:160] or type(error).__name__
        raise ModelError("checkpoint is damaged", where=where, found=found, hint=_AGAIN) from None


def _checked(loaded: Any, where: str) -> dict[str, Any]:
    """Return the tensors, each of them whole numbers of bytes of the file: none is a small one in a large shape."""
    import torch

    if not isinstance(loaded, dict) or not loaded:
        raise ModelError("not a checkpoint", where=where, found=type(loaded).__name__, expected="tensors by name")
    tensors, left = {}, os.path.getsize(where)
    for name, value in loaded.items():
        at = f"{where}, {str(name)[:80]}"
        if not isinstance(name, str):
            raise ModelError("a tensor's name is no text", where=at, found=type(name).__name__)
        if not isinstance(value, torch.Tensor):
            hint = "save the state_dict alone" if isinstance(value, (dict, int, float)) else None
            raise ModelError("not a tensor", where=at, found=type(value).__name__, expected="a tensor", hint=hint)
        tensor = value.detach()
        plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and tensor.is_floating_point()
        if not plain or not tensor.is_contiguous():
            found = f"{tensor.dtype}, {tensor.layout}"
            raise ModelError("not plain numbers", where=at, found=found, expected="float numbers in C order")
        left -= _bytes(tensor)
        if left < 0:
            raise ModelError("tensors are larger than their file", where=at, found=f"{_bytes(tensor):,} bytes")
        tensors[name] = tensor
    return tensors


def _bytes(tensor: Any) -> int:
    return int(tensor.numel() * tensor.element_size())


def _shapes(tensors: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
