"""Every source of the registry under attack: what a sender, another one, or a broken device gives cannot stop it."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.events.formats.base import EncoderOptions
from edgesnn.events.registry import get as get_format
from edgesnn.events.sources import dv, registry, v4l2
from edgesnn.events.sources.live import LiveSource
from edgesnn.events.types import EVENT, TRIGGER
from tests import fake_drivers, fake_dv
from tests.drawn import drawn
from tests.fake_video import FakeKernel
from tests.live import LONGEST_S, made_up

SENSOR = (640, 480)
HOW = "format=evt3&sensor=640x480"
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
PART = 2_000
HOUR_US = 3_600_000_000


class Rig:
    """A source with its peer in our hands.

    Attributes:
        source: under attack.
        stranger: sends bytes as somebody else; None: nobody else can.
    """

    stranger: Callable[[bytes], None] | None = None

    def __init__(self, source: Any) -> None:
        assert isinstance(source, LiveSource)
        self.source = source
        self.sent = 0  # messages

    def good(self, events: np.ndarray) -> None:
        """Send events as its peer does."""
        raise NotImplementedError

    def bad(self, data: bytes) -> None:
        """Let its peer send bytes that mean nothing."""
        raise NotImplementedError


class Words(Rig):
    """A rig whose peer sends EVT3."""

    def __init__(self, source: Any, send: Callable[[bytes], None]) -> None:
        super().__init__(source)
        self.bad = send  # type: ignore[method-assign]
        self._anew()

    def _anew(self) -> None:
        self._encoder = get_format("evt3").encoder(EncoderOptions(SENSOR))  # type: ignore[union-attr]
        self._encoder.begin()
        self.reached_us = 0

    def good(self, events: np.ndarray) -> None:
        if int(events["t"][0]) < self.reached_us:
            self._anew()  # its clock was thrown
        self.reached_us = int(events["t"][-1]) + 20_000
        data = self._encoder.encode(events, np.zeros(0, TRIGGER), self.reached_us)
        for at in range(0, len(data), 1_000):
            self.bad(data[at : at + 1_000])


class Columns(Rig):
    """A rig whose device gives arrays; bytes that mean nothing become times and places that cannot be."""

    def __init__(self, source: Any, give: Callable[[np.ndarray], None]) -> None:
        super().__init__(source)
        self._give = give

    def good(self, events: np.ndarray) -> None:
        self._give(events)

    def bad(self, data: bytes) -> None:
        raw = np.frombuffer(data[: len(data) // EVENT.itemsize * EVENT.itemsize], EVENT).copy()
        raw["t"] &= (1 << 60) - 1
        self._give(raw)


def to_datagrams(port: int) -> tuple[socket.socket, Callable[[bytes], None]]:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send(data: bytes) -> None:
        one.sendto(data, ("127.0.0.1", port))
        time.sleep(0.0005)

    return one, send


@contextlib.contextmanager
def udp(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with edgesnn.open(f"udp://127.0.0.1:0?{HOW}") as source:
        (one, send), (other, forge) = to_datagrams(source.port), to_datagrams(source.port)
        with one, other:
            rig = Words(source, send)
            rig.stranger = forge
            yield rig


class SpifWords(Rig):
    def __init__(self, source: Any, send: Callable[[bytes], None]) -> None:
        super().__init__(source)
        self.bad = send  # type: ignore[method-assign]

    def good(self, events: np.ndarray) -> None:
        for at in range(0, len(events), 100):
            rows = events[at : at + 100].tolist()
            words = (struct.pack("<II", x << 16 | p << 15 | y, t & 0xFFFFFFFF) for t, x, y, p in rows)
            self.bad(b"".join(words))


@contextlib.contextmanager
def spif(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with edgesnn.open("spif://127.0.0.1:0?sensor=640x480") as source:
        (one, send), (other, forge) = to_datagrams(source.port), to_datagrams(source.port)
        with one, other:
            rig = SpifWords(source, send)
            rig.stranger = forge
            yield rig


def intruder(connect: Callable[[], socket.socket]) -> Callable[[bytes], None]:
    """Return what connects, sends, and goes again: while the source has its own sender, and waits for none."""

    def intrude(data: bytes) -> None:
        with contextlib.suppress(OSError), connect() as one:
            one.setblocking(False)
            one.send(data)

    return intrude


@contextlib.contextmanager
def tcp(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with edgesnn.open(f"tcp://127.0.0.1:0?listen&{HOW}") as source:
        place = ("127.0.0.1", source.port)
        with socket.create_connection(place) as one:
            rig = Words(source, one.sendall)
            rig.stranger = intruder(lambda: socket.create_connection(place, timeout=0.1))
            yield rig


@contextlib.contextmanager
def unix(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    def connect() -> socket.socket:
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(0.1)
        one.connect(str(folder / "s"))
        one.settimeout(None)
        return one

    with edgesnn.open(f"unix:{folder}/s?listen&{HOW}") as source, connect() as one:
        rig = Words(source, one.sendall)
        rig.stranger = intruder(connect)
        yield rig


@contextlib.contextmanager
def pipe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    os.mkfifo(folder / "pipe")
    with edgesnn.open(f"pipe:{folder}/pipe?{HOW}") as source, open(folder / "pipe", "wb", buffering=0) as one:

        def send(data: bytes) -> None:
            one.write(data)

        yield Words(source, send)


@contextlib.contextmanager
def video(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    kernel = FakeKernel(size=SENSOR, length=1 << 16)
    monkeypatch.setattr(v4l2, "KERNEL", kernel)
    with edgesnn.open("v4l2:/dev/video0?sensor=640x480") as source:

        def send(data: bytes) -> None:
            kernel.give(data)
            kernel.waiting.extend([] if data else [b""])

        yield Words(source, send)


@contextlib.contextmanager
def usb(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    drivers = fake_drivers.FakeDrivers()
    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", drivers)
    drivers.there = [fake_drivers.Listed(fake_drivers.Name.PROPHESEE_EVK4)]
    with edgesnn.open("usb:") as source:
        yield Words(source, drivers.opened[0].give_bytes)


@contextlib.contextmanager
def usb_events(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    drivers = fake_drivers.FakeDrivers()
    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", drivers)
    drivers.there = [fake_drivers.Listed(fake_drivers.Name.INIVATION_DVXPLORER)]

    def give(events: np.ndarray) -> None:
        array = np.zeros(len(events), fake_drivers.POLARITY)
        array["t"], array["x"], array["y"], array["on"] = (events[name] for name in "txyp")
        drivers.opened[0].give_events(array, int(array["t"][-1]) if len(array) else 0)

    with edgesnn.open("usb:") as source:
        yield Columns(source, give)


@contextlib.contextmanager
def inivation(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    cameras = fake_dv.Cameras()
    monkeypatch.setitem(sys.modules, "dv_processing", SimpleNamespace(io=SimpleNamespace(camera=cameras)))
    monkeypatch.setattr(dv, "KNOWN", folder)
    cameras.there = [fake_dv.Listed()]
    with edgesnn.open("dv:") as source:
        yield Columns(source, lambda events: cameras.opened[0].give(fake_dv.packaged(events)))


RIGS: dict[str, Callable[..., contextlib.AbstractContextManager[Rig]]] = {
    "dv": inivation,
    "pipe": pipe,
    "spif": spif,
    "tcp": tcp,
    "udp": udp,
    "unix": unix,
    "usb": usb,
    "usb-events": usb_events,
    "v4l2": video,
}


def test_every_source_is_attacked() -> None:
    """But a recording that is played: its damage is that of files."""
    assert {name.partition("-")[0] for name in RIGS} | {"replay"} == set(registry.SOURCES)


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as facts:
        return int(facts.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def next_part(state: dict[str, int]) -> np.ndarray:
    """Return the events that come next in the peer's clock."""
    state["number"] = state.get("number", 0) + 1
    events = made_up(PART, start_us=state.get("t_us", 1_000), seed=state["number"], sensor=SENSOR)
    state["t_us"] = int(events["t"][-1]) + 30_000
    return events


def heard(rig: Rig, least: int = 0, rest_s: float = 0.1, sender: threading.Thread | None = None) -> np.ndarray:
    """Read until so many events are there, all is sent and nothing comes any more; hold what every packet promises."""
    parts = [np.zeros(0, EVENT)]
    until_s = time.monotonic() + LONGEST_S
    quiet_s = time.monotonic()
    while (
        sum(map(len, parts)) < least
        or time.monotonic() - quiet_s < rest_s
        or (sender is not None and sender.is_alive())
    ):
        assert time.monotonic() < until_s, f"{rig.source}: {rig.source.counters}"
        before_us = rig.source.t_end_us
        packet = rig.source.read(0.01)
        if packet is None:
            continue
        events, t_end_us = packet
        assert before_us is None or t_end_us >= before_us, "time never falls"
        assert rig.source.sensor is not None
        assert (events["x"] < rig.source.sensor[0]).all()
        assert (events["y"] < rig.source.sensor[1]).all()
        assert (events["p"] <= 1).all()
        if len(events):
            quiet_s = time.monotonic()
            parts.append(events)
    return np.concatenate(parts)


def send(rig: Rig, act: Callable[[], None]) -> threading.Thread:
    """Send from another thread: a pipe or connection that is full waits for its reader."""
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def comes(rig: Rig, state: dict[str, int]) -> None:
    """Fail unless the peer's events come again: of two parts the second one, whole but for its first quarter."""
    parts = [next_part(state), next_part(state)]
    thread = send(rig, lambda: [rig.good(part) for part in parts])
    tail = parts[1][PART // 4 :]
    got = heard(rig, least=len(tail), sender=thread)
    got = got[-len(tail) :]
    assert np.array_equal(got[["x", "y", "p"]], tail[["x", "y", "p"]])
    assert np.array_equal(np.diff(got["t"]), np.diff(tail["t"]))
    assert rig.source.state in ("live", "quiet")


def random_bytes(rig: Rig, rng: np.random.Generator) -> None:
    for size in (8, 64, 1_000, 24, 8_000, 40, 256):
        rig.bad(rng.bytes(size))


def nothing(rig: Rig, rng: np.random.Generator) -> None:
    for _ in range(50):
        rig.bad(b"")


def oversized(rig: Rig, rng: np.random.Generator) -> None:
    for _ in range(20):
        rig.bad(rng.bytes(65_504))


def one_byte(rig: Rig, rng: np.random.Generator) -> None:
    for byte in rng.bytes(64):
        rig.bad(bytes([byte]))


def counted(act: Callable[[bytes], None], rig: Rig) -> Callable[[bytes], None]:
    """Return what does so, and counts the messages that come of it."""

    def send(data: bytes) -> None:
        rig.sent += -(-len(data) // 4096)
        act(data)

    return send


def only(value: int) -> Callable[[Rig, np.random.Generator], None]:
    def attack(rig: Rig, rng: np.random.Generator) -> None:
        for size in (8, 800, 8_000):
            rig.bad(bytes([value]) * size)

    return attack


def clock(step_us: int) -> Callable[[Rig, np.random.Generator], None]:
    """The peer's own events, at times that are far off."""

    def attack(rig: Rig, rng: np.random.Generator) -> None:
        events = made_up(300, sensor=SENSOR, start_us=max(1_000_000 + step_us, 0))
        rig.good(events)

    return attack


def strangers(rig: Rig, rng: np.random.Generator) -> None:
    assert rig.stranger is not None
    for size in (0, 1, 7, 64, 1_000, 60_000, 64, 8) * 5:
        rig.stranger(rng.bytes(size))


ATTACKS: dict[str, Callable[[Rig, np.random.Generator], None]] = {
    "random": random_bytes,
    "nothing": nothing,
    "oversized": oversized,
    "one byte": one_byte,
    "zeros": only(0),
    "ones": only(0xFF),
    "an hour ahead": clock(HOUR_US),
    "a day ahead": clock(24 * HOUR_US),
    "back": clock(-(1 << 40)),
    "strangers": strangers,
}


SHARED = ("spif", "tcp", "udp", "unix")
"""Where somebody else can send, too."""


@pytest.mark.parametrize(
    ("name", "attack"),
    [(name, attack) for name in RIGS for attack in ATTACKS if attack != "strangers" or name in SHARED],
)
def test_what_comes_after_an_attack_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, attack: str
) -> None:
    state = {"t_us": 1_000}
    with RIGS[name](tmp_path, monkeypatch) as rig:
        rig.bad = counted(rig.bad, rig)  # type: ignore[method-assign]
        comes(rig, state)
        reached_us, began_s = rig.source.t_end_us, time.monotonic()
        for seed in range(drawn(2)):
            rng = np.random.default_rng([seed, len(attack)])
            thread = send(rig, lambda rng=rng: ATTACKS[attack](rig, rng))
            heard(rig, sender=None if attack == "strangers" else thread)  # strangers wait for no reader
            thread.join(LONGEST_S)
            assert not thread.is_alive()
            comes(rig, state)
        assert reached_us is not None
        assert rig.source.t_end_us is not None
        passed_us = rig.source.t_end_us - reached_us
        clock_us = round((time.monotonic() - began_s) * 1e6)
        assert passed_us < clock_us + 1_100_000 * (rig.sent + 1), "no message moves time by more than about a second"


def high_words(rig: Rig, seconds: int) -> bytes:
    """Words of EVT3 that count the time on up to there, one TIME_HIGH after the other, and an event."""
    assert isinstance(rig, Words)
    counts = (0x8000 | count & 0xFFF for count in range(rig.reached_us // 4096 + 1, seconds * 10**6 // 4096))
    return b"".join(struct.pack("<H", word) for word in (*counts, 0x0005, 0x2007))


@pytest.mark.parametrize("name", ["udp", "usb", "v4l2"])
def test_words_that_run_ahead_of_the_clock_do_not_take_a_sender_along_that_sends_as_time_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """One datagram holds 100 s of quiet."""
    with RIGS[name](tmp_path, monkeypatch) as rig:
        comes(rig, {})
        reached_us = rig.source.t_end_us
        rig.bad(high_words(rig, 100))
        heard(rig, rest_s=0.3)
        assert reached_us is not None
        assert rig.source.t_end_us is not None
        assert rig.source.t_end_us - reached_us < 10_000_000
        comes(rig, {"t_us": 100_200_000, "number": 9})


@pytest.mark.parametrize("name", ["pipe", "tcp", "unix"])
def test_a_recording_that_comes_faster_than_its_pace_keeps_its_quiet_stretches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with RIGS[name](tmp_path, monkeypatch) as rig:
        comes(rig, {})
        rig.bad(high_words(rig, 100))
        heard(rig, rest_s=0.3)
        assert rig.source.t_end_us is not None
        assert 99_000_000 < rig.source.t_end_us < 101_000_000
        assert rig.source.counters["clock_resyncs"] == 0


@pytest.mark.parametrize("name", RIGS)
def test_a_flood_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """32 MB of random bytes, and no more kept of them than some packets."""
    rng = np.random.default_rng(3)
    block = rng.bytes(60_000)
    with RIGS[name](tmp_path, monkeypatch) as rig:
        comes(rig, {})
        before = resident_bytes()
        for _ in range(540):
            thread = send(rig, lambda: rig.bad(block))
            while thread.is_alive():
                rig.source.read(0.001)
            for _ in range(20):  # a device gives it in small buffers
                if rig.source.read(0.0) is None:
                    break
        heard(rig)
        assert resident_bytes() - before < 24 << 20
        comes(rig, {"t_us": 50_000_000, "number": 50})
