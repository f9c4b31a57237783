"""Contracts over the registry of formats, the headers of RAW files, `edgesnn info` and lazy imports."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.events import registry
from edgesnn.events.formats import raw_header
from edgesnn.events.formats.base import DecoderOptions, Head, is_container, is_stream
from edgesnn.events.types import EVENT, TRIGGER
from edgesnn.events.writing import write
from tests.files import whole


def head(data: bytes, suffix: str = ".raw") -> Head:
    return Head(data, len(data), suffix, "made-up" + suffix)


@pytest.mark.parametrize("name", registry.names())
def test_every_format_keeps_its_contract(name: str) -> None:
    one = registry.get(name)
    assert one.name == name
    assert one.title
    assert one.__doc__
    assert isinstance(one.has_magic, bool)
    assert not one.matches(head(b"\x00" * 4000))
    assert not one.matches(head(np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8).tobytes(), ".bin"))
    assert isinstance(one.verified, bool)
    assert is_stream(one) != is_container(one)
    if not is_stream(one):
        with pytest.raises(edgesnn.UsageError):
            edgesnn.Decoder(name)
        return
    decoder = one.decoder(DecoderOptions((320, 240), "skip", 0, "here"))
    events, t_end_us, error = decoder.feed(b"")
    assert (len(events), events.dtype, t_end_us, error) == (0, EVENT, None, None)
    assert decoder.triggers().dtype == TRIGGER
    assert set(decoder.counters.values()) == {0}
    decoder.load(decoder.save())
    assert decoder.finish()[2] is None


@pytest.mark.parametrize("name", registry.FORMATS)
def test_a_format_is_one_file_of_its_name(name: str) -> None:
    module, _, _ = registry.FORMATS[name].partition(":")
    assert module == f"edgesnn.events.formats.{name}"


@pytest.mark.parametrize(
    ("header", "sensor"),
    [
        ("% evt 3.0\n% geometry 640x480\n% end\n", (640, 480)),
        ("% evt 3.0\r\n% geometry 640x480\r\n% end\r\n", (640, 480)),
        ("% format EVT3;height=720;width=1280\n% end\n", (1280, 720)),
        ("% evt 3.0\n% plugin_name hal_plugin_gen41_evk3\n", (1280, 720)),
        ("% evt 3.0\n% plugin_name hal_plugin_gen3_fx3\n", (640, 480)),
        ("% evt 3.0\n% plugin_name hal_plugin_gen31_fx3\n", (640, 480)),
        ("% evt 3.0\n% sensor_name IMX636\n", (1280, 720)),
        ("% evt 3.0\n% sensor_name GenX320\n", (320, 320)),
        ("% evt 3.0\n% serial_number 00gen3\n", None),
        ("% evt 3.0\n", None),
    ],
)
def test_the_sensor_of_a_raw_header(header: str, sensor: tuple[int, int] | None) -> None:
    read = raw_header.read(head(header.encode() + b"\x00\x80\x00\x60"))
    assert read.sensor == sensor
    assert read.data_offset == len(header)
    assert raw_header.encoding(head(header.encode())) == "evt3"


@pytest.mark.parametrize(
    ("lines", "sensor"),
    [
        ("% Data file containing CD events\n% Version 2\n% Width 640\n% Height 480\n", (640, 480)),
        ("% Data file containing N9Chronocam7Event2dE events.\n% Version 2\n% Date 2017-10-31 11:27:54\n", None),
        ("% Width 304\n% Height 240\n", (304, 240)),
    ],
)
@pytest.mark.parametrize("kind", [0, 12])
def test_the_header_of_dat(lines: str, sensor: tuple[int, int] | None, kind: int) -> None:
    start = head(lines.encode() + bytes([kind, 8]) + bytes(16))
    assert registry.detect(start).name == "dat"
    header = registry.get("dat").header(start)
    assert (header.sensor, header.data_offset, header.complaint) == (sensor, len(lines) + 2, None)


def test_an_impossible_sensor_of_dat_is_complained_about() -> None:
    header = registry.get("dat").header(head(b"% Width 0\n% Height 99999\n\x0c\x08"))
    assert header.sensor is None
    assert "0x99999" in str(header.complaint)


@pytest.mark.parametrize(
    ("lines", "variant"),
    [
        ("% format EVT21;height=720;width=1280;endianness=legacy\n", "legacy"),
        ("% format EVT21;endianness=little;height=720;width=1280\n", ""),
        ("% evt 2.1\n% endianness legacy\n", "legacy"),
        ("% evt 2.1\n% endianness little\n", ""),
        ("% evt 2.1\n", None),
    ],
)
@pytest.mark.parametrize("label", ["evt21", "evt21-legacy"])
def test_the_byte_order_of_evt21_comes_from_the_header_else_from_the_words(
    lines: str, variant: str | None, label: str
) -> None:
    header = registry.get("evt21").header(head(lines.encode() + b"% end\n" + whole(label).data))
    assert header.variant == (label.partition("-")[2] if variant is None else variant)


def test_a_byte_order_that_is_not_read_is_refused_by_name() -> None:
    with pytest.raises(edgesnn.RecordingError, match="endianness big, expected little or legacy"):
        registry.get("evt21").header(head(b"% evt 2.1\n% endianness big\n% end\n"))


def test_a_header_ends_before_words_that_look_like_a_line() -> None:
    words = b"%\x00\x80\n\x00"
    assert raw_header.split(b"% evt 2.0\n" + words) == ({"evt": "2.0"}, 10)
    assert raw_header.split(b"% evt 2.0\n% end\n% x\n") == ({"evt": "2.0"}, 16)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Five events, then time that goes on."""
    path = tmp_path / "five.raw"
    events = np.array([(10, 3, 4, 1), (11, 5, 4, 0), (11, 6, 9, 1), (900, 3, 4, 1), (9000, 2, 2, 1)], EVENT)
    write(path, events, sensor=(128, 96), t_end_us=50_000)
    return path


def test_info_as_json(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(recording), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    digest = hashlib.sha256(edgesnn.open(recording).read().tobytes()).hexdigest()
    assert report["format"] == "evt3"
    assert report["sensor"] == [128, 96]
    assert report["extent"] == {"x": [2, 6], "y": [2, 9]}
    assert (report["events"], report["on"], report["off"], report["triggers"]) == (5, 4, 1, 0)
    assert (report["t_min_us"], report["t_max_us"], report["duration_us"]) == (10, 9000, 8990)
    assert report["t_end_us"] == 50_000 // 4096 * 4096
    assert report["rate_hz"] == pytest.approx(5 / 8990e-6)
    assert report["events_sha256"] == digest
    assert set(report["counters"].values()) == {0}
    assert report["warnings"] == []


def test_info_for_people(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(recording)]) == 0
    out = capsys.readouterr().out
    for fact in ("evt3", "128x96", "x 2-6, y 2-9", "5 (4 on, 1 off)", "all zero"):
        assert fact in out


def test_info_of_a_damaged_file(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording.write_bytes(recording.read_bytes() + b"\x07")
    assert main(["info", str(recording)]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert f"{recording}: byte " in captured.err
    assert main(["info", str(recording), "--on-corrupt", "skip", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["counters"]["truncated_bytes"] == 1
    assert report["warnings"]


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--sensor", "64"], 2), (["--format", "evt9"], 2), (["--sensor", "4x4"], 3), ([], 0)]
)
def test_info_exit_codes(recording: Path, arguments: list[str], code: int) -> None:
    assert main(["info", str(recording), *arguments]) == code


def test_packets_by_time_start_at_the_first_event(recording: Path) -> None:
    packets = list(edgesnn.open(recording).packets(duration_us=890))
    assert [packet["t"].tolist() for packet in packets] == [[10, 11, 11], [900], [9000]]


@pytest.mark.parametrize("options", [{"count": 0}, {"duration_us": -1}, {"count": 1, "duration_us": 1}])
def test_impossible_packets_are_usage_errors(recording: Path, options: dict[str, int]) -> None:
    with pytest.raises(edgesnn.UsageError):
        list(edgesnn.open(recording).packets(**options))


def test_a_recording_can_be_read_again_and_side_by_side(recording: Path) -> None:
    one = edgesnn.open(recording)
    pairs = list(zip(one.packets(count=1), one.packets(count=1), strict=True))
    assert len(pairs) == 5
    assert all((a == b).all() for a, b in pairs)


def test_import_takes_neither_numpy_nor_the_native_module() -> None:
    code = "import sys, edgesnn; print([m for m in ('numpy', 'edgesnn._native', 'torch') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_public_names_are_listed_and_an_unknown_one_is_an_attribute_error() -> None:
    assert set(edgesnn.__all__) <= set(dir(edgesnn))
    with pytest.raises(AttributeError, match="nothing_of_ours"):
        _ = edgesnn.nothing_of_ours


@pytest.mark.parametrize(
    ("lines", "camera", "sensor"),
    [
        ("# AEChip: eu.seebetter.ini.chips.davis.Davis346blue\r\n", "davis346", (346, 260)),
        ("# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n", "davis240", (240, 180)),
        ("# AEChip: eu.seebetter.ini.chips.davis.DavisRGBW640\r\n", "davis640", (640, 480)),
        ("# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n", "dvs128", (128, 128)),
        ("# HardwareInterface: DVS128 USB\r\n", "dvs128", (128, 128)),
        ("# HardwareInterface: DAVIS FX3 0002-INI\r\n", "", None),
        ("# created Thu Dec 03 14:47:00 CET 2015\r\n", "dvs128", (128, 128)),
    ],
)
def test_the_camera_of_an_aedat2_header(lines: str, camera: str, sensor: tuple[int, int] | None) -> None:
    text = f"#!AER-DAT2.0\r\n{lines}".encode()
    read = registry.get("aedat2").header(head(text + np.arange(200, dtype=">u4").tobytes(), ".aedat"))
    assert (read.variant, read.sensor, read.data_offset) == (camera, sensor, len(text))


def test_addresses_beyond_16_bits_are_of_a_davis() -> None:
    data = b"#!AER-DAT2.0\r\n" + np.full(200, 0x0DCBF000, ">u4").tobytes()
    assert registry.get("aedat2").header(head(data, ".aedat")).variant == ""


def test_an_aedat2_camera_that_is_not_read_is_named() -> None:
    with pytest.raises(edgesnn.RecordingError, match="CochleaAMS1c"):
        registry.get("aedat2").header(head(b"#!AER-DAT2.0\r\n# AEChip: a.b.CochleaAMS1c\r\n", ".aedat"))


def test_a_davis_of_unknown_size_needs_a_sensor() -> None:
    with pytest.raises(edgesnn.UsageError, match="pass --sensor"):
        edgesnn.Decoder("aedat2")


def test_a_text_header_longer_than_the_head_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    header = b"#!AER-DAT2.0\r\n# AEChip: DVS128\r\n" + b"#<entry key='bias'/>\r\n" * 10_000
    path.write_bytes(header + np.array([[0x0102, 7], [0x0304, 9]], ">u4").tobytes())
    recording = edgesnn.open(path)
    assert recording.data_offset == len(header)
    assert recording.read().tolist() == [(7, 126, 126, 1), (9, 125, 124, 1)]


def test_a_text_header_without_an_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(b"#!AER-DAT3.1\r\n" + b"# more\r\n" * 700_000)
    with pytest.raises(edgesnn.RecordingError, match="header has no end"):
        edgesnn.open(path)


@pytest.mark.parametrize(("source", "sensor"), [("DVS128", (128, 128)), ("DAVIS240C", (240, 180)), ("Other", None)])
def test_the_sensor_of_an_aedat31_header(source: str, sensor: tuple[int, int] | None) -> None:
    text = f"#!AER-DAT3.1\r\n#Format: RAW\r\n#-Source 0: DVS128\r\n#Source 1: {source}\r\n#!END-HEADER\r\n".encode()
    read = registry.get("aedat31").header(head(text + bytes(28), ".aedat"))
    assert (read.sensor, read.data_offset) == (sensor, len(text))


def test_packets_longer_than_any_recording_are_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t,x,y,p\n1,2,3,1\n900,2,3,1\n")
    recording = edgesnn.open(path)
    assert [len(packet) for packet in recording.packets(duration_us=1 << 70)] == [2]
    assert [len(packet) for packet in recording.packets(count=1 << 70)] == [2]


def test_a_quiet_stretch_is_not_called_damage(tmp_path: Path) -> None:
    """As other writers leave it: TIME_HIGH stands only where there are events."""
    words = np.array([0x80000000, 0x00000800, 0x80000100, 0x00000800, 0x80000300, 0x00000800], "<u4")
    path = tmp_path / "a.raw"
    path.write_bytes(b"% evt 2.0\n% geometry 320x240\n% end\n" + words.tobytes())
    recording = edgesnn.open(path)
    assert recording.read()["t"].tolist() == [0, 0x100 << 6, 0x300 << 6]
    assert recording.warnings == ["its times leap or step back, and are given as they are: time_resyncs 2"]
