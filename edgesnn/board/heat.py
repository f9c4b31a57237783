"""Temperatures, and whether the board slows down for them or for its supply.

Files as the kernel's pages "Thermal zone" and "hwmon sysfs interface", and NVIDIA's page on Jetson's over-current
throttling, name them.
"""

from __future__ import annotations

from pathlib import Path

from edgesnn.board import sysfs

COLDEST_C, HOTTEST_C = -60.0, 200.0  # outside: a zone that is switched off says so by an impossible number
SLOWS = ("cpufreq", "devfreq", "thermal-cpufreq", "thermal-devfreq", "Processor", "cpu-throttle", "gpu-throttle")


def temperatures_c(root: Path) -> dict[str, float]:
    """Return the temperatures of the thermal zones in degrees Celsius, by their types."""
    read = {name: sysfs.number(zone / "temp") for name, zone in _by_type(root, "thermal_zone").items()}
    known = {name: milli / 1000 for name, milli in read.items() if milli is not None}
    return {name: celsius for name, celsius in known.items() if COLDEST_C <= celsius <= HOTTEST_C}


def throttle_events(root: Path) -> dict[str, int]:
    """Return how often the hardware slowed down since the machine's start, by cause.

    "core", "package": heat of an x86 processor; "oc1", ...: over-current of a Jetson.
    """
    found: dict[str, int] = {}
    for _, cpu in sysfs.entries(root / "devices" / "system" / "cpu", r"cpu([0-9]{1,5})"):
        for cause in ("core", "package"):
            count = sysfs.number(cpu / "thermal_throttle" / f"{cause}_throttle_count")
            if count is not None and count >= 0:
                # each core of a package tells the package's count
                found[cause] = found.get(cause, 0) + count if cause == "core" else max(found.get(cause, 0), count)
    for _, device in sysfs.entries(root / "class" / "hwmon", r"hwmon([0-9]{1,6})"):
        for number, file in sysfs.entries(device, r"oc([0-9]{1,2})_event_cnt"):
            count = sysfs.number(file)
            if count is not None and count >= 0:
                found[f"oc{number}"] = found.get(f"oc{number}", 0) + count
    return found


def slowed_by(root: Path) -> dict[str, int]:
    """Return by how many steps a processor or GPU is slowed down now, by the cooling device; 0: it is not."""
    devices = {name: path for name, path in _by_type(root, "cooling_device").items() if name.startswith(SLOWS)}
    states = {name: sysfs.number(device / "cur_state") for name, device in devices.items()}
    return {name: state for name, state in states.items() if state is not None and state >= 0}


def _by_type(root: Path, kind: str) -> dict[str, Path]:
    """Return zones or cooling devices by their types, of one type the later ones with their numbers.

    All of them, also those that tell nothing now: none has another one's name for that.
    """
    found: dict[str, Path] = {}
    for number, path in sysfs.entries(root / "class" / "thermal", rf"{kind}([0-9]{{1,4}})"):
        name = sysfs.text(path / "type") or f"{kind}{number}"
        while name in found:
            name = f"{name} {number}"
        found[name] = path
    return found
