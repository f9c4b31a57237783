"""A package like dv-processing, with cameras that give what a test says. Compared with it by its tests."""

# ruff: noqa: N802, N803, N815 (names are the package's)

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np

EVENTS = np.dtype(
    {
        "names": ["timestamp", "x", "y", "polarity"],
        "formats": ["<i8", "<i2", "<i2", "i1"],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)


class CameraModel(enum.Enum):
    DVS128 = 0
    DAVIS = 1
    DVXPLORER = 2


class LogLevel(enum.Enum):
    LVL_NONE = 0


class Bias(enum.Enum):
    DIFF_ON = 0
    DIFF_OFF = 1


class Davis346BiasCF(enum.Enum):
    On = 0
    Off = 1


class Davis346BiasVDAC(enum.Enum):
    ADCReferenceHigh = 0


class SensorModel(enum.Enum):
    DAVIS240C = 2
    DAVIS346 = 5


class TriggerType(enum.Enum):
    EXTERNAL_SIGNAL_RISING_EDGE = 1
    EXTERNAL_SIGNAL_FALLING_EDGE = 2
    EXTERNAL_GENERATOR_RISING_EDGE = 4
    APS_FRAME_START = 6


@dataclass
class Listed:
    cameraModel: CameraModel = CameraModel.DVXPLORER
    serialNumber: str = "DXA00093"
    busNumber: int = 2
    devAddress: int = 7


@dataclass
class Camera:
    """A camera that was opened; a child has the biases of its kind.

    Attributes:
        waiting: what `getNextEventBatch` gives; an exception is raised.
        edges: what `getNextTriggerBatch` gives.
        set: what was set, by name.
    """

    listed: Listed
    waiting: deque[Any] = field(default_factory=deque)
    edges: deque[Any] = field(default_factory=deque)
    running: bool = True
    resolution: tuple[int, int] | None = (640, 480)
    set: dict[str, Any] = field(default_factory=dict)

    def getEventResolution(self) -> tuple[int, int] | None:
        return self.resolution

    def getCameraName(self) -> str:
        return f"{self.listed.cameraModel.name}_{self.listed.serialNumber}"

    def isRunning(self) -> bool:
        return self.running

    def isTriggerStreamAvailable(self) -> bool:
        return True

    def setTimeInterval(self, timeInterval: timedelta) -> None:
        self.set["interval"] = timeInterval

    def setCropArea(self, cropAreaEvents: tuple[int, int, int, int]) -> None:
        self.set["crop"] = cropAreaEvents

    def getNextEventBatch(self) -> Any:
        given = self.waiting.popleft() if self.waiting else None
        if isinstance(given, Exception):
            raise given
        return given

    def getNextTriggerBatch(self) -> Any:
        return self.edges.popleft() if self.edges else None

    def give(self, events: np.ndarray) -> None:
        """Let it give events in the package's layout."""
        self.waiting.append(SimpleNamespace(numpy=lambda: events))


class DVXplorer(Camera):
    def setContrastThresholdOn(self, value: int) -> None:
        if not 0 <= value <= 17:
            raise ValueError("Contrast threshold value out of range.")
        self.set["on"] = value

    def setContrastThresholdOff(self, value: int) -> None:
        self.set["off"] = value


class DVS128(Camera):
    Bias = Bias

    def setBias(self, bias: Bias, value: int) -> None:
        self.set[bias.name] = value


class DAVIS(Camera):
    Davis346BiasCF, Davis346BiasVDAC, SensorModel = Davis346BiasCF, Davis346BiasVDAC, SensorModel
    model = SensorModel.DAVIS346

    def getSensorModel(self) -> SensorModel:
        return self.model

    def setDavis346BiasCoarseFine(self, bias: Davis346BiasCF, coarse: int, fine: int) -> None:
        self.set[bias.name] = (coarse, fine)

    def setDavis346BiasVoltage(self, bias: Davis346BiasVDAC, voltageValue: int) -> None:
        self.set[bias.name] = voltageValue


class Cameras:
    """`dv_processing.io.camera`.

    Attributes:
        there: what `discover` returns; an exception is raised.
        refuses: why `open` fails; None: it does not.
        opened: all that it opened.
    """

    DVXplorer, DVS128, DAVIS = DVXplorer, DVS128, DAVIS
    USBDevice = SimpleNamespace(LogLevel=LogLevel)

    def __init__(self) -> None:
        self.there: list[Listed] | Exception = []
        self.refuses: str | None = None
        self.opened: list[Any] = []

    def discover(self) -> list[Listed]:
        if isinstance(self.there, Exception):
            raise self.there
        return self.there

    def open(self, descriptor: Listed, deviceLogLevel: LogLevel) -> Any:
        if self.refuses is not None:
            raise RuntimeError(failure(self.refuses))
        kinds = {CameraModel.DVXPLORER: DVXplorer, CameraModel.DVS128: DVS128, CameraModel.DAVIS: DAVIS}
        self.opened.append(kinds[descriptor.cameraModel](descriptor))
        return self.opened[-1]


def failure(text: str) -> str:
    """Return an error's text as the package writes it."""
    return f"/project/include/usb.hpp(88): void open()\nRuntimeError: {text}\nStacktrace:\n 0# 0x3ABB in dv.so\n"


def packaged(events: np.ndarray) -> np.ndarray:
    """Return events in the package's layout."""
    array = np.zeros(len(events), EVENTS)
    array["timestamp"], array["x"], array["y"], array["polarity"] = (events[name] for name in "txyp")
    return array
