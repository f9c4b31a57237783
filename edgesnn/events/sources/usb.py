"""`usb:MODEL`: a USB camera, through the package neuromorphic-drivers. docs/sources.md, "USB cameras"."""

from __future__ import annotations

import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import printable
from edgesnn.events.sources.address import Address
from edgesnn.events.sources.base import Link, Message
from edgesnn.events.sources.devices import DeviceLink, Found, GoneError, make_events, make_triggers, package
from edgesnn.events.sources.usb_settings import MODELS, OPTIONS, Model, configuration, ring

_WAIT_S = 0.001  # that the package waits at once


class Usb:
    """A USB camera."""

    name = "usb"
    form = "usb:MODEL"
    help = f"a USB camera ({', '.join(MODELS)}; extra camera); usb: alone where there is one"
    options = (("serial", "of the camera, where there are several"), *OPTIONS)
    nothing = "no camera; is it plugged in, and into a USB 3 port (lsusb)?"

    def check(self, address: Address) -> None:
        """Raise where it names no kind of camera, or the package is not installed."""
        if address.host is not None or address.path not in ("", *MODELS):
            expected = f"usb: or usb: and one of {', '.join(MODELS)}"
            raise address.wrong("no such camera", found=repr(address.path), expected=expected)
        package("neuromorphic_drivers", "camera", address.url)

    def open(self, address: Address) -> Link:
        """Open the camera."""
        return UsbLink(package("neuromorphic_drivers", "camera", address.url), address).start()

    def devices(self) -> list[Found]:
        """Return the cameras that are there."""
        drivers = package("neuromorphic_drivers", "camera", "usb:")
        found = listed(drivers, "usb:")
        names = [_model_name(one) for one in found]
        return [_describe(drivers, one, name, names.count(name)) for one, name in zip(found, names, strict=True)]


class UsbLink(DeviceLink):
    """Transfers of a camera, as bytes where our decoder reads them, else as events.

    Args:
        drivers: the package.
        address: model, serial and settings.
    """

    def __init__(self, drivers: Any, address: Address) -> None:
        super().__init__(address.url)
        self.counters["out_of_range"] = 0
        self._drivers = drivers
        self._address = address
        self._name = address.path
        self._serial = address.options.get("serial")
        self._device: Any = None
        self._waiting: deque[Message] = deque()
        self._dropped = 0

    def details(self) -> dict[str, Any]:
        """Return "camera", "serial"."""
        return {"camera": self._name, "serial": self._serial}

    def _open(self) -> None:
        name, serial = choose(self._drivers, self._address, self._name, self._serial)
        model = MODELS[name]
        settings = configuration(self._drivers, model, self._address)
        self._check_format(model)
        try:
            self._device = self._drivers.open(
                settings,
                iterator_timeout=_WAIT_S,
                raw=model.raw is not None,
                serial=serial,
                ring_configuration=ring(self._drivers, model),
            )
            properties = self._device.properties()
            self._keep("sensor", (properties.width, properties.height))
        except RuntimeError as error:
            raise refused(self._drivers, self._address.url, str(error)) from None
        self._keep("gives_events", model.raw is None)
        self._keep("format", model.raw or name)
        self._name, self._serial = name, serial

    def _check_format(self, model: Model) -> None:
        named = self._address.options.get("format")
        if named is not None and named != model.raw:
            found = model.raw or "events that its driver decodes"
            raise self._address.wrong("the camera gives another format", found=found, hint="leave format out")

    def _read(self, wait_s: float) -> Message | None:
        until_s = time.monotonic() + wait_s
        while not self._waiting:
            try:
                status, packet = next(self._device)
            except (RuntimeError, StopIteration) as error:
                raise GoneError(str(error)) from None
            if status.ring is not None:
                self._take(status.ring, packet)
            if not self._waiting and time.monotonic() >= until_s:
                return None
        return self._waiting.popleft()

    def _take(self, status: Any, packet: Any) -> None:
        self.counters["lost_packets"] += max(0, status.dropped_packets - self._dropped)
        self._dropped = status.dropped_packets
        if not self.gives_events:
            self._cut(packet or b"", status.overflow_indices or [])
            return
        assert self.sensor is not None
        events = make_events(packet.polarity_events, ("t", "x", "y", "on"), self.sensor, self.counters)
        triggers = make_triggers(packet.trigger_events)
        self._waiting.append(Message(events=events, t_end_us=int(status.current_t), triggers=triggers))

    def _cut(self, data: bytes, losses: list[int]) -> None:
        """Let the bytes wait in parts: something is missing before each place of `losses`."""
        starts = sorted({0, *losses})
        for start, stop in zip(starts, [*starts[1:], len(data)], strict=True):
            if start < stop:
                self._waiting.append(Message(data[start:stop], lost=start in losses))

    def _release(self) -> None:
        device, self._device = self._device, None
        self._waiting.clear()
        self._dropped = 0
        if device is not None:
            device.close()


def listed(drivers: Any, where: str) -> list[Any]:
    """Return what the package finds; RecordingError where it cannot look."""
    try:
        return list(drivers.list_devices())
    except RuntimeError as error:
        hint = "a container needs --device /dev/bus/usb"
        raise RecordingError("USB cannot be looked at", where=printable(where), found=str(error), hint=hint) from None


def choose(drivers: Any, address: Address, name: str, serial: str | None) -> tuple[str, str | None]:
    """Return (model, serial) of the camera that is meant, the only one that it may be. Raises RecordingError."""
    fits = [one for one in listed(drivers, address.url) if _model_name(one) and name in ("", _model_name(one))]
    if serial is not None:
        named = [one for one in fits if one.serial == serial]
        fits = named or [one for one in fits if one.serial is None]  # of which it cannot be told
    for one in fits:
        if one.error is not None:
            raise refused(drivers, address.url, one.error)
    where = printable(address.url)
    if not fits:
        wanted = (name or "a camera") + (f" with the serial {serial}" if serial else "")
        raise RecordingError(
            f"{wanted} is not plugged in", where=where, hint="`edgesnn info usb:` lists those there are"
        )
    if len(fits) > 1:
        there = ", ".join(f"{_model_name(one)} {one.serial}" for one in fits)
        raise RecordingError(
            "several cameras are there", where=where, found=there, hint="say which: usb:MODEL?serial=S"
        )
    return _model_name(fits[0]), fits[0].serial


def refused(drivers: Any, url: str, reason: str) -> RecordingError:
    """Return the error of a camera that cannot be opened, with what to do about it."""
    return RecordingError("cannot be opened", where=printable(url), found=reason, hint=_hint(drivers, reason))


def _hint(drivers: Any, reason: str) -> str | None:
    text = reason.lower()
    if "access" in text or "permission" in text:
        rules = Path(drivers.__file__).with_name("udev.py")
        return f"sudo {sys.executable} {rules}, then plug it in again"
    return "another program uses it: close that" if "busy" in text or "already used" in text else None


def _model_name(device: Any) -> str:
    """Return our name of a model, "" where it is none of ours."""
    return next((name for name, model in MODELS.items() if model.member == device.name.name), "")


def _describe(drivers: Any, device: Any, name: str, count: int) -> Found:
    serial = f"?serial={device.serial}" if count > 1 and device.serial else ""
    text = f"{device.name.value}, serial {device.serial or 'unknown'}, {device.connection.value}"
    if not name:
        return Found("-", text, "not a camera that edgesnn drives")
    hint = _hint(drivers, device.error) if device.error else None
    return Found(f"usb:{name}{serial}", text, device.error, hint)
