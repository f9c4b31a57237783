"""Files of format version 1 in memory as version 2, and back for their identity.

Version 1 had six operators with fewer attributes; what they computed is what the defaults filled in here say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesnn.errors import ModelError

ADDED: dict[str, dict[str, Any]] = {
    "add": {},
    "lif": {
        "axis": -1,
        "decay": "multiply",
        "current": "none",
        "cap": 1,
        "reset_at": "same",
        "refractory": 0,
        "v_init": 0.0,
        "cold_start": "run",
    },
    "linear": {"output": "float32", "cold_start": "run", "group": 0},
    "max": {},
    "point_code": {},
    "vote": {},
}
"""The operators of version 1: the attributes that version 2 added, and their values for a file without them."""


def upgrade(root: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a version 1 document's JSON as version 2. Parts that are no objects or lists are left to the checks.

    Raises:
        ModelError: an operator or attribute that version 1 did not have.
    """
    graph = root.get("graph")
    if isinstance(graph, dict) and isinstance(graph.get("nodes"), list):
        graph = {**graph, "nodes": [_upgrade_node(node, where) for node in graph["nodes"]]}
    states = root.get("states")
    if isinstance(states, list):
        states = [_with_initial(state, 0, 0.0) for state in states]
    return {**root, "format_version": 2, **{k: v for k, v in (("graph", graph), ("states", states)) if k in root}}


def downgrade(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the version 1 JSON that `upgrade` made this document of."""
    nodes = [_downgrade_node(node) for node in body["graph"]["nodes"]]
    states = [_with_initial(state, 0.0, 0) for state in body["states"]]
    return {**body, "format_version": 1, "graph": {**body["graph"], "nodes": nodes}, "states": states}


def _upgrade_node(node: Any, where: str) -> Any:
    if (
        not isinstance(node, dict)
        or not isinstance(node.get("attributes"), dict)
        or not isinstance(node.get("op"), str)
    ):
        return node
    added = ADDED.get(node["op"])
    at = f"{where}, node {str(node.get('name'))[:80]!r}"
    if added is None:
        known = ", ".join(ADDED)
        raise ModelError(
            "operator is not known", where=at, found=repr(node["op"])[:80], expected=f"{known} (version 1)"
        )
    for name in added.keys() & node["attributes"].keys():
        raise ModelError(f"attribute {name!r} is unknown", where=at, expected="those of format version 1")
    return {**node, "attributes": {**node["attributes"], **added}}


def _downgrade_node(node: Mapping[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in node["attributes"].items() if k not in ADDED[node["op"]]}
    return {**node, "attributes": kept}


def _with_initial(state: Any, old: Any, new: Any) -> Any:
    """Return the state with another spelling of its initial value; anything else is left to the checks."""
    if not isinstance(state, dict) or type(state.get("initial")) is not type(old) or state["initial"] != old:
        return state
    return {**state, "initial": new}
