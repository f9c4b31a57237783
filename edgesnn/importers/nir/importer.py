"""`import_nir`: a NIR file under a profile becomes a document with every flag written down."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgesnn.errors import UsageError
from edgesnn.events.filters import FilterLike
from edgesnn.graph import Builder, Document
from edgesnn.importers.description import add_readout, input_section, one_output
from edgesnn.importers.nir.cells import Context, Options, delay_steps, find_rooms
from edgesnn.importers.nir.fields import Fields
from edgesnn.importers.nir.flatten import FlatGraph, flatten, schedule
from edgesnn.importers.nir.layers import LAYERS
from edgesnn.importers.nir.network import Network
from edgesnn.importers.nir.profiles import NEURONS, PROFILES
from edgesnn.importers.nir.reader import read_nir
from edgesnn.importers.nir.shapes import find_shapes

DEFAULT_DT_US = 100.0
_ROUNDING = 1e-6  # of a time constant that is one step, as float32


def import_nir(
    path: str | os.PathLike[str],
    *,
    profile: str,
    reset: str | None = None,
    dt_us: float | None = None,
    flags: Mapping[str, Mapping[str, Any]] | None = None,
    input: str = "dense",
    value: str | None = None,
    events: Mapping[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    filters: Iterable[FilterLike] = (),
) -> Document:
    """Return the model of a NIR file, float32, with every flag of the profile in it (docs/import.md).

    Args:
        path: the .nir file.
        profile: how to run it: plain, norse, snntorch, snntorch-no-delay, sinabs, spikingjelly or rockpool.
        reset: "zero" (to the file's v_reset) or "subtract"; None takes the profile's.
        dt_us: microseconds of a step; None takes 100, with a warning for profile plain.
        flags: layer -> flag -> value, over what the profile says: {"lif1": {"compare": "ge", "v_th": 0.5}}.
        input: "dense" (float32 values) or "spikes" (small integers).
        value: of input "spikes": "count" (the default) or "binary".
        events: how events become spikes or frames of counts: the fields of `input.events` (docs/model-file.md), those
            with a default left out as you like; None makes a model that is stepped with arrays.
        labels: names of the classes, one for each element of the one output; they make it a model that decides.
        filters: that the events go through first (docs/filters.md), such as "refractory:period=1ms".

    Raises:
        ModelError: not a NIR file, an unknown primitive, a neuron that the framework does not have, anything that does
            not fit; names node, found and expected.
        UsageError: an argument that is none of those above, or that changes nothing: a flag of a layer that there is
            not, a reset of no neuron.

    Warns:
        UserWarning: no time step with profile plain; one that is longer than a neuron's time constant.
    """
    where = os.fspath(path)
    options = _options(profile, reset, dt_us, flags or {}, where)
    graph = flatten(read_nir(path), where)
    _check_resets(graph, reset)
    shapes, rooms = find_shapes(graph, where), find_rooms(graph, where)

    def keeps_time(name: str) -> bool:
        node = graph.nodes[name]
        return node.type == "Delay" and bool((delay_steps(Fields(name, node, where), options.dt) >= 1).all())

    plan = schedule(graph, keeps_time, lambda name: name in graph.nodes and graph.nodes[name].type in NEURONS)
    section = input_section(input, value, events, shapes[graph.input], rooms[graph.input], filters)
    builder = Builder(input=section, reset="never" if events is None else "window")
    context = Context(graph, plan, shapes, rooms, options, section["bound"])
    network = Network(builder, context)
    outputs, readout = network.build(LAYERS), None
    if labels is not None:
        scores = one_output(outputs, where)
        outputs[0], readout = add_readout(builder, scores, network.bound(scores), labels)
    _warn_of_long_steps(graph, options)
    provenance = _provenance(Path(path), options, graph, plan.cut)
    return builder.document(outputs=outputs, readout=readout, provenance=provenance)


def _options(
    profile: str, reset: str | None, dt_us: float | None, flags: Mapping[str, Mapping[str, Any]], where: str
) -> Options:
    if profile not in PROFILES:
        raise UsageError("no such profile", where="profile", found=repr(profile), expected=", ".join(PROFILES))
    if reset not in (None, "zero", "subtract"):
        raise UsageError("no such reset", where="reset", found=repr(reset), expected="zero or subtract")
    if dt_us is not None and not 0 < dt_us < 1e9:
        raise UsageError("not a time step", where="dt", found=str(dt_us), expected="more than 0 us")
    if dt_us is None and profile == "plain":
        warnings.warn(f"a NIR file holds no time step: {DEFAULT_DT_US:g} us is taken; pass --dt", stacklevel=3)
    step_us = float(DEFAULT_DT_US if dt_us is None else dt_us)
    return Options(profile, step_us, reset or PROFILES[profile].reset, flags, where)


def _check_resets(graph: FlatGraph, reset: str | None) -> None:
    """Refuse a reset that nothing in the file would be changed by."""
    if reset is not None and not any(node.type in ("IF", "LIF", "CubaLIF") for node in graph.nodes.values()):
        raise UsageError("no neuron of the file resets", where="reset", found=repr(reset), expected="none")


def _warn_of_long_steps(graph: FlatGraph, options: Options) -> None:
    for name, node in graph.nodes.items():
        if node.type not in NEURONS:
            continue
        for field, values in Fields(name, node, options.where).numbers().items():
            if field.startswith("tau") and options.dt > values.min() * (1 + _ROUNDING):
                warnings.warn(
                    f"{options.where}, node {name!r}: a step of {options.dt_us:g} us is longer than its {field} of"
                    f" {values.min() * 1e6:g} us, so its decay is not followed; pass a smaller --dt",
                    stacklevel=3,
                )


def _provenance(path: Path, options: Options, graph: FlatGraph, cut: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return {
        "imported": {
            "from": "nir",
            "file": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "profile": options.profile,
            "reset": options.reset,
            "dt_us": options.dt_us,
            "set": {layer: dict(values) for layer, values in options.flags.items()},
            "cycles_cut": [list(edge) for edge in cut],
            "primitives": {name: node.type for name, node in graph.nodes.items()},
        }
    }
