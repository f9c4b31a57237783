"""What can be said of a node before anything is built: a layer's neurons, the bound of its counts, a delay's steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from edgesnn.importers.neuron import MAX_COUNT, Shape, channel_axis, compress
from edgesnn.importers.nir.fields import Fields, spread
from edgesnn.importers.nir.flatten import FlatGraph, Schedule, depth_first
from edgesnn.importers.nir.profiles import NEURONS, Cell, make_neuron

MAX_DELAY = 4096
_ROUNDING = 1e-3
"""How far a delay may lie from a whole number of steps."""
MULTI_SPIKES = ("floor", "half_up", "half_even")
"""Values of `spike` that have a cap."""
PASSING = ("SumPool2d", "Flatten", "Delay")
"""Primitives whose output is small integers where their input is."""


@dataclass(frozen=True)
class Options:
    """How a file is to be read.

    Attributes:
        profile: name in `profiles.PROFILES`.
        dt_us: microseconds of a step.
        reset: "zero" or "subtract".
        flags: what `--set` says: layer -> flag -> value.
        where: the file, for errors.
    """

    profile: str
    dt_us: float
    reset: str
    flags: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    where: str = "graph"

    @property
    def dt(self) -> float:
        """Seconds of a step."""
        return self.dt_us * 1e-6


@dataclass(frozen=True)
class Context:
    """The graph with all that was found out about it: cuts, shapes, `find_rooms`, options, the bound of its input."""

    graph: FlatGraph
    plan: Schedule
    shapes: Mapping[str, Shape]
    rooms: Mapping[str, int]
    options: Options
    input_bound: int

    def fields(self, name: str) -> Fields:
        """Return a node's fields."""
        return Fields(name, self.graph.nodes[name], self.options.where)


def delay_steps(fields: Fields, dt: float) -> Any:
    """Return a Delay's whole numbers of steps, in the shape of the file."""
    exact = fields.array("delay") / dt
    steps = np.rint(exact)
    if (steps < 0).any() or (steps > MAX_DELAY).any() or (abs(exact - steps) > _ROUNDING).any():
        found = f"{exact.min():g} to {exact.max():g} steps of {dt:g} s"
        raise fields.error("delay is no whole number of steps", found=found, expected=f"0 to {MAX_DELAY}")
    return steps


def neuron(context: Context, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a layer's attributes and tensors under the profile; of `--set` only whether there is a cap is in them."""
    fields, shape = context.fields(name), context.shapes[name]
    numbers = {key: spread(array, shape, fields, key) for key, array in fields.numbers().items()}
    options = context.options
    made = make_neuron(options.profile, Cell(fields.where, fields.type, numbers, options.dt, options.reset))
    attributes = {**made.attributes, "axis": channel_axis(shape)}
    cap = attributes.pop("cap", MAX_COUNT)
    if options.flags.get(name, {}).get("spike", attributes.get("spike")) in MULTI_SPIKES:
        attributes["cap"] = min(cap, context.rooms[name])
    return attributes, {role: compress(array, shape) for role, array in made.tensors.items()}


def bound_of(context: Context, name: str) -> int:
    """Return the largest count of a node's output, 0 where it is float32; known before the node is made."""
    area = 1
    while name != context.graph.input:
        fields, sources = context.fields(name), context.graph.sources(name)
        if fields.type in NEURONS:
            break
        if fields.type not in PASSING or len(sources) != 1:
            return 0
        area *= _area(fields)
        name = sources[0]
    bound = context.input_bound if name == context.graph.input else _spikes(context, name)
    return bound * area if bound * area <= MAX_COUNT else 0


def _spikes(context: Context, name: str) -> int:
    """Return the largest count of a layer of neurons."""
    attributes = {**neuron(context, name)[0], **context.options.flags.get(name, {})}
    spike, cap = attributes.get("spike"), attributes.get("cap")
    if spike in MULTI_SPIKES:
        return cap if type(cap) is int else MAX_COUNT  # what else `--set` says is refused with the node
    return 0 if spike == "none" else 1


def _area(fields: Fields) -> int:
    return prod(fields.integers("kernel_size", 2)) if fields.type == "SumPool2d" else 1


def find_rooms(graph: FlatGraph, where: str) -> dict[str, int]:
    """Return the largest count that each node's output may have so that the sum pools behind it still fit a byte.

    Where a pool's area alone does not fit, its input is made float32, and nothing is bounded for it. A cycle of nodes
    that pass counts on adds nothing.
    """
    areas = {name: _area(Fields(name, node, where)) for name, node in graph.nodes.items() if node.type in PASSING}
    _, finished = depth_first([(a, b) for a, b in graph.edges if b in areas], [graph.input, *graph.nodes])
    rooms: dict[str, int] = {}
    for name in finished:
        behind = [target for target in graph.targets(name) if target in areas and target in rooms]
        rooms[name] = min([MAX_COUNT, *(rooms[target] // areas[target] or MAX_COUNT for target in behind)])
    return rooms
