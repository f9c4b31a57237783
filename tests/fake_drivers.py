"""A package like neuromorphic-drivers, with cameras that give what a test says. Compared with it by its tests."""

from __future__ import annotations

import enum
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

POLARITY = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
TRIGGERS = np.dtype([("t", "<u8"), ("id", "u1"), ("rising", "?")])
DENIED = "Access denied (insufficient permissions)"


class Name(enum.Enum):
    INIVATION_DAVIS346 = "iniVation DAVIS 346"
    INIVATION_DVXPLORER = "iniVation DVXplorer"
    PROPHESEE_EVK3_HD = "Prophesee EVK3 HD"
    PROPHESEE_EVK4 = "Prophesee EVK4"
    LUCID_TRITON = "Lucid Triton"


class Connection(enum.Enum):
    USB_SUPER = "USB 3.0 SuperSpeed (5.0 Gb/s)"


@dataclass
class Listed:
    name: Name
    serial: str | None = "00001"
    error: str | None = None
    connection: Connection = Connection.USB_SUPER
    address: str = "1:2"


@dataclass
class RateLimiter:
    reference_period_us: int
    maximum_events_per_period: int


@dataclass
class RegionOfInterest:
    left: int = 0
    top: int = 0
    width: int = 346
    height: int = 260


@dataclass
class RingConfiguration:
    ring_length: int = 4096


@dataclass
class Biases:
    diff_on: int = 0
    diff_off: int = 0


@dataclass
class DvxplorerBiases:
    on: int = 8
    off: int = 8
    nrst: bool = False


class Serialised:
    @staticmethod
    def type() -> str:
        return "a camera"

    def serialize(self) -> bytes:
        for value in asdict(self.biases).values():  # type: ignore[attr-defined]
            int(value).to_bytes(2, "little", signed=True)
        return b""


@dataclass
class MaskedConfiguration(Serialised):
    biases: Biases = field(default_factory=Biases)
    x_mask: tuple[int, ...] = (0,) * 20
    y_mask: tuple[int, ...] = (0,) * 12
    mask_intersection_only: bool = False
    rate_limiter: RateLimiter | None = None


@dataclass
class DavisConfiguration(Serialised):
    biases: Biases = field(default_factory=Biases)
    region_of_interest: RegionOfInterest = field(default_factory=RegionOfInterest)


@dataclass
class DvxplorerConfiguration(Serialised):
    biases: DvxplorerBiases = field(default_factory=DvxplorerBiases)


class RowColumnMask:
    """Rows count from the bottom."""

    def __init__(self, width: int, height: int, set: bool) -> None:
        self.x, self.y = np.full(width, set), np.full(height, set)

    def clear_rectangle(self, x: int, y: int, width: int, height: int) -> None:
        self.x[x : x + width] = False
        self.y[y : y + height] = False

    def x_mask(self) -> tuple[int, ...]:
        return words(self.x)

    def y_mask(self) -> tuple[int, ...]:
        return words(self.y)


def words(bits: np.ndarray) -> tuple[int, ...]:
    """Return bits as numbers of 64, the lowest first."""
    padded = np.zeros(-(-len(bits) // 64) * 64, bool)
    padded[: len(bits)] = bits
    return tuple(int(value) for value in np.packbits(padded, bitorder="little").view("<u8"))


@dataclass
class Device:
    """A camera that was opened. `waiting` holds what `__next__` gives, an exception is raised."""

    configuration: Any
    iterator_timeout: float
    raw: bool
    serial_number: str | None
    ring: Any
    size: SimpleNamespace
    waiting: deque[Any] = field(default_factory=deque)
    dropped: int = 0
    closed: bool = False

    def properties(self) -> SimpleNamespace:
        return self.size

    def serial(self) -> str:
        return self.serial_number or ""

    def close(self) -> None:
        self.closed = True

    def __next__(self) -> tuple[Any, Any]:
        assert not self.closed
        if not self.waiting:
            time.sleep(self.iterator_timeout)
            return SimpleNamespace(system_time=0.0, ring=None), None
        given = self.waiting.popleft()
        if isinstance(given, Exception):
            raise given
        return given

    def give_bytes(self, data: bytes, losses: list[int] | None = None, dropped: int = 0) -> None:
        """Let it give bytes; something is missing before each place of `losses`."""
        self.dropped += dropped
        status = SimpleNamespace(overflow_indices=losses, dropped_packets=self.dropped)
        self.waiting.append((SimpleNamespace(ring=status), data))

    def give_events(self, events: np.ndarray | None, t_us: int, triggers: np.ndarray | None = None) -> None:
        """Let it give events in the package's layout."""
        status = SimpleNamespace(current_t=t_us, dropped_packets=self.dropped)
        packet = SimpleNamespace(polarity_events=events, trigger_events=triggers)
        self.waiting.append((SimpleNamespace(ring=status), packet))


class FakeDrivers:
    """The package.

    Attributes:
        there: what `list_devices` returns; an exception is raised.
        refuses: why `open` fails; None: it does not.
        opened: all devices that it opened.
    """

    __file__ = "/somewhere/neuromorphic_drivers/__init__.py"
    Name, Connection, RowColumnMask = Name, Connection, RowColumnMask

    def __init__(self) -> None:
        self.there: list[Listed] | Exception = []
        self.refuses: str | None = None
        self.opened: list[Device] = []
        prophesee = SimpleNamespace(
            Configuration=MaskedConfiguration,
            Biases=Biases,
            RateLimiter=RateLimiter,
            RingConfiguration=RingConfiguration,
        )
        self.prophesee_evk4 = SimpleNamespace(**vars(prophesee), Properties=sized(1280, 720))
        self.prophesee_evk3_hd = SimpleNamespace(**vars(prophesee), Properties=sized(1280, 720))
        self.inivation_davis346 = SimpleNamespace(
            Configuration=DavisConfiguration,
            Biases=Biases,
            RegionOfInterest=RegionOfInterest,
            RingConfiguration=RingConfiguration,
            Properties=sized(346, 260),
        )
        self.inivation_dvxplorer = SimpleNamespace(
            Configuration=DvxplorerConfiguration,
            Biases=DvxplorerBiases,
            RingConfiguration=RingConfiguration,
            Properties=sized(640, 480),
        )

    def list_devices(self) -> list[Listed]:
        if isinstance(self.there, Exception):
            raise self.there
        return self.there

    def open(
        self,
        configuration: Any = None,
        iterator_timeout: float | None = None,
        raw: bool = False,
        serial: str | None = None,
        address: str | None = None,
        ring_configuration: Any = None,
        iterator_maximum_raw_packets: int = 64,
    ) -> Device:
        if self.refuses is not None:
            raise RuntimeError(self.refuses)
        assert iterator_timeout is not None
        size = next(
            module.Properties()
            for module in vars(self).values()
            if isinstance(module, SimpleNamespace) and isinstance(configuration, module.Configuration)
        )
        device = Device(configuration, iterator_timeout, raw, serial, ring_configuration, size)
        self.opened.append(device)
        return device


def sized(width: int, height: int) -> Any:
    """Return what makes a camera's properties."""
    return lambda: SimpleNamespace(width=width, height=height)
