"""Neurons of a NIR file as each framework runs them: which flags and constants its profile gives (docs/import.md).

A NIR file holds continuous-time constants. dt, the reset, the comparison, multi-spikes and clamps are the framework's,
so each profile writes them down. All constants are computed in float64 here, once, and rounded when they are stored.
Sources: the import and neuron modules of norse 1.1.0, snnTorch 1.0.0, sinabs 3.1.3, SpikingJelly 2.0.0, Rockpool 2.9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesnn.errors import ModelError
from edgesnn.importers.neuron import MAX_COUNT, Float64, Neuron, unless

NEURONS = ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF", "Threshold")


@dataclass(frozen=True)
class Cell:
    """A layer of neurons of the file: its name for errors, primitive, constants (spread to its shape), dt, reset.

    Attributes:
        reset: "zero" (to v_reset, 0 where the file has none) or "subtract".
    """

    where: str
    type: str
    fields: Mapping[str, Float64]
    dt: float
    reset: str

    def __getitem__(self, name: str) -> Float64:
        if name not in self.fields:
            raise ModelError(f"{self.type} has no {name}", where=self.where, found=", ".join(sorted(self.fields)))
        return self.fields[name]

    def get(self, name: str, default: float) -> Float64:
        """Return a field, or an array of the default where the file has none (or leaves it empty)."""
        return self.fields.get(name, np.array(default, dtype=np.float64))

    def rate(self, name: str) -> Float64:
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


SILENT: dict[str, Any] = {"spike": "none", "reset": "none"}
MULTI: dict[str, Any] = {"compare": "ge", "spike": "floor", "cap": MAX_COUNT}


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


def _start(cell: Cell, name: str) -> dict[str, Any]:
    """Return the initial membrane where the framework starts it at a constant of the file, one for the layer."""
    value = cell.get(name, 0.0)
    if (value == 0).all():
        return {}
    if not (value == value.flat[0]).all():
        what = f"the membrane starts at {name}, which must be one number for the layer"
        raise ModelError(what, where=cell.where, found=f"{value.min():g} to {value.max():g}")
    return {"v_init": float(np.float32(value.flat[0]))}


# --- Euler: plain and norse ---------------------------------------------------------------------------------------


def _euler(cell: Cell) -> dict[str, Float64 | None]:
    """v += dt/tau * (x + v_leak - v)."""
    return {"alpha": cell.rate("tau"), "leak": unless(cell.get("v_leak", 0.0), 0)}


def _plain_li(cell: Cell) -> Neuron:
    return Neuron().plus({"decay": "euler", **SILENT}, gain=unless(cell["r"], 1), **_euler(cell))


def _plain_lif(cell: Cell) -> Neuron:
    attributes = {"decay": "euler", "compare": "gt"}
    return _reset(cell).plus(attributes, v_th=cell["v_threshold"], gain=unless(cell["r"], 1), **_euler(cell))


def _norse_li(cell: Cell) -> Neuron:
    """Norse leaves r out, and starts at v_leak."""
    return Neuron().plus({"decay": "euler", **SILENT, **_start(cell, "v_leak")}, **_euler(cell))


def _norse_lif(cell: Cell) -> Neuron:
    attributes = {"decay": "euler", "compare": "gt", **_start(cell, "v_leak")}
    return _reset(cell).plus(attributes, v_th=cell["v_threshold"], **_euler(cell))


def _euler_cuba(cell: Cell) -> tuple[dict[str, Any], dict[str, Float64 | None]]:
    """i = (1 - dt/tau_syn)*i + (r*w_in*dt/tau_syn)*x; v += dt/tau_mem * (i + v_leak - v): i carries r."""
    synapse = cell.rate("tau_syn")
    gain = cell["r"] * cell.get("w_in", 1.0) * synapse
    leak = unless(cell.get("v_leak", 0.0), 0)
    tensors = {"alpha": cell.rate("tau_mem"), "beta": 1 - synapse, "gain": unless(gain, 1), "leak": leak}
    return {"decay": "euler", "current": "new"}, tensors


def _euler_cuba_li(cell: Cell) -> Neuron:
    attributes, tensors = _euler_cuba(cell)
    return Neuron().plus({**attributes, **SILENT}, **tensors)


def _euler_cuba_lif(cell: Cell) -> Neuron:
    attributes, tensors = _euler_cuba(cell)
    return _reset(cell).plus({**attributes, "compare": "gt"}, v_th=cell["v_threshold"], **tensors)


def _norse_cuba(make: Callable[[Cell], Neuron]) -> Callable[[Cell], Neuron]:
    def checked(cell: Cell) -> Neuron:
        cell.require("v_leak", 0, "norse")  # norse adds v_leak to the synapse's equation as well
        return make(cell)

    return checked


def _plain_if(cell: Cell) -> Neuron:
    """v' = r*x: v += dt*r*x."""
    gain = unless(cell.dt * cell["r"], 1)
    return _reset(cell).plus({"compare": "gt"}, alpha=np.ones(1), v_th=cell["v_threshold"], gain=gain)


def _plain_i(cell: Cell) -> Neuron:
    gain = unless(cell.dt * cell["r"], 1)
    return Neuron().plus(SILENT, alpha=np.ones(1), gain=gain)


def _norse_if(cell: Cell) -> Neuron:
    """v += x: norse leaves r and dt out, and starts at v_reset."""
    return _reset(cell).plus({"compare": "gt", **_start(cell, "v_reset")}, alpha=np.ones(1), v_th=cell["v_threshold"])


def _threshold(compare: str) -> Callable[[Cell], Neuron]:
    """1 where the input passes the threshold: a neuron that keeps nothing."""

    def make(cell: Cell) -> Neuron:
        attributes = {"compare": compare, "reset": "none"}
        return Neuron().plus(attributes, alpha=np.zeros(1), v_th=cell["threshold"])

    return make


# --- snnTorch: decay 1 - dt/tau, input unscaled, so the threshold carries the input's scale -------------------------


def _snntorch_lif(cell: Cell, profile: str, reset_at: str) -> Neuron:
    cell.require("v_leak", 0, profile)
    decay = cell.rate("tau")
    v_th = cell["v_threshold"] / (cell["r"] * decay)
    return _snntorch_reset(cell, reset_at).plus({"compare": "gt"}, alpha=1 - decay, v_th=v_th)


def _snntorch_cuba(cell: Cell, profile: str, reset_at: str) -> Neuron:
    cell.require("v_leak", 0, profile)
    synapse, decay = cell.rate("tau_syn"), cell.rate("tau_mem")
    v_th = cell["v_threshold"] / (cell["r"] * decay)
    gain = unless(cell.get("w_in", 1.0) * synapse, 1)
    attributes = {"compare": "gt", "current": "new"}
    return _snntorch_reset(cell, reset_at).plus(attributes, alpha=1 - decay, beta=1 - synapse, v_th=v_th, gain=gain)


def _snntorch_reset(cell: Cell, reset_at: str) -> Neuron:
    """Return the reset; at once to zero leaves no double reset to avoid, and Leaky's late one precedes the decay."""
    if cell.reset == "zero":
        cell.require("v_reset", 0, "snntorch")
        late = "next" if cell.type == "LIF" else "old"
        reset_at = "same" if reset_at == "no_double" else late
    return _reset(cell, reset_at=reset_at)


def _snntorch(profile: str, reset_at: str) -> Profile:
    cells: dict[str, Callable[[Cell], Neuron]] = {
        "LIF": lambda cell: _snntorch_lif(cell, profile, reset_at),
        "CubaLIF": lambda cell: _snntorch_cuba(cell, profile, reset_at),
        "Threshold": _threshold("gt"),
    }
    return Profile("subtract", "run", cells)


# --- sinabs, SpikingJelly, Rockpool -------------------------------------------------------------------------------


def _sinabs_if(cell: Cell) -> Neuron:
    v_th = cell["v_threshold"]
    return _reset(cell).plus(MULTI, alpha=np.ones(1), v_th=v_th, v_min=-v_th)


def _sinabs_lif(cell: Cell) -> Neuron:
    cell.require("v_leak", 0, "sinabs")
    return _reset(cell).plus(MULTI, alpha=np.exp(-cell.rate("tau")), v_th=cell["v_threshold"])


def _sinabs_li(cell: Cell) -> Neuron:
    cell.require("v_leak", 0, "sinabs")
    cell.require("r", 1, "sinabs", 1.0)
    return Neuron().plus(SILENT, alpha=np.exp(-cell.rate("tau")))


def _spikingjelly_if(cell: Cell) -> Neuron:
    """v += x, where the file's r is 1/dt."""
    gain = unless(cell.dt * cell["r"], 1)
    attributes = {"compare": "ge", **_start(cell, "v_reset")}
    return _reset(cell).plus(attributes, alpha=np.ones(1), v_th=cell["v_threshold"], gain=gain)


def _spikingjelly_lif(cell: Cell) -> Neuron:
    """decay_input (r = 1): v += (x + v_reset - v)/tau; else (r = tau/dt): v += x - (v - v_reset)/tau."""
    v_reset, decay, r = cell.get("v_reset", 0.0), cell.rate("tau"), cell["r"]
    cell.require("v_leak", float(np.mean(v_reset)), "spikingjelly")
    reset = _reset(cell).plus({"compare": "ge", **_start(cell, "v_reset")}, v_th=cell["v_threshold"])
    if np.allclose(r, 1.0):
        return reset.plus({"decay": "euler"}, alpha=decay, leak=unless(v_reset, 0))
    if not np.allclose(r * decay, 1.0):
        found = f"{r.min():g} to {r.max():g}"
        raise ModelError(
            "profile spikingjelly runs LIF only with r 1 or tau/dt",
            where=cell.where,
            found=found,
            hint="is --dt the one it was written with?",
        )
    return reset.plus({}, alpha=1 - decay, leak=unless(v_reset * decay, 0))


def _spikingjelly_cuba(cell: Cell) -> Neuron:
    cell.require("v_leak", 0, "spikingjelly")
    synapse, decay = cell.rate("tau_syn"), cell.rate("tau_mem")
    gain = unless(cell.get("w_in", 1.0) * synapse * cell["r"] * decay, 1)
    attributes = {"compare": "ge", "current": "new", **_start(cell, "v_reset")}
    return _reset(cell).plus(attributes, alpha=1 - decay, beta=1 - synapse, v_th=cell["v_threshold"], gain=gain)


def _rockpool_lif(cell: Cell) -> Neuron:
    cell.require("v_leak", 0, "rockpool")
    return _reset(cell).plus(MULTI, alpha=np.exp(-cell.rate("tau")), v_th=cell["v_threshold"])


def _rockpool_cuba(cell: Cell) -> Neuron:
    """isyn = (isyn + x)*exp(-dt/tau_syn); v = v*exp(-dt/tau_mem) + isyn: the current decays before it is used."""
    cell.require("v_leak", 0, "rockpool")
    alpha, beta = np.exp(-cell.rate("tau_mem")), np.exp(-cell.rate("tau_syn"))
    return _reset(cell).plus({**MULTI, "current": "sum_decay"}, alpha=alpha, beta=beta, v_th=cell["v_threshold"])


PROFILES: Mapping[str, Profile] = {
    "plain": Profile(
        "zero",
        "run",
        {
            "I": _plain_i,
            "IF": _plain_if,
            "LI": _plain_li,
            "LIF": _plain_lif,
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
            "LI": _norse_li,
            "LIF": _norse_lif,
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
