"""The peers: one step at a time, batch 1, state kept, one thread. `make` gives one by name, or says why it cannot."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from nets import Net

logging.getLogger("torch._library.triton").setLevel(logging.ERROR)  # which says on every start that there is no Triton

# name -> (group, module, what is made); the order is that of the table
PEERS: dict[str, tuple[str, str, str]] = {
    "onnxruntime float32": ("engine", "onnx_steps", "float32"),
    "onnxruntime int8": ("engine", "onnx_steps", "int8"),
    "numpy dense": ("engine", "numpy_steps", "Dense"),
    "numpy gather": ("engine", "numpy_steps", "Gather"),
    "torch eager": ("torch", "torch_steps", "Eager"),
    "TorchScript": ("torch", "torch_steps", "script"),
    "snnTorch": ("framework", "frameworks", "snntorch"),
    "Norse": ("framework", "frameworks", "norse"),
    "SpikingJelly": ("framework", "frameworks", "spikingjelly"),
    "sinabs": ("framework", "frameworks", "sinabs"),
}


class Peer(Protocol):
    """A network with its state.

    `inputs` turns spikes [T, ...] into what `step` takes, outside the timed part; `step` returns the output in the
    peer's own form, `spikes` turns that into a numpy vector.
    """

    def inputs(self, spikes: npt.NDArray[np.uint8]) -> list[Any]: ...
    def reset(self) -> None: ...
    def step(self, x: Any) -> Any: ...
    def spikes(self, output: Any) -> npt.NDArray[Any]: ...


class CannotRunError(Exception):
    """A peer has no form of this net."""


def make(name: str, net: Net) -> Peer | str:
    """Return the peer for a net, or one line that says why there is none."""
    _, module, attribute = PEERS[name]
    try:
        peer: Peer = getattr(importlib.import_module(f"peers.{module}"), attribute)(net)
    except ImportError as error:
        return f"missing: {error}"
    except CannotRunError as error:
        return f"not possible: {error}"
    return peer


def outputs(peer: Peer, net: Net) -> npt.NDArray[Any]:
    """Return the output spikes [T, N] of all steps from a fresh state."""
    peer.reset()
    return np.stack([peer.spikes(peer.step(x)).reshape(-1).copy() for x in peer.inputs(net.inputs)])
