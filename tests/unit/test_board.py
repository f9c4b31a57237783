"""The board's sensors, on trees of files as the kernel makes them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edgesnn.board import Board
from edgesnn.board import board as board_module
from edgesnn.cli.main import main
from tests.sysfs import orin, server, write

CAP = "class/powercap/intel-rapl"


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_jetson_tells_power_heat_and_over_currents(tmp_path, clock):
    board = Board(orin(tmp_path), clock=clock)
    found = board.look()
    assert found.power_w == {"VDD_IN": 7.6, "VDD_CPU_GPU_CV": 1.9}
    assert (board.whole, found.total_w) == (["VDD_IN"], 7.6)
    assert found.temperature_c == {"cpu-thermal": 48.5}
    assert found.throttle_events == {"oc1": 2, "oc3": 0}
    assert found.slowed_by == {"cpufreq-cpu0": 0}
    assert board.silent == {}


def test_the_energy_of_a_rail_is_what_lies_below_the_line_between_looks(tmp_path, clock):
    board = Board(orin(tmp_path), clock=clock)
    board.look()
    for step_s, milliamperes in ((1.0, 600), (2.0, 200)):
        clock.now_s += step_s
        write(tmp_path, {"class/hwmon/hwmon4/curr1_input": milliamperes})
        found = board.look()
    # 7.6 to 11.4 W in 1 s, 11.4 to 3.8 W in 2 s
    assert found.energy_j["VDD_IN"] == pytest.approx(9.5 + 15.2)
    assert found.total_j == pytest.approx(24.7)


def test_a_counter_tells_exactly_what_it_counted_also_where_it_begins_anew(tmp_path, clock):
    board = Board(server(tmp_path, energy_uj=999_000_000), clock=clock)
    first = board.look()
    assert (board.rails, board.whole) == (["package-0", "package-1"], ["package-0", "package-1"])
    assert (first.power_w, first.total_w) == ({}, None)
    clock.now_s += 2.0
    # to the end 999,999 and the step over it 1, then 4,000,000
    write(tmp_path, {f"{CAP}:0/energy_uj": 4_000_000, f"{CAP}:1/energy_uj": 999_500_000})
    found = board.look()
    assert found.energy_j == {"package-0": pytest.approx(5.0), "package-1": pytest.approx(0.5)}
    assert found.power_w == {"package-0": pytest.approx(2.5), "package-1": pytest.approx(0.25)}
    assert found.total_w == pytest.approx(2.75)
    assert found.throttle_events == {"core": 7, "package": 9}


def test_over_a_time_without_looks_nothing_is_counted(tmp_path, clock):
    board = Board(orin(tmp_path), clock=clock)
    board.look()
    clock.now_s += 11.0
    found = board.look()
    assert (found.energy_j, found.total_w, found.total_j) == ({}, 7.6, None)
    clock.now_s += 1.0
    assert board.look().total_j == pytest.approx(7.6)


@pytest.mark.parametrize("value", ["", "abc", "12abc", "1e9", "9" * 40, "-", "\x1b[2J", "99999999999", "nan"])
def test_a_value_that_is_none_is_not_known(tmp_path, clock, value):
    board = Board(orin(tmp_path), clock=clock)
    write(tmp_path, {"class/hwmon/hwmon4/curr1_input": value, "class/thermal/thermal_zone0/temp": value})
    found = board.look()
    assert "VDD_IN" not in found.power_w
    assert found.total_w is None
    assert found.power_w["VDD_CPU_GPU_CV"] == 1.9
    assert found.temperature_c == {}


def test_files_that_go_away_come_back_or_are_pipes_are_not_known_and_not_waited_for(tmp_path, clock):
    board = Board(orin(tmp_path), clock=clock)
    board.look()
    volts = tmp_path / "class/hwmon/hwmon4/in1_input"
    volts.unlink()
    clock.now_s += 1.0
    assert board.look().total_w is None
    os.mkfifo(volts)
    clock.now_s += 1.0
    assert board.look().total_w is None
    volts.unlink()
    write(tmp_path, {"class/hwmon/hwmon4/in1_input": 10_000})
    clock.now_s += 1.0
    found = board.look()
    assert (found.total_w, found.total_j) == (4.0, None)
    assert "VDD_IN" not in found.energy_j


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: None, "no such file or directory"),
        (os.mkfifo, "no regular file"),
        (os.mkdir, "no regular file"),
        (lambda path: os.symlink(path, path), "too many levels of symbolic links"),
        (lambda path: os.symlink("x" * 300, path), "file name too long"),
        (lambda path: path.write_text("12 mA"), "'12 mA' is no whole number of at most 18 digits"),
        (lambda path: path.write_bytes(b"\0" * 5_000_000), "is no whole number of at most 18 digits"),
    ],
)
def test_why_a_rail_tells_nothing_is_said_by_its_file(tmp_path, clock, spoil, why):
    board = Board(orin(tmp_path), clock=clock)
    current = tmp_path / "class/hwmon/hwmon4/curr1_input"
    current.unlink()
    spoil(current)
    board.look()
    assert list(board.silent) == ["VDD_IN"]
    assert board.silent["VDD_IN"].startswith(f"{current}: ")
    assert board.silent["VDD_IN"].endswith(why)


@pytest.mark.parametrize("spoil", [lambda path: os.symlink("x" * 300, path), lambda path: os.symlink(path, path)])
def test_a_file_that_nobody_can_open_is_a_silent_rail_from_the_start(tmp_path, clock, spoil):
    spoilt = {
        "VDD_IN": orin(tmp_path) / "class/hwmon/hwmon4/in1_input",
        "package-0": server(tmp_path) / f"{CAP}:0/energy_uj",
    }
    for file in spoilt.values():
        file.unlink()
        spoil(file)
    board = Board(tmp_path, clock=clock)
    assert board.look().power_w == {"VDD_CPU_GPU_CV": 1.9}
    assert set(board.silent) == set(spoilt)
    for rail, file in spoilt.items():
        assert board.silent[rail].startswith(f"{file}: ")


@pytest.mark.parametrize(
    ("name", "rail"),
    [
        ("class/hwmon/hwmon4/in1_input", "VDD_IN"),
        ("class/hwmon/hwmon4/curr1_input", "VDD_IN"),
        (f"{CAP}:0/energy_uj", "package-0"),
        (f"{CAP}:0/max_energy_range_uj", "package-0"),
    ],
)
def test_a_rail_that_lacks_one_of_its_files_from_the_start_says_which(tmp_path, clock, name, rail):
    (orin(server(tmp_path)) / name).unlink()
    board = Board(tmp_path, clock=clock)
    for _ in range(2):
        found = board.look()
        assert rail not in {**found.power_w, **found.energy_j}
        assert board.silent == {rail: f"{tmp_path / name}: no such file or directory"}
        clock.now_s += 1.0
    assert (board.whole, found.total_w) == (["VDD_IN"], None if rail == "VDD_IN" else 7.6)


def test_a_counter_whose_end_is_no_energy_is_silent(tmp_path, clock):
    board = Board(write(server(tmp_path), {f"{CAP}:0/max_energy_range_uj": 0}), clock=clock)
    assert "package-0" not in board.look().energy_j
    zone = tmp_path / f"{CAP}:0"
    assert board.silent == {"package-0": f"{zone}/energy_uj, {zone}/max_energy_range_uj: an impossible value"}


def test_what_has_none_of_its_files_is_no_rail(tmp_path, clock):
    orin(server(tmp_path))
    for name in ("in1_input", "curr1_input"):
        (tmp_path / "class/hwmon/hwmon4" / name).unlink()
    for name in ("energy_uj", "max_energy_range_uj"):
        (tmp_path / f"{CAP}:0" / name).unlink()
    board = Board(tmp_path, clock=clock)
    board.look()
    assert (board.rails, board.silent) == (["VDD_CPU_GPU_CV", "package-1"], {})


def test_an_impossible_value_is_said(tmp_path, clock):
    board = Board(write(server(tmp_path), {f"{CAP}:0/energy_uj": 1_000_000_000}), clock=clock)
    assert board.look().energy_j == {}
    zone = tmp_path / f"{CAP}:0"
    assert board.silent == {"package-0": f"{zone}/energy_uj, {zone}/max_energy_range_uj: an impossible value"}


def test_a_label_obeys_no_terminal_and_two_rails_of_one_name_are_two(tmp_path, clock):
    meter = "class/hwmon/hwmon4"
    label = "VDD\x1b]0;\u202ex" + "y" * 300
    write(orin(tmp_path), {f"{meter}/in1_label": label, f"{meter}/in2_label": label})
    one, two = Board(tmp_path, clock=clock).rails
    assert one.isprintable()
    assert len(one) <= 64
    assert two == f"{one} 2"


def test_other_rails_may_be_the_whole_and_all_of_them_must_be_there(tmp_path, clock):
    board = Board(orin(tmp_path), whole=["VDD_CPU_GPU_CV"], clock=clock)
    assert board.look().total_w == 1.9
    assert Board(tmp_path, whole=["VDD_IN", "VDD_CPU_GPU_CV"], clock=clock).look().total_w == 9.5
    assert Board(tmp_path, whole=["VDD_IN", "VDD_NONE"], clock=clock).whole == []


def test_a_channel_that_is_not_connected_is_no_rail(tmp_path, clock):
    write(orin(tmp_path), {"class/hwmon/hwmon4/in2_label": "NC"})
    assert Board(tmp_path, clock=clock).rails == ["VDD_IN"]


def test_of_one_type_none_has_another_one_s_name_when_that_tells_nothing(tmp_path, clock):
    thermal = "class/thermal"
    for number, celsius in enumerate((40, 90, 60)):
        write(tmp_path, {f"{thermal}/thermal_zone{number}/type": "acpitz"})
        write(tmp_path, {f"{thermal}/thermal_zone{number}/temp": celsius * 1000})
        write(tmp_path, {f"{thermal}/cooling_device{number}/type": "Processor"})
        write(tmp_path, {f"{thermal}/cooling_device{number}/cur_state": number})
    board = Board(tmp_path, clock=clock)
    first = board.look()
    assert first.temperature_c == {"acpitz": 40, "acpitz 1": 90, "acpitz 2": 60}
    assert first.slowed_by == {"Processor": 0, "Processor 1": 1, "Processor 2": 2}
    write(tmp_path, {f"{thermal}/thermal_zone0/temp": -273_000, f"{thermal}/cooling_device1/cur_state": ""})
    then = board.look()
    assert then.temperature_c == {"acpitz 1": 90, "acpitz 2": 60}
    assert then.slowed_by == {"Processor": 0, "Processor 2": 2}


def test_a_type_that_looks_like_another_zone_s_name_hides_none(tmp_path, clock):
    for number, kind in enumerate(("a 2", "a", "a")):
        write(tmp_path, {f"class/thermal/thermal_zone{number}/type": kind})
        write(tmp_path, {f"class/thermal/thermal_zone{number}/temp": number * 1000})
    assert Board(tmp_path, clock=clock).look().temperature_c == {"a 2": 0, "a": 1, "a 2 2": 2}


def test_a_meter_of_watts_and_a_machine_without_anything(tmp_path, clock):
    assert Board(tmp_path / "none", clock=clock).look().rounded()["power_w"] == {}
    meter = "class/hwmon/hwmon0"
    write(tmp_path, {f"{meter}/name": "ina238", f"{meter}/power1_input": 3_500_000})
    board = Board(tmp_path, clock=clock)
    assert board.look().power_w == {"ina238 1": 3.5}
    assert board.look().total_w is None  # what of it is the board nobody says
    write(tmp_path, {f"{meter}/label": "VIN"})
    assert Board(tmp_path, whole=["VIN 1"], clock=clock).look().total_w == 3.5


def test_the_mean_power_is_that_of_the_energy_between(tmp_path, clock):
    board = Board(server(tmp_path), clock=clock)

    def sleep(seconds: float) -> None:
        clock.now_s += seconds
        write(tmp_path, {f"{CAP}:0/energy_uj": round((clock.now_s - 1000.0) * 3e6)})

    found = board.mean_power_w(5.0, sleep)
    assert found["package-0"] == pytest.approx(3.0, rel=1e-6)
    assert found["package-1"] == pytest.approx(0.0)


def test_a_rail_that_was_not_known_for_a_while_has_no_mean(tmp_path, clock):
    board = Board(orin(tmp_path), clock=clock)
    current = Path(tmp_path / "class/hwmon/hwmon4/curr1_input")

    def sleep(seconds: float) -> None:
        clock.now_s += seconds
        current.write_text("" if 1002 < clock.now_s < 1003 else "400\n")

    assert board.mean_power_w(5.0, sleep) == {"VDD_CPU_GPU_CV": pytest.approx(1.9)}


def test_doctor_tells_what_the_board_has(capsys, monkeypatch, tmp_path):
    (orin(tmp_path) / "class/hwmon/hwmon4/curr2_input").write_text("?")
    monkeypatch.setattr(board_module, "SYSFS", tmp_path)
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["board"] == {
        "rails": ["VDD_IN", "VDD_CPU_GPU_CV"],
        "whole": ["VDD_IN"],
        "silent": {
            "VDD_CPU_GPU_CV": f"{tmp_path}/class/hwmon/hwmon4/curr2_input: '?' is no whole number of at most 18 digits"
        },
        "temperature_c": {"cpu-thermal": 48.5},
        "throttle_events": {"oc1": 2, "oc3": 0},
        "slowed_by": {"cpufreq-cpu0": 0},
        "mean_power_w": None,
    }
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "power rails: VDD_IN, VDD_CPU_GPU_CV (the whole board: VDD_IN)" in said
    assert f"rail VDD_CPU_GPU_CV has no power: {tmp_path}/class/hwmon/hwmon4/curr2_input: '?' is no whole" in said


def test_a_root_that_no_path_can_be_has_nothing():
    assert Board(Path("/sys\0")).look().rounded()["power_w"] == {}


@pytest.mark.parametrize("value", ["60", "0.1s", "2h", "x"])
def test_doctor_refuses_a_time_that_it_cannot_measure_for(value, capsys):
    assert main(["doctor", "--power", value]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "--power" in said[0]
