"""What `edgesnn doctor` looks at. Each check returns plain data and never raises for what it finds missing."""

from __future__ import annotations

import platform
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from edgesnn.broker_url import Broker
from edgesnn.clock import clock_synchronised, monotonic_resolution_ns
from edgesnn.errors import BackendError, EdgeSnnError, PublishError, unloadable
from edgesnn.version import __version__

REQUIRED = {"numpy": "numpy", "paho-mqtt": "paho"}
EXTRAS = {
    "broker": ["amqtt"],
    "camera": ["dv_processing", "neuromorphic_drivers"],
    "daemon": ["pydantic", "prometheus_client"],
    "events": ["h5py", "hdf5plugin", "lz4", "zstandard"],
    "nir": ["h5py"],
    "onnx": ["onnx", "onnxruntime"],
    "tensorrt": ["onnx", "tensorrt"],
    "tokens": ["tokenizers"],
    "train": ["torch"],
}
DEFAULT_BROKER = Broker("127.0.0.1", 1883)


def diagnose(broker: Broker | None, protocol: str, power_s: float | None = None) -> dict[str, Any]:
    """Return the whole report.

    Args:
        broker: the one that the user named; protocol: what to speak with it.
        power_s: the mean power of the rails is taken over so many seconds.
    """
    return {
        "version": __version__,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "packages": {name: _version(name) for name in REQUIRED},
        "extras": {name: extra(modules) for name, modules in EXTRAS.items()},
        "native": native_module(),
        "backends": backends(),
        "zoo": zoo_models(),
        "broker": broker_state(broker, protocol),
        "clock": {"synchronised": clock_synchronised(), "monotonic_resolution_ns": monotonic_resolution_ns()},
        "board": board_state(power_s),
    }


def extra(modules: list[str]) -> dict[str, str | None]:
    """Return module -> its version, None: not installed."""
    return {module: _version(module) if find_spec(module) else None for module in modules}


def native_module() -> dict[str, Any]:
    """Return {"available", "reason", "arm", "arms"}; the arm is the instruction set that kernels run with here."""
    state: dict[str, Any] = {"available": False, "reason": None, "arm": None, "arms": []}
    try:
        from edgesnn import _native

        if hasattr(_native.executor, "arm"):
            state["arms"] = list(_native.executor.arms())
            state["arm"] = _native.executor.arm()
        state["available"] = True
    except ImportError as error:
        state["reason"] = str(unloadable(error))
    except EdgeSnnError as error:
        state["reason"] = str(error)
    return state


def backends() -> dict[str, str | None]:
    """Return backend -> None if it can run here, else why not."""
    from edgesnn.runtime.backends.registry import BACKENDS, find

    reasons: dict[str, str | None] = {}
    for name in BACKENDS:
        try:
            reasons[name] = find(name).available()
            if name == "native" and reasons[name] is None:  # the arm that EDGESNN_ARM names counts too
                reasons[name] = native_module()["reason"]
        except (ImportError, BackendError) as error:
            reasons[name] = str(error)
    return reasons


def zoo_models() -> dict[str, dict[str, Any]]:
    """Return model name -> {"precision", "kind", "sensor", "window_us", "error"} of every shipped model.

    A model of tokens has no sensor and no window.
    """
    from edgesnn.graph import read
    from edgesnn.runtime.model import locate, zoo

    models: dict[str, dict[str, Any]] = {}
    for name in zoo():
        try:
            document = read(locate(name))
            facts = {key: document.input.get(key) for key in ("kind", "sensor", "window_us")}
            models[name] = {"precision": document.precision, **facts, "error": None}
        except EdgeSnnError as error:
            models[name] = {"precision": None, "error": str(error)}
    return models


def broker_state(broker: Broker | None, protocol: str) -> dict[str, Any]:
    """Return what can be started here, and whether the named broker (else the usual address) accepts us."""
    from edgesnn.publish.broker import available, reachable

    state: dict[str, Any] = {"startable": available(), "named": broker is not None}
    state["url"] = (broker or DEFAULT_BROKER).url
    state["reason"] = reachable(DEFAULT_BROKER) if broker is None else _refusal(broker, protocol)
    state["reachable"] = state["reason"] is None
    return state


def board_state(power_s: float | None) -> dict[str, Any]:
    """Return the rails, what of them is the whole board, why one tells nothing, temperatures and throttling; with
    `power_s` the mean power of so many seconds, in W by rail."""
    from edgesnn.board import Board

    board = Board()
    found = board.look().rounded()
    state: dict[str, Any] = {"rails": board.rails, "whole": board.whole, "silent": board.silent}
    state |= {name: found[name] for name in ("temperature_c", "throttle_events", "slowed_by")}
    return {**state, "mean_power_w": None if power_s is None else board.mean_power_w(power_s)}


def exit_code(report: dict[str, Any]) -> int:
    """Return 0, or the code of what is broken: 7 no native module or arm, 6 the named broker does not accept us."""
    if not report["native"]["available"]:
        return BackendError.exit_code
    if report["broker"]["named"] and not report["broker"]["reachable"]:
        return PublishError.exit_code
    return 0


def _refusal(broker: Broker, protocol: str) -> str | None:
    from edgesnn.mqtt import Client, make_client_id
    from edgesnn.publish.publisher import replay_node

    client = Client(broker, client_id=make_client_id(replay_node(), "doctor"), protocol=protocol)
    try:
        client.open()
    except PublishError as error:
        return str(error).removeprefix(f"{broker.url}: ")  # the report names the broker already
    finally:
        client.close()
    return None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
