"""`dv:`: an iniVation camera, through the package dv-processing. docs/sources.md, "iniVation cameras"."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import Sensor, printable
from edgesnn.events.sources.address import Address
from edgesnn.events.sources.base import Events, Link, Message
from edgesnn.events.sources.devices import DeviceLink, Found, GoneError, biases, make_events, package, rectangle
from edgesnn.events.types import TRIGGER

NODES = Path("/dev/bus/usb")
KNOWN = Path("/sys/bus/usb/devices")
_VENDOR, _PRODUCTS = "152a", ("840", "841")
_RULE = 'SUBSYSTEM=="usb", ATTRS{idVendor}=="152a", ATTRS{idProduct}=="84[0-1]?", MODE="0666"'
_HINT = (
    f"echo '{_RULE}' | sudo tee /etc/udev/rules.d/65-inivation.rules && sudo udevadm control --reload-rules, "
    "then plug it in again"
)
_DENIED = "this user has no right to it"
_BATCH = timedelta(milliseconds=2)
_LOOK_S = 0.001
_NAMES = ("timestamp", "x", "y", "polarity")
_TRIGGERS = {
    "EXTERNAL_SIGNAL_RISING_EDGE": (0, 1),
    "EXTERNAL_SIGNAL_FALLING_EDGE": (0, 0),
    "EXTERNAL_SIGNAL_PULSE": (0, 1),
    "EXTERNAL_GENERATOR_RISING_EDGE": (3, 1),
    "EXTERNAL_GENERATOR_FALLING_EDGE": (3, 0),
}
"""Input and edge by the package's name: as formats/aedat4.py has them."""
_MOST_CURRENT = (1 << 11) - 1  # coarse (3 bits), fine (8 bits)
_ERRORS = (RuntimeError, ValueError, IndexError, TypeError)  # what the package raises


class Dv:
    """A camera of iniVation."""

    name = "dv"
    form = "dv:"
    help = "an iniVation camera at USB, by dv-processing (DVXplorer, DAVIS, DVS128; extra camera)"
    options = (
        ("serial", "of the camera, where there are several"),
        ("biases", "NAME:VALUE,NAME:VALUE, as the package names them; on, off of a DVXplorer"),
        ("roi", "X,Y,WxH: the part of the sensor that gives events"),
    )
    nothing = "no iniVation camera; is it plugged in (lsusb)?"

    def check(self, address: Address) -> None:
        """Raise where it names more than the scheme, or a format, or the package is not installed."""
        if address.host is not None or address.path:
            raise address.wrong("no such camera", found=repr(address.path), expected="dv: or dv:?serial=S")
        if "format" in address.options:
            raise address.wrong("the camera gives events, no format", hint="leave format out")
        package("dv_processing", "camera", address.url)

    def open(self, address: Address) -> Link:
        """Open the camera."""
        return DvLink(package("dv_processing", "camera", address.url), address).start()

    def devices(self) -> list[Found]:
        """Return the cameras that are there."""
        found = _discovered(package("dv_processing", "camera", "dv:"), "dv:")
        there = {(one.busNumber, one.devAddress) for one in found}
        return [
            *(_describe(one, len(found)) for one in found),
            *(Found("-", "an iniVation camera", _DENIED, _HINT) for place in _closed() if place not in there),
        ]


class DvLink(DeviceLink):
    """Batches of a camera's events, which the package decodes.

    Args:
        dv: the package.
        address: serial and settings.
    """

    gives_events = True
    format: str | None = "dv"

    def __init__(self, dv: Any, address: Address) -> None:
        super().__init__(address.url)
        self.counters["out_of_range"] = 0
        self._dv = dv
        self._address = address
        self._serial = address.options.get("serial")
        self._name = ""
        self._camera: Any = None
        self._has_triggers = False

    def details(self) -> dict[str, Any]:
        """Return "camera", "serial"."""
        return {"camera": self._name, "serial": self._serial}

    def _open(self) -> None:
        kinds = self._dv.io.camera
        found = _choose(_discovered(self._dv, self.url), self.url, self._serial)
        try:
            self._camera = kinds.open(found, kinds.USBDevice.LogLevel.LVL_NONE)
            sensor = self._camera.getEventResolution()
            self._name = self._camera.getCameraName()
            self._has_triggers = self._camera.isTriggerStreamAvailable()
        except _ERRORS as error:
            raise _refused(self.url, found, _reason(error)) from None
        if sensor is None:
            raise RecordingError("the camera gives no events", where=self.url, found=self._name)
        self._keep("sensor", (int(sensor[0]), int(sensor[1])))
        self._serial = found.serialNumber or None
        self._set(kinds, self.sensor)

    def _set(self, kinds: Any, sensor: Sensor | None) -> None:
        """Give the camera its settings."""
        assert sensor is not None
        part = rectangle(self._address, sensor)
        setters = _setters(kinds, self._camera)
        try:
            self._camera.setTimeInterval(_BATCH)
            if part is not None:
                self._camera.setCropArea(tuple(part))
            for name, value in biases(self._address, setters).items():
                setters[name](value)
        except _ERRORS as error:
            raise self._address.wrong("the camera refuses a setting", found=_reason(error)) from None

    def _read(self, wait_s: float) -> Message | None:
        until_s = time.monotonic() + wait_s
        try:
            while (message := self._next()) is None:
                if not self._camera.isRunning():
                    raise GoneError("it does not answer")
                if time.monotonic() >= until_s:
                    return None
                time.sleep(_LOOK_S)
        except _ERRORS as error:
            raise GoneError(_reason(error)) from None
        return message

    def _next(self) -> Message | None:
        batch = self._camera.getNextEventBatch()
        edges = _edges(self._camera.getNextTriggerBatch()) if self._has_triggers else None
        if batch is None and edges is None:
            return None
        assert self.sensor is not None
        events = make_events(None if batch is None else batch.numpy(), _NAMES, self.sensor, self.counters)
        return Message(events=events, triggers=edges)

    def _release(self) -> None:
        self._camera = None


def _edges(triggers: Any) -> Events | None:
    """Return the package's triggers as ours; marks of its own (frames, exposures) are left out."""
    rows = [(one.timestamp, *_TRIGGERS[one.type.name]) for one in triggers or () if one.type.name in _TRIGGERS]
    if not rows:
        return None
    edges = np.zeros(len(rows), TRIGGER)
    edges["t"], edges["id"], edges["p"] = zip(*rows, strict=True)
    return edges


def _discovered(dv: Any, where: str) -> list[Any]:
    try:
        return list(dv.io.camera.discover())
    except _ERRORS as error:
        hint = "a container needs --device /dev/bus/usb"
        raise RecordingError(
            "USB cannot be looked at", where=printable(where), found=_reason(error), hint=hint
        ) from None


def _choose(found: list[Any], where: str, serial: str | None) -> Any:
    """Return the camera that is meant, the only one that it may be. Raises RecordingError."""
    fits = [one for one in found if serial in (None, one.serialNumber)]
    if not fits:
        if _closed():
            raise RecordingError("cannot be opened", where=where, found=_DENIED, hint=_HINT)
        wanted = f"a camera with the serial {printable(serial)}" if serial else "an iniVation camera"
        raise RecordingError(
            f"{wanted} is not plugged in", where=where, hint="`edgesnn info dv:` lists those there are"
        )
    if len(fits) > 1:
        there = ", ".join(one.serialNumber for one in fits)
        raise RecordingError("several cameras are there", where=where, found=there, hint="say which: dv:?serial=S")
    return fits[0]


def _describe(one: Any, count: int) -> Found:
    serial = f"?serial={one.serialNumber}" if count > 1 and one.serialNumber else ""
    text = f"iniVation {one.cameraModel.name}, serial {one.serialNumber or 'unknown'}"
    denied = _denied(one.busNumber, one.devAddress)
    return Found(f"dv:{serial}", text, _DENIED if denied else None, _HINT if denied else None)


def _refused(where: str, one: Any, reason: str) -> RecordingError:
    hint = _HINT if _denied(one.busNumber, one.devAddress) else "another program uses it: close that"
    return RecordingError("cannot be opened", where=where, found=reason, hint=hint)


def _denied(bus: int, device: int) -> bool:
    """Say whether this user may not write to a device that is there."""
    node = NODES / f"{bus:03d}" / f"{device:03d}"
    return node.exists() and not os.access(node, os.R_OK | os.W_OK)


def _closed() -> list[tuple[int, int]]:
    """Return the cameras (bus, device) that this user may not open, as the system knows them."""
    found = []
    for folder in sorted(KNOWN.glob("*")):
        try:
            vendor, product, bus, device = (
                (folder / name).read_text().strip() for name in ("idVendor", "idProduct", "busnum", "devnum")
            )
            if vendor == _VENDOR and product[:3] in _PRODUCTS and _denied(int(bus), int(device)):
                found.append((int(bus), int(device)))
        except (OSError, ValueError):  # no device, or gone meanwhile
            continue
    return found


def _setters(kinds: Any, camera: Any) -> dict[str, Callable[[int], None]]:
    """Return what sets each of a camera's biases."""
    if hasattr(camera, "setContrastThresholdOn"):
        return {"on": camera.setContrastThresholdOn, "off": camera.setContrastThresholdOff}
    if hasattr(camera, "setBias"):
        return {name: partial(camera.setBias, bias) for name, bias in kinds.DVS128.Bias.__members__.items()}
    if not hasattr(camera, "getSensorModel") or camera.getSensorModel().name != "DAVIS346":
        return {}
    currents, voltages = kinds.DAVIS.Davis346BiasCF.__members__, kinds.DAVIS.Davis346BiasVDAC.__members__
    return {
        **{name: partial(_set_current, camera, bias) for name, bias in currents.items()},
        **{name: partial(camera.setDavis346BiasVoltage, bias) for name, bias in voltages.items()},
    }


def _set_current(camera: Any, bias: Any, value: int) -> None:
    if not 0 <= value <= _MOST_CURRENT:
        raise ValueError(f"{bias.name} is 0 to {_MOST_CURRENT} (256 times coarse, plus fine), not {value}")
    camera.setDavis346BiasCoarseFine(bias, value >> 8, value & 255)


def _reason(error: Exception) -> str:
    """Return what the package says, without its places in its source."""
    lines = [line.strip() for line in str(error).partition("\nStacktrace:")[0].splitlines() if line.strip()]
    return lines[-1].removeprefix("RuntimeError: ") if lines else type(error).__name__
