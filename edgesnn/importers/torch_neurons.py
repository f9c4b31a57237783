"""Neurons of snnTorch, Norse, SpikingJelly and sinabs: flags and constants read from the live module.

No framework is imported: a module is known by its package and class name, and read by its attributes. Sources: the
neurons' own code in snnTorch 1.0.0, norse 1.1.0, SpikingJelly 2.0.0 and sinabs 3.1.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesnn.errors import ModelError
from edgesnn.importers.neuron import MAX_COUNT, Float64, Neuron, unless

SILENT: dict[str, Any] = {"spike": "none", "reset": "none"}


@dataclass(frozen=True)
class Cell:
    """A layer of neurons.

    Attributes:
        neuron: its flags and constants.
        recurrent: what its spikes pass through on their way back, one step late: a torch module, or a weight [N, N],
            or [N] or [1] for connections of each neuron to itself; None.
        cold_start: whether the recurrent bias is there at step 0: "run" or "skip".
        inputs: a weight [N, K] that belongs to the layer, or None.
    """

    neuron: Neuron
    recurrent: Any = None
    cold_start: str = "run"
    inputs: Float64 | None = None


def class_name(module: Any) -> str:
    """Return package and class: "snntorch.Leaky"."""
    return f"{type(module).__module__.split('.')[0]}.{type(module).__name__}"


def is_neuron(module: Any) -> bool:
    """Say whether this is a layer of neurons that we know."""
    return class_name(module) in CELLS


def read_cell(module: Any, where: str) -> Cell:
    """Return a layer of neurons.

    Raises:
        ModelError: one of its options has no counterpart here; it is named.
    """
    return CELLS[class_name(module)](module, where)


def array(value: Any) -> Float64:
    """Return a tensor or number as float64."""
    if not hasattr(value, "detach"):
        return np.asarray(value, dtype=np.float64)
    if value.is_complex():
        raise ModelError("module holds complex numbers", found=str(value.dtype), expected="real numbers")
    return np.asarray(value.detach().cpu().double().numpy())


def _refuse(module: Any, where: str, what: str, found: Any) -> ModelError:
    return ModelError(f"{class_name(module)} with {what} is not known", where=where, found=str(found))


# --- snnTorch -----------------------------------------------------------------------------------------------------


def _snntorch(module: Any, where: str) -> Cell:
    """Leaky, RLeaky, Synaptic, RSynaptic."""
    name = type(module).__name__
    for option in ("inhibition", "state_quant"):
        if getattr(module, option, False):
            raise _refuse(module, where, option, getattr(module, option))
    if not (array(module.graded_spikes_factor) == 1).all():
        raise _refuse(module, where, "graded_spikes_factor", array(module.graded_spikes_factor))
    late = bool(module.reset_delay)
    if name == "RSynaptic" and not late:
        raise _refuse(module, where, "reset_delay", "False, which snnTorch itself cannot run")
    neuron = Neuron(
        {"compare": "gt", **_snntorch_reset(module.reset_mechanism, late, name)},
        {"alpha": np.clip(array(module.beta), 0, 1), "v_th": array(module.threshold)},
    )
    if name in ("Synaptic", "RSynaptic"):
        neuron = neuron.plus({"current": "new"}, beta=np.clip(array(module.alpha), 0, 1))
    recurrent = None
    if name in ("RLeaky", "RSynaptic"):
        recurrent = module.recurrent if module.all_to_all else array(module.recurrent.V).reshape(-1)
    return Cell(neuron, recurrent)


def _snntorch_reset(mechanism: str, late: bool, name: str) -> dict[str, str]:
    if mechanism == "none":
        return {"reset": "none"}
    if mechanism == "subtract":
        return {"reset": "subtract", "reset_at": "old" if late else "no_double"}
    # a reset to zero in the same step leaves no double reset to avoid; Leaky's late one precedes the decay
    return {"reset": "zero", "reset_at": ("next" if name == "Leaky" else "old") if late else "same"}


# --- Norse --------------------------------------------------------------------------------------------------------


def _norse_start(module: Any, where: str, name: str) -> dict[str, Any]:
    value = array(getattr(module.p, name))
    if not (value == value.flat[0]).all():
        raise _refuse(module, where, name, "a membrane that starts at different values")
    return {"v_init": float(np.float32(value.flat[0]))} if value.flat[0] else {}


def _norse_reset(module: Any, where: str) -> Neuron:
    method = getattr(module.p, "reset_method", None)
    name = "reset_value" if method is None else method.__name__
    if name == "reset_subtract":
        return Neuron({"reset": "subtract"})
    if name != "reset_value":
        raise _refuse(module, where, "reset_method", name)
    v_reset = array(module.p.v_reset)
    return Neuron({"reset": "zero"}) if (v_reset == 0).all() else Neuron({"reset": "value"}, {"v_reset": v_reset})


def _norse_membrane(module: Any) -> dict[str, Float64 | None]:
    return {"alpha": module.dt * array(module.p.tau_mem_inv), "leak": unless(array(module.p.v_leak), 0)}


def _norse_lif_box(module: Any, where: str) -> Cell:
    attributes = {"decay": "euler", "compare": "gt", **_norse_start(module, where, "v_leak")}
    return Cell(_norse_reset(module, where).plus(attributes, v_th=array(module.p.v_th), **_norse_membrane(module)))


def _norse_li_box(module: Any, where: str) -> Cell:
    attributes = {"decay": "euler", **SILENT, **_norse_start(module, where, "v_leak")}
    return Cell(Neuron().plus(attributes, **_norse_membrane(module)))


def _norse_lif(module: Any, where: str) -> Cell:
    """LIFCell, LIF: the current jumps by the input, drives the membrane, then decays."""
    beta = module.dt * array(module.p.tau_syn_inv)
    attributes = {"decay": "euler", "compare": "gt", "current": "jump", **_norse_start(module, where, "v_leak")}
    tensors = {"beta": beta, "v_th": array(module.p.v_th), **_norse_membrane(module)}
    return Cell(_norse_reset(module, where).plus(attributes, **tensors))


def _norse_li(module: Any, where: str) -> Cell:
    beta = module.dt * array(module.p.tau_syn_inv)
    attributes = {"decay": "euler", "current": "jump", **SILENT, **_norse_start(module, where, "v_leak")}
    return Cell(Neuron().plus(attributes, beta=beta, **_norse_membrane(module)))


def _norse_iaf(module: Any, where: str) -> Cell:
    attributes = {"compare": "gt", **_norse_start(module, where, "v_reset")}
    return Cell(_norse_reset(module, where).plus(attributes, alpha=np.ones(1), v_th=array(module.p.v_th)))


def _norse_lif_recurrent(module: Any, where: str) -> Cell:
    """LIFRecurrentCell, LIFRecurrent: own weights without biases; norse zeroes the autapses in the weight itself."""
    neuron = _norse_lif(module, where).neuron
    return Cell(neuron, recurrent=array(module.recurrent_weights), inputs=array(module.input_weights))


# --- SpikingJelly -------------------------------------------------------------------------------------------------


def _spikingjelly(module: Any, where: str, decay: Float64 | None, decay_input: bool) -> Cell:
    """decay None: integrate only. The membrane starts at v_reset; v_reset None subtracts the threshold."""
    rest = 0.0 if module.v_reset is None else float(module.v_reset)
    start = {"v_init": float(np.float32(rest))} if rest else {}
    if module.v_reset is None:
        neuron = Neuron({"reset": "subtract"})
    else:
        neuron = Neuron({"reset": "value"}, {"v_reset": np.array([rest])}) if rest else Neuron({"reset": "zero"})
    neuron = neuron.plus({"compare": "ge", **start}, v_th=array(module.v_threshold))
    if decay is None:
        return Cell(neuron.plus({}, alpha=np.ones(1)))
    if decay_input:
        return Cell(neuron.plus({"decay": "euler"}, alpha=decay, leak=unless(rest, 0)))
    return Cell(neuron.plus({}, alpha=1 - decay, leak=unless(rest * decay, 0)))


def _spikingjelly_if(module: Any, where: str) -> Cell:
    return _spikingjelly(module, where, None, True)


def _spikingjelly_lif(module: Any, where: str) -> Cell:
    return _spikingjelly(module, where, 1 / array(module.tau), bool(module.decay_input))


def _spikingjelly_plif(module: Any, where: str) -> Cell:
    return _spikingjelly(module, where, 1 / (1 + np.exp(-array(module.w))), bool(module.decay_input))


def _spikingjelly_cuba(module: Any, where: str) -> Cell:
    neuron = _spikingjelly(module, where, 1 - array(module.v_decay), False).neuron
    if module.v_reset:
        raise _refuse(module, where, "v_reset", module.v_reset)
    return Cell(neuron.plus({"current": "new"}, beta=array(module.c_decay)))


# --- sinabs -------------------------------------------------------------------------------------------------------


def _sinabs(module: Any, where: str) -> Cell:
    """LIF, IAF, ExpLeak, and their Squeeze and Recurrent forms."""
    alpha = array(module.alpha_mem_calculated)
    neuron = Neuron().plus({}, alpha=alpha, gain=unless(1 - alpha, 1) if module.norm_input else None)
    if module.alpha_syn_calculated is not None:
        neuron = neuron.plus({"current": "sum_decay"}, beta=array(module.alpha_syn_calculated))
    if module.min_v_mem is not None:
        neuron = neuron.plus({}, v_min=array(module.min_v_mem))
    recurrent = getattr(module, "rec_connect", None)
    if module.spike_fn is None:
        return Cell(neuron.plus(SILENT), recurrent, "skip")
    flags = {"compare": "ge", **_sinabs_spikes(module, where), **_sinabs_reset(module, where)}
    return Cell(neuron.plus(flags, v_th=array(module.spike_threshold)), recurrent, "skip")


def _sinabs_spikes(module: Any, where: str) -> dict[str, Any]:
    function = module.spike_fn
    name = function.__name__ if isinstance(function, type) else type(function).__name__
    if name == "SingleSpike":
        return {"spike": "binary"}
    limit = getattr(function, "max_num_spikes_per_bin", None)
    if name not in ("MultiSpike", "MaxSpike"):
        raise _refuse(module, where, "spike_fn", name)
    return {"spike": "floor", "cap": MAX_COUNT if limit is None else min(int(limit), MAX_COUNT)}


def _sinabs_reset(module: Any, where: str) -> dict[str, str]:
    name = type(module.reset_fn).__name__
    if name == "MembraneReset" and module.reset_fn.reset_value == 0:
        return {"reset": "zero"}
    if name == "MembraneSubtract" and module.reset_fn.subtract_value is None:
        return {"reset": "subtract"}
    raise _refuse(module, where, "reset_fn", module.reset_fn)


CELLS: dict[str, Callable[[Any, str], Cell]] = {
    **{f"snntorch.{name}": _snntorch for name in ("Leaky", "RLeaky", "Synaptic", "RSynaptic")},
    "norse.LIFBoxCell": _norse_lif_box,
    "norse.LIBoxCell": _norse_li_box,
    "norse.LIFCell": _norse_lif,
    "norse.LIF": _norse_lif,
    "norse.LICell": _norse_li,
    "norse.LI": _norse_li,
    "norse.IAFCell": _norse_iaf,
    "norse.LIFRecurrentCell": _norse_lif_recurrent,
    "norse.LIFRecurrent": _norse_lif_recurrent,
    "spikingjelly.IFNode": _spikingjelly_if,
    "spikingjelly.LIFNode": _spikingjelly_lif,
    "spikingjelly.ParametricLIFNode": _spikingjelly_plif,
    "spikingjelly.CUBALIFNode": _spikingjelly_cuba,
    **{f"sinabs.{name}{form}": _sinabs for name in ("LIF", "IAF") for form in ("", "Squeeze", "Recurrent")},
    **{f"sinabs.ExpLeak{form}": _sinabs for form in ("", "Squeeze")},
}
"""Package and class of every layer of neurons that is read, and how."""
