"""From a graph with subgraphs to one flat graph, and where its cycles are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from edgesnn.errors import ModelError
from edgesnn.importers.nir.reader import NirGraph, NirNode

Edge = tuple[str, str]
INPUT = "input"
MAX_NODES = 2048
MAX_EDGES = 1 << 14


@dataclass(frozen=True)
class FlatGraph:
    """A graph without subgraphs and duplicate edges; a subgraph's node is named `<subgraph>.<node>`.

    Attributes:
        nodes: all primitives but Input and Output.
        edges: each once, in the file's order.
        input: name of the one Input.
        input_node: its fields.
        outputs: names of the Outputs.
    """

    nodes: Mapping[str, NirNode]
    edges: tuple[Edge, ...]
    input: str
    input_node: NirNode
    outputs: tuple[str, ...]

    def sources(self, name: str) -> Sequence[str]:
        """Return the nodes whose outputs are summed at `name`, in the order of the edges."""
        return self._sources.get(name, ())

    def targets(self, name: str) -> Sequence[str]:
        """Return the nodes that `name` feeds."""
        return self._targets.get(name, ())

    @cached_property
    def _sources(self) -> Mapping[str, list[str]]:
        return _grouped((b, a) for a, b in self.edges)

    @cached_property
    def _targets(self) -> Mapping[str, list[str]]:
        return _grouped(self.edges)


def _grouped(pairs: Iterable[Edge]) -> dict[str, list[str]]:
    """Return the second names of pairs by their first."""
    groups: dict[str, list[str]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def flatten(graph: NirGraph, where: str) -> FlatGraph:
    """Return the flat graph.

    Raises:
        ModelError: an edge to a node that is not there, two nodes of one name, not exactly one Input, no Output, more
            nodes or edges than there may be.
    """
    nodes: dict[str, NirNode] = {}
    edges: list[Edge] = []
    _collect(graph, "", nodes, edges, where)
    inputs, outputs = _ends(graph, where)
    if inputs != INPUT and INPUT in nodes:  # the name of our graph's input
        nodes[f"{INPUT}.node"] = nodes.pop(INPUT)
        renamed = {INPUT: f"{INPUT}.node"}
        edges = [(renamed.get(a, a), renamed.get(b, b)) for a, b in edges]
    edges = _dissolve(nodes, edges, {inputs, *outputs}, where)
    for a, b in edges:
        if b == inputs or a in outputs:
            raise ModelError("an Input has no sources and an Output feeds nothing", where=where, found=f"{a} -> {b}")
    inner = {name: node for name, node in nodes.items() if name != inputs and name not in outputs}
    flat = FlatGraph(inner, tuple(edges), inputs, nodes[inputs], outputs)
    for name in (*inner, *outputs):
        if not flat.sources(name):
            raise ModelError("node has no input", where=f"{where}, node {name!r}", expected="an edge that ends at it")
    return flat


def _check_size(nodes: int, edges: int, where: str) -> None:
    if nodes > MAX_NODES or edges > MAX_EDGES:
        expected = f"at most {MAX_NODES} and {MAX_EDGES}"
        raise ModelError("too many nodes or edges", where=where, found=f"{nodes} and {edges}", expected=expected)


def _ends(graph: NirGraph, where: str) -> tuple[str, tuple[str, ...]]:
    kinds = {name: node.type for name, node in graph.nodes.items() if isinstance(node, NirNode)}
    inputs = [name for name, kind in kinds.items() if kind == "Input"]
    outputs = tuple(name for name, kind in kinds.items() if kind == "Output")
    if len(inputs) != 1 or not outputs:
        found = f"{len(inputs)} Input and {len(outputs)} Output nodes"
        raise ModelError("graph has other ends", where=where, found=found, expected="one Input, at least one Output")
    return inputs[0], outputs


def _collect(graph: NirGraph, prefix: str, nodes: dict[str, NirNode], edges: list[Edge], where: str) -> None:
    """Add the nodes and edges of a graph and its subgraphs, named from the top."""
    for name, node in graph.nodes.items():
        full = prefix + name
        if isinstance(node, NirGraph):
            _collect(node, f"{full}.", nodes, edges, where)
        elif full in nodes:
            raise ModelError("two nodes have one name", where=f"{where}, node {full!r}")
        else:
            nodes[full] = node
    _check_size(len(nodes), len(edges) + len(graph.edges), where)
    for a, b in graph.edges:
        edges.append((_end(graph, prefix, a, "Output", nodes, where), _end(graph, prefix, b, "Input", nodes, where)))


def _end(graph: NirGraph, prefix: str, name: str, kind: str, nodes: Mapping[str, NirNode], where: str) -> str:
    """Return the flat name of an edge's end; of a subgraph that is its Output (a source) or Input (a target)."""
    node = graph.nodes.get(name)
    if isinstance(node, NirGraph):
        ends = [n for n, inner in node.nodes.items() if isinstance(inner, NirNode) and inner.type == kind]
        if len(ends) != 1:
            at = f"{where}, node {prefix + name!r}"
            raise ModelError(f"an edge ends at a subgraph without one {kind}", where=at, found=f"{len(ends)} of them")
        return f"{prefix}{name}.{ends[0]}"
    if prefix + name not in nodes:
        raise ModelError("an edge ends at a node that is not there", where=where, found=repr(prefix + name))
    return prefix + name


def _dissolve(nodes: dict[str, NirNode], edges: Iterable[Edge], ends: set[str], where: str) -> list[Edge]:
    """Remove the Inputs and Outputs of subgraphs, and duplicate edges; `nodes` is changed."""
    kept = list(dict.fromkeys(edges))
    for name in [n for n, node in nodes.items() if node.type in ("Input", "Output") and n not in ends]:
        before = [a for a, b in kept if b == name and a != name]
        after = [b for a, b in kept if a == name and b != name]
        _check_size(len(nodes), len(kept) + len(before) * len(after), where)
        through = [(a, b) for a in before for b in after]
        kept = list(dict.fromkeys([e for e in kept if name not in e] + through))
        del nodes[name]
    return kept


@dataclass(frozen=True)
class Schedule:
    """In which order the nodes work, and which edges carry the value of the step before.

    Attributes:
        order: all inner nodes; each after its sources, but for cut edges and what feeds a node that keeps time.
        cut: edges that get a delay of one step.
        recurrent: nodes between a cut and where the cycle closes: the recurrent connections.
    """

    order: tuple[str, ...]
    cut: tuple[Edge, ...]
    recurrent: frozenset[str]


def schedule(graph: FlatGraph, keeps_time: Callable[[str], bool], is_neuron: Callable[[str], bool]) -> Schedule:
    """Find the cycles from the Input on, depth first, successors in the order of their names, and cut each.

    An edge back to a node on the path is cut; where only a chain of single connections (a recurrent weight) lies
    between a layer of neurons and that edge, the cut moves to the neurons' output: their spikes are delayed.

    Args:
        graph: the flat graph.
        keeps_time: whether a node's output does not depend on the same step's input (a Delay of at least one step).
        is_neuron: whether a node is a layer of neurons.
    """
    following = [(a, b) for a, b in graph.edges if b in graph.nodes and not keeps_time(b)]
    starts = [graph.input, *(name for name in sorted(graph.nodes) if keeps_time(name))]
    back, finished = depth_first(following, starts)
    cut: dict[Edge, None] = {}
    recurrent = set()
    for a, b in back:
        while not is_neuron(a) and len(graph.sources(a)) == 1 and len(graph.targets(a)) == 1:
            recurrent.add(a)
            a, b = graph.sources(a)[0], a
        cut[a, b] = None
    # the cut edges again, so that a node behind a cut stands after what it now depends on
    left = [e for e in following if e not in cut]
    _, finished = depth_first(left, [*starts, *(b for _, b in cut)])
    order = tuple(name for name in reversed(finished) if name in graph.nodes)
    return Schedule(order, tuple(cut), frozenset(recurrent))


def depth_first(edges: Iterable[Edge], starts: Iterable[str]) -> tuple[list[Edge], list[str]]:
    """Return the edges back to a node on the path, and the nodes in the order in which they were finished."""
    after = _grouped(edges)
    back: list[Edge] = []
    finished: list[str] = []
    on_path: set[str] = set()
    seen: set[str] = set()
    for start in starts:
        stack = [(start, iter(sorted(after.get(start, ()))))] if start not in seen else []
        seen.add(start)
        on_path.add(start)
        while stack:
            name, rest = stack[-1]
            target = next(rest, None)
            if target is None:
                stack.pop()
                on_path.discard(name)
                finished.append(name)
            elif target in on_path:
                back.append((name, target))
            elif target not in seen:
                seen.add(target)
                on_path.add(target)
                stack.append((target, iter(sorted(after.get(target, ())))))
        on_path.discard(start)
    return back, finished
