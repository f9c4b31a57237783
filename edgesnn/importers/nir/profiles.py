"""Neurons of a NIR file as each framework runs them: which flags and constants its profile gives (docs/import.md).

A NIR file holds continuous-time constants. dt, the reset, the comparison, multi-spikes and clamps are the framework's,
so each profile writes them down. All constants are computed in float64 here, once, and rounded when they are stored.
Sources: the import and neuron modules of norse 1.1.0, snnTorch 1.0.0, sinabs 3.1.3, SpikingJelly 2.0.0, Rockpool 2.9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError

Array = npt.NDArray[np.float64]
MAX_COUNT = 255
"""Largest value of a multi-spike: one byte."""

NEURONS = ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF", "Threshold")


@dataclass(frozen=True)
class Cell:
    """A layer of neurons of the file: its name for errors, primitive, constants (spread to its shape), dt, reset.

    Attributes:
        reset: "zero" (to v_reset, 0 where the file has none) or "subtract".
    """

    where: str
    type: str
    fields: Mapping[str, Array]
    dt: float
    reset: str

    def __getitem__(self, name: str) -> Array:
        if name not in self.fields:
            raise ModelError(f"{self.type} has no {name}", where=self.where, found=", ".join(sorted(self.fields)))
        return self.fields[name]

    def get(self, name: str, default: float) -> Array:
        """Return a field, or an array of the default where the file has none (or leaves it empty)."""
        return self.fields.get(name, np.array(default, dtype=np.float64))

    def rate(self, name: str) -> Array:
        """Return dt / tau of a time constant; refuses one that is not above 0."""
        tau = self[name]
        if not (tau > 0).all():
            raise ModelError(f"{name} is not above 0", where=self.where, found=f"{tau.min():g}")
        return self.dt / tau

    def require(self, name: str, value: float, profile: str, default: float = 0.0) -> None:
        """Refuse a field that the framework has no place for."""
        found = self.get(name, default)
        if not np.allclose(found, value):
            what = f"profile {profile} runs {self.type} only with {name} {value:g}"
            hint = "pass another --profile, such as plain"
            raise ModelError(what, where=self.where, found=f"{found.min():g} to {found.max():g}", hint=hint)


@dataclass(frozen=True)
class Neuron:
    """What becomes a `lif` node: attributes that differ from its defaults, and tensors in float64."""

    attributes: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Profile:
    """A framework's way to run a NIR file.

    Attributes:
        reset: what it does where `--reset` does not say: "zero" or "subtract".
        recurrent_bias: whether a recurrent connection's bias is there at step 0 ("run") or not ("skip").
        cells: the primitives that it runs, and how.
    """

    reset: str
    recurrent_bias: str
    cells: Mapping[str, Callable[[Cell], Neuron]]


def make_neuron(name: str, cell: Cell) -> Neuron:
    """Return a layer's flags and constants under a profile.

    Raises:
        ModelError: the framework has no such neuron, or not with these constants; a constant is missing.
    """
    cells = PROFILES[name].cells
    if cell.type not in cells:
        what = f"profile {name} has no neuron for {cell.type}"
        raise ModelError(
            what, where=cell.where, expected=", ".join(cells), hint="pass another --profile, such as plain"
        )
    neuron = cells[cell.type](cell)
    for role, array in neuron.tensors.items():
        if not np.isfinite(array.astype(np.float32)).all():
            raise ModelError(f"{role} is not finite", where=cell.where, found=f"{cell.type} under profile {name}")
    return neuron


def _reset(cell: Cell, **same_step: Any) -> Neuron:
    """Return the reset's flags; `same_step` are further attributes."""
    if cell.reset == "subtract":
        return Neuron({"reset": "subtract", **same_step})
    v_reset = cell.get("v_reset", 0.0)
    if (v_reset == 0).all():
        return Neuron({"reset": "zero", **same_step})
    return Neuron({"reset": "value", **same_step}, {"v_reset": v_reset})


def _with(base: Neuron, attributes: Mapping[str, Any], **tensors: Array | None) -> Neuron:
    """Return a neuron with more; tensors that are None are left out."""
    given = {name: array for name, array in tensors.items() if array is not None}
    return Neuron({**base.attributes, **attributes}, {**base.tensors, **given})


def _unless(array: Array, neutral: float) -> Array | None:
    """Return None for an array that would change nothing once rounded to float32."""
    return None if (array.astype(np.float32) == np.float32(neutral)).all() else array


# --- Euler: plain and norse ---------------------------------------------------------------------------------------


def _euler_li(cell: Cell, gain: Array) -> Neuron:
    """v += dt/tau * (gain*x + v_leak - v), no spikes."""
    leak = _unless(cell.get("v_leak", 0.0), 0)
    attributes = {"decay": "euler", "spike": "none", "reset": "none"}
    return _with(Neuron(), attributes, alpha=cell.rate("tau"), gain=_unless(gain, 1), leak=leak)


def _euler_lif(cell: Cell, gain: Array) -> Neuron:
    attributes = {"decay": "euler", "compare": "gt"}
    leak = _unless(cell.get("v_leak", 0.0), 0)
    tensors = {"alpha": cell.rate("tau"), "gain": _unless(gain, 1), "leak": leak}
    return _with(_reset(cell), attributes, v_th=cell["v_threshold"], **tensors)


def _euler_cuba(cell: Cell) -> tuple[dict[str, Any], dict[str, Array | None]]:
    """i = (1 - dt/tau_syn)*i + (r*w_in*dt/tau_syn)*x; v += dt/tau_mem * (i + v_leak - v): i carries r."""
    synapse = cell.rate("tau_syn")
    gain = cell["r"] * cell.get("w_in", 1.0) * synapse
    leak = _unless(cell.get("v_leak", 0.0), 0)
    tensors = {"alpha": cell.rate("tau_mem"), "beta": 1 - synapse, "gain": _unless(gain, 1), "leak": leak}
    return {"decay": "euler", "current": "new"}, tensors


def _euler_cuba_li(cell: Cell) -> Neuron:
    attributes, tensors = _euler_cuba(cell)
    return _with(Neuron(), {**attributes, "spike": "none", "reset": "none"}, **tensors)


def _euler_cuba_lif(cell: Cell) -> Neuron:
    attributes, tensors = _euler_cuba(cell)
    return _with(_reset(cell), {**attributes, "compare": "gt"}, v_th=cell["v_threshold"], **tensors)


def _norse_cuba(make: Callable[[Cell], Neuron]) -> Callable[[Cell], Neuron]:
    def checked(cell: Cell) -> Neuron:
        cell.require("v_leak", 0, "norse")  # norse adds v_leak to the synapse's equation as well
        return make(cell)

    return checked


def _plain_if(cell: Cell) -> Neuron:
    """v' = r*x: v += dt*r*x."""
    gain = _unless(cell.dt * cell["r"], 1)
    return _with(_reset(cell), {"compare": "gt"}, alpha=np.ones(1), v_th=cell["v_threshold"], gain=gain)


def _plain_i(cell: Cell) -> Neuron:
    gain = _unless(cell.dt * cell["r"], 1)
    return _with(Neuron(), {"spike": "none", "reset": "none"}, alpha=np.ones(1), gain=gain)


def _norse_if(cell: Cell) -> Neuron:
    """v += x: norse leaves r and dt out."""
    return _with(_reset(cell), {"compare": "gt"}, alpha=np.ones(1), v_th=cell["v_threshold"])


def _threshold(compare: str) -> Callable[[Cell], Neuron]:
    """1 where the input passes the threshold: a neuron that keeps nothing."""

    def make(cell: Cell) -> Neuron:
        attributes = {"compare": compare, "reset": "none"}
        return _with(Neuron(), attributes, alpha=np.zeros(1), v_th=cell["threshold"])

    return make


# --- snnTorch: decay 1 - dt/tau, input unscaled, so the threshold carries the input's scale -------------------------


def _snntorch_lif(profile: str, reset_at: str) -> Callable[[Cell], Neuron]:
    def make(cell: Cell) -> Neuron:
        cell.require("v_leak", 0, profile)
        decay = cell.rate("tau")
        v_th = cell["v_threshold"] / (cell["r"] * decay)
        return _with(_snntorch_reset(cell, reset_at), {"compare": "gt"}, alpha=1 - decay, v_th=v_th)

    return make


def _snntorch_cuba(profile: str, reset_at: str) -> Callable[[Cell], Neuron]:
    def make(cell: Cell) -> Neuron:
        cell.require("v_leak", 0, profile)
        synapse, decay = cell.rate("tau_syn"), cell.rate("tau_mem")
        tensors = {"alpha": 1 - decay, "beta": 1 - synapse, "v_th": cell["v_threshold"] / (cell["r"] * decay)}
        gain = _unless(cell.get("w_in", 1.0) * synapse, 1)
        attributes = {"compare": "gt", "current": "new"}
        return _with(_snntorch_reset(cell, reset_at), attributes, gain=gain, **tensors)

    return make


def _snntorch_reset(cell: Cell, reset_at: str) -> Neuron:
    if cell.reset == "zero":
        cell.require("v_reset", 0, "snntorch")
        # after a reset to zero the old membrane lies below the threshold, so "no double reset" has nothing to do
        reset_at = "same" if reset_at == "no_double" else reset_at
    return _reset(cell, reset_at=reset_at)


# --- sinabs, SpikingJelly, Rockpool -------------------------------------------------------------------------------


def _sinabs_if(cell: Cell) -> Neuron:
    attributes = {"compare": "ge", "spike": "floor", "cap": MAX_COUNT}
    v_th = cell["v_threshold"]
    return _with(_reset(cell), attributes, alpha=np.ones(1), v_th=v_th, v_min=-v_th)


def _sinabs_lif(cell: Cell) -> Neuron:
    cell.require("v_leak", 0, "sinabs")
    attributes = {"compare": "ge", "spike": "floor", "cap": MAX_COUNT}
    return _with(_reset(cell), attributes, alpha=np.exp(-cell.rate("tau")), v_th=cell["v_threshold"])


def _sinabs_li(cell: Cell) -> Neuron:
    cell.require("v_leak", 0, "sinabs")
    cell.require("r", 1, "sinabs", 1.0)
    return _with(Neuron(), {"spike": "none", "reset": "none"}, alpha=np.exp(-cell.rate("tau")))


def _spikingjelly_if(cell: Cell) -> Neuron:
    gain = _unless(cell.dt * cell["r"], 1)
    return _with(_reset(cell), {"compare": "ge"}, alpha=np.ones(1), v_th=cell["v_threshold"], gain=gain)


def _spikingjelly_lif(cell: Cell) -> Neuron:
    """decay_input (r = 1): v += (x + v_reset - v)/tau; else (r = tau/dt): v += x - (v - v_reset)/tau."""
    v_reset, decay, r = cell.get("v_reset", 0.0), cell.rate("tau"), cell["r"]
    cell.require("v_leak", float(np.mean(v_reset)), "spikingjelly")
    reset = _reset(cell)
    if np.allclose(r, 1.0):
        leak = _unless(v_reset, 0)
        attributes = {"compare": "ge", "decay": "euler"}
        return _with(reset, attributes, alpha=decay, v_th=cell["v_threshold"], leak=leak)
    if not np.allclose(r * decay, 1.0):
        found = f"{r.min():g} to {r.max():g}"
        raise ModelError(
            "profile spikingjelly runs LIF only with r 1 or tau/dt",
            where=cell.where,
            found=found,
            hint="is --dt the one it was written with?",
        )
    leak = _unless(v_reset * decay, 0)
    return _with(reset, {"compare": "ge"}, alpha=1 - decay, v_th=cell["v_threshold"], leak=leak)


def _spikingjelly_cuba(cell: Cell) -> Neuron:
    cell.require("v_leak", 0, "spikingjelly")
    synapse, decay = cell.rate("tau_syn"), cell.rate("tau_mem")
    gain = _unless(cell.get("w_in", 1.0) * synapse * cell["r"] * decay, 1)
    attributes = {"compare": "ge", "current": "new"}
    return _with(_reset(cell), attributes, alpha=1 - decay, beta=1 - synapse, v_th=cell["v_threshold"], gain=gain)


def _rockpool_lif(cell: Cell) -> Neuron:
    cell.require("v_leak", 0, "rockpool")
    attributes = {"compare": "ge", "spike": "floor", "cap": MAX_COUNT}
    return _with(_reset(cell), attributes, alpha=np.exp(-cell.rate("tau")), v_th=cell["v_threshold"])


def _rockpool_cuba(cell: Cell) -> Neuron:
    """isyn = (isyn + x)*exp(-dt/tau_syn); v = v*exp(-dt/tau_mem) + isyn: the current decays before it is used."""
    cell.require("v_leak", 0, "rockpool")
    alpha, beta = np.exp(-cell.rate("tau_mem")), np.exp(-cell.rate("tau_syn"))
    attributes = {"compare": "ge", "spike": "floor", "cap": MAX_COUNT, "current": "sum_decay"}
    return _with(_reset(cell), attributes, alpha=alpha, beta=beta, v_th=cell["v_threshold"])


def _snntorch(profile: str, reset_at: str) -> Profile:
    cells = {"LIF": _snntorch_lif(profile, reset_at), "CubaLIF": _snntorch_cuba(profile, reset_at)}
    return Profile("subtract", "run", {**cells, "Threshold": _threshold("gt")})


PROFILES: Mapping[str, Profile] = {
    "plain": Profile(
        "zero",
        "run",
        {
            "I": _plain_i,
            "IF": _plain_if,
            "LI": lambda cell: _euler_li(cell, cell["r"]),
            "LIF": lambda cell: _euler_lif(cell, cell["r"]),
            "CubaLI": _euler_cuba_li,
            "CubaLIF": _euler_cuba_lif,
            "Threshold": _threshold("gt"),
        },
    ),
    "norse": Profile(
        "zero",
        "skip",
        {
            "IF": _norse_if,
            "LI": lambda cell: _euler_li(cell, np.ones(1)),
            "LIF": lambda cell: _euler_lif(cell, np.ones(1)),
            "CubaLI": _norse_cuba(_euler_cuba_li),
            "CubaLIF": _norse_cuba(_euler_cuba_lif),
            "Threshold": _threshold("gt"),
        },
    ),
    "snntorch": _snntorch("snntorch", "old"),
    "snntorch-no-delay": _snntorch("snntorch-no-delay", "no_double"),
    "sinabs": Profile(
        "subtract",
        "run",
        {"IF": _sinabs_if, "LI": _sinabs_li, "LIF": _sinabs_lif, "Threshold": _threshold("ge")},
    ),
    "spikingjelly": Profile(
        "zero",
        "skip",
        {
            "IF": _spikingjelly_if,
            "LIF": _spikingjelly_lif,
            "CubaLIF": _spikingjelly_cuba,
            "Threshold": _threshold("ge"),
        },
    ),
    "rockpool": Profile(
        "subtract",
        "run",
        {"LIF": _rockpool_lif, "CubaLIF": _rockpool_cuba, "Threshold": _threshold("ge")},
    ),
}
