"""`v4l2:` against a kernel that is not there: real recordings in its buffers, and all that it may refuse."""

from __future__ import annotations

import errno
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.events.sources import v4l2, video
from edgesnn.events.sources.live import LiveSource
from tests.fake_video import SIZES, STRUCTURES, FakeKernel
from tests.live import encoded, made_up, read_events, wait_until

URL = "v4l2:/dev/video0"
EVENTS = made_up(5_000)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    fake = FakeKernel()
    monkeypatch.setattr(v4l2, "KERNEL", fake)
    return fake


def opened(url: str = URL, **arguments: object) -> LiveSource:
    source = edgesnn.open(url, **arguments)
    assert isinstance(source, LiveSource)
    return source


# --- what the kernel's header says ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """The numbers of linux/videodev2.h, by a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("no compiler or no linux/videodev2.h")
    folder = tmp_path_factory.mktemp("header")
    names = ["QUERYCAP", "ENUM_FMT", "G_FMT", "S_FMT", "REQBUFS", "QUERYBUF", "QBUF", "DQBUF", "STREAMON", "STREAMOFF"]
    wanted = {name: f"VIDIOC_{name}" for name in names}
    wanted |= {name: f"sizeof(struct {name})" for name in STRUCTURES}
    for structure, fields in FIELDS.items():
        wanted |= {f"{structure}.{ours}": f"offsetof(struct {structure}, {theirs})" for ours, theirs in fields.items()}
    lines = "".join(f'printf("{name} %lu\\n", (unsigned long)({text}));' for name, text in wanted.items())
    head = "#include <linux/videodev2.h>\n#include <stddef.h>\n#include <stdio.h>\n"
    (folder / "facts.c").write_text(f"{head}int main(void) {{ {lines} return 0; }}\n")
    subprocess.run([compiler, "facts.c", "-o", "facts"], cwd=folder, check=True, timeout=60)
    out = subprocess.run([folder / "facts"], capture_output=True, text=True, check=True, timeout=60).stdout
    return {name: int(value) for name, value in (line.split() for line in out.splitlines())}


FIELDS = {
    "v4l2_capability": {"card": "card", "capabilities": "capabilities", "device_caps": "device_caps"},
    "v4l2_fmtdesc": {"index": "index", "type": "type", "pixelformat": "pixelformat"},
    "v4l2_format": {"width": "fmt.pix.width", "height": "fmt.pix.height", "pixelformat": "fmt.pix.pixelformat"},
    "v4l2_requestbuffers": {"count": "count", "type": "type", "memory": "memory"},
    "v4l2_buffer": {
        **{name: name for name in ("index", "type", "bytesused", "flags", "sequence", "memory", "length")},
        "offset": "m.offset",
        "seconds": "timestamp",
    },
}


def test_the_numbers_are_those_of_the_kernels_header(header: dict[str, int]) -> None:
    for name in ("QUERYCAP", "ENUM_FMT", "G_FMT", "S_FMT", "REQBUFS", "QUERYBUF", "QBUF", "DQBUF"):
        assert getattr(video, name) == header[name], name
    assert (header["STREAMON"], header["STREAMOFF"]) == (video.STREAMON, video.STREAMOFF)
    ours = (video.CAPABILITY, video.FMTDESC, video.FORMAT, video.REQUEST, video.BUFFER)
    assert [one.size for one in ours] == [header[name] for name in STRUCTURES]
    assert {name: header[name] for name in STRUCTURES} == SIZES


def test_the_fakes_fields_are_where_the_kernels_are(header: dict[str, int]) -> None:
    for structure, fields in FIELDS.items():
        for name in fields:
            assert getattr(STRUCTURES[structure], name).offset == header[f"{structure}.{name}"], (structure, name)


# --- recordings through buffers -------------------------------------------------------------------------------------


@pytest.mark.conformance
@pytest.mark.parametrize("length", [4096, 1001])
@pytest.mark.parametrize(
    ("fourcc", "name", "swap"),
    [
        ("PSE3", "evt3/evt3_gen41_1280x720.raw", False),
        ("PSEE", "evt2/evt2_gen3_640x480_a.raw", False),
        ("PSE2", "evt21/evt21_from_evt3_1280x720.raw", False),
        ("PSE1", "evt21/evt21_from_evt3_1280x720.raw", True),
    ],
)
def test_a_recordings_words_in_buffers_of_any_size_are_its_events(
    kernel: FakeKernel, shared: Callable[[str], Path], fourcc: str, name: str, swap: bool, length: int
) -> None:
    """Vectors are split between buffers. The recordings have no long gaps, so their clock does not jump."""
    path = shared(f"recordings/{name}")
    whole = edgesnn.open(path, on_corrupt="skip").read()[:20_000]
    words = _words(path)[: 1 << 19]
    if swap:
        words = np.frombuffer(words, "<u4").reshape(-1, 2)[:, ::-1].tobytes()
    kernel.fourcc, kernel.length = fourcc, length
    kernel.size = (640, 480) if "640x480" in name else (1280, 720)
    kernel.give(words)
    with opened() as source:
        assert source.sensor == kernel.size
        got = read_events(source, len(whole))[: len(whole)]
        assert source.counters["bad_words"] == source.counters["lost_packets"] == 0
    assert got.tolist() == whole.tolist()


def _words(path: Path) -> bytes:
    """Return a RAW file's bytes behind its text header, whose lines begin with a percent sign."""
    data = path.read_bytes()
    at = 0
    while data[at : at + 1] == b"%":
        line = data[at : data.index(b"\n", at)]
        at += len(line) + 1
        if line == b"% end":
            break
    return data[at:]


def test_a_buffer_goes_back_to_the_device_when_the_next_is_asked_for(kernel: FakeKernel) -> None:
    kernel.give(encoded(EVENTS))
    with opened(f"{URL}?buffers=3&sensor=640x480") as source:
        read_events(source, len(EVENTS))
        source.read(0.0)
        assert sorted(kernel.queued) == [0, 1, 2]
        assert kernel.streaming
    assert kernel.opened == 0
    assert not kernel.streaming


def test_a_size_that_no_sensor_has_is_not_taken_for_one(kernel: FakeKernel) -> None:
    kernel.size = (65536, 64)
    with opened() as source:
        assert source.sensor is None
    with opened(sensor=(640, 480)) as source:
        assert source.sensor == (640, 480)


# --- what goes wrong while it streams --------------------------------------------------------------------------------


def test_buffers_that_the_driver_dropped_are_counted(kernel: FakeKernel) -> None:
    data = encoded(EVENTS)
    kernel.give(data[: kernel.length * 2])
    with opened(f"{URL}?sensor=640x480") as source:
        wait_until(source, lambda: not kernel.waiting)
        kernel.skips = 3
        kernel.give(data[kernel.length * 2 :])
        wait_until(source, lambda: not kernel.waiting)
        assert source.counters["lost_packets"] == 3
        assert source.counters["bad_words"] == 0


def test_a_broken_buffer_is_left_out(kernel: FakeKernel) -> None:
    data = encoded(EVENTS)
    kernel.waiting.append((b"\xff" * 100, 0x40))
    kernel.give(data)
    with opened(f"{URL}?sensor=640x480") as source:
        got = read_events(source, len(EVENTS))
        assert source.counters["broken_buffers"] == 1
        assert source.counters["bad_words"] == 0
    assert got.tolist() == EVENTS.tolist()


def test_an_empty_buffer_is_no_events(kernel: FakeKernel) -> None:
    kernel.waiting.append(b"")
    kernel.give(encoded(EVENTS))
    with opened(f"{URL}?sensor=640x480") as source:
        assert read_events(source, len(EVENTS)).tolist() == EVENTS.tolist()


def test_a_device_that_is_unplugged_comes_back(kernel: FakeKernel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "edgesnn.events")
    kernel.give(encoded(made_up(5_000, start_us=9_000_000)))
    with opened(f"{URL}?sensor=640x480") as source:
        read_events(source, len(EVENTS))
        reached_us = source.t_end_us
        kernel.plugged = False
        wait_until(source, lambda: source.state == "dead")
        assert kernel.opened == 0
        wait_until(source, lambda: source.counters["failed_connections"] > 0)
        kernel.plugged = True
        kernel.give(encoded(EVENTS))
        got = read_events(source, len(EVENTS))
        counters = source.counters
    assert np.array_equal(got[["x", "y", "p"]], EVENTS[["x", "y", "p"]])
    assert got["t"][0] >= reached_us
    assert (counters["connections"], counters["disconnections"]) == (2, 1)
    assert len([one for one in caplog.messages if "the device has gone: no such device" in one.lower()]) == 1


@pytest.mark.parametrize("code", [errno.EIO, errno.ENODEV, errno.ENXIO])
def test_an_error_of_the_driver_makes_it_open_the_device_anew(kernel: FakeKernel, code: int) -> None:
    kernel.give(encoded(EVENTS))
    with opened(f"{URL}?sensor=640x480") as source:
        kernel.refuses[video.DQBUF] = code
        wait_until(source, lambda: source.counters["disconnections"] == 1)
        kernel.refuses.clear()
        assert len(read_events(source, len(EVENTS))) == len(EVENTS)


def test_a_device_that_comes_back_as_another_is_not_taken_for_it(kernel: FakeKernel) -> None:
    kernel.give(encoded(EVENTS))
    with opened(f"{URL}?sensor=640x480") as source:
        read_events(source, len(EVENTS))
        kernel.refuses[video.DQBUF] = errno.EIO
        kernel.give(b"\0" * 16)
        wait_until(source, lambda: source.counters["disconnections"] == 1)
        kernel.refuses.clear()
        kernel.fourcc, kernel.offers = "PSEE", ["PSEE"]
        wait_until(source, lambda: source.counters["failed_connections"] > 0)
        assert source.state == "dead"
        assert kernel.opened == 0


def test_a_quiet_device_gives_time_without_events(kernel: FakeKernel) -> None:
    kernel.give(encoded(EVENTS))
    with opened(f"{URL}?sensor=640x480&idle_close_ms=10") as source:
        read_events(source, len(EVENTS))
        reached_us = source.t_end_us
        wait_until(source, lambda: source.t_end_us > reached_us + 50_000)


# --- what cannot be opened -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "code", "words"),
    [
        ("open", errno.EACCES, "cannot be opened: permission denied; sudo usermod -aG .* log in again"),
        ("open", errno.EBUSY, "cannot be opened: .*busy; another program uses it: `fuser /dev/video0`"),
        (video.QUERYCAP, errno.ENOTTY, "not a video device"),
        (video.REQBUFS, errno.EBUSY, "cannot be opened: .*another program uses it"),
        (video.STREAMON, errno.EPIPE, "cannot be opened: .*the sensor's pipeline is not set up: `media-ctl -p`"),
        (video.QBUF, errno.ENOMEM, "cannot be opened: cannot allocate memory"),
    ],
)
def test_what_the_kernel_refuses_is_one_clear_error(
    kernel: FakeKernel, refused: int | str, code: int, words: str
) -> None:
    kernel.refuses[refused] = code
    with pytest.raises(edgesnn.RecordingError, match=f"v4l2:/dev/video0: {words}"):
        opened()
    assert kernel.opened == 0


def test_a_device_that_is_not_there_is_an_error(kernel: FakeKernel) -> None:
    with pytest.raises(edgesnn.RecordingError, match=r"no such file or directory; `edgesnn info v4l2:` lists"):
        opened("v4l2:/dev/video7")


def test_what_gives_no_pictures_is_no_capture_device(kernel: FakeKernel) -> None:
    kernel.capabilities = 1 << 26
    with pytest.raises(edgesnn.RecordingError, match=r"not a capture device: found A fake sensor \(fake-dma\)"):
        opened()
    assert kernel.opened == 0


def test_a_format_that_is_not_of_events_is_named(kernel: FakeKernel) -> None:
    kernel.fourcc, kernel.offers = "YUYV", ["YUYV", "MJPG"]
    with pytest.raises(edgesnn.RecordingError, match="not a format of events: found 'YUYV', expected one of PSEE"):
        opened()


def test_a_device_is_asked_for_events_where_it_can_give_them(kernel: FakeKernel) -> None:
    kernel.fourcc, kernel.offers = "YUYV", ["YUYV", "PSEE", "PSE3"]
    with opened() as source:
        assert source.format == "evt2"
    with opened(f"{URL}?format=evt3") as source:
        assert (source.format, kernel.fourcc) == ("evt3", "PSE3")


def test_a_driver_that_has_no_name_for_events_is_believed_where_the_user_says_so(kernel: FakeKernel) -> None:
    kernel.fourcc, kernel.offers = "Y16 ", ["Y16 "]
    kernel.give(encoded(EVENTS))
    with opened(f"{URL}?format=evt3&sensor=640x480") as source:
        assert read_events(source, len(EVENTS)).tolist() == EVENTS.tolist()


def test_another_format_than_the_devices_is_refused(kernel: FakeKernel) -> None:
    with pytest.raises(edgesnn.UsageError, match="the device gives another format: found evt3, expected evt2"):
        opened(f"{URL}?format=evt2")
    assert kernel.opened == 0


def test_wrong_addresses(kernel: FakeKernel) -> None:
    with pytest.raises(edgesnn.UsageError, match="no device: expected v4l2:/dev/video0"):
        opened("v4l2:")
    with pytest.raises(edgesnn.UsageError, match="buffers is out of range: found '1', expected 2 to 32"):
        opened(f"{URL}?buffers=1")


def test_the_real_kernel_says_what_is_no_video_device(tmp_path: Path) -> None:
    for path in (tmp_path / "file", Path("/dev/null")):
        if path.name == "file":
            path.write_bytes(b"x")
        with pytest.raises(edgesnn.RecordingError, match="not a video device"):
            opened(f"v4l2:{path}")


def test_the_devices_are_described(kernel: FakeKernel) -> None:
    assert v4l2.describe(kernel, "/dev/video0")[:3] == (URL, "A fake sensor, evt3, 1280x720", None)
    kernel.fourcc, kernel.offers = "YUYV", ["YUYV"]
    found = v4l2.describe(kernel, "/dev/video0")
    assert (found.name, found.problem) == ("A fake sensor", "not a format of events: 'YUYV'")
    kernel.refuses["open"] = errno.EACCES
    assert v4l2.describe(kernel, "/dev/video0").hint.startswith("sudo usermod -aG ")
    assert kernel.opened == 0
