"""The systemd unit and its drop-ins are what systemd understands, closed as far as devices allow, and say what the
service does; rules for cameras, groups and files beside it."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNIT = DEPLOY / "edgesnn.service"
DROP_INS = sorted((DEPLOY / "edgesnn.service.d").glob("*.conf"))
MOST_EXPOSED = 20  # tenths; units of Debian's mosquitto and telegraf have more than 90
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def settings() -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return dict(parser["Service"])


def with_drop_ins(names: list[Path]) -> str:
    """Return one text: to systemd a drop-in is what follows the unit."""
    return "\n".join(path.read_text() for path in (UNIT, *names))


SETS = [[], *([one] for one in DROP_INS), DROP_INS]
NAMES = ["alone", *(one.stem for one in DROP_INS), "all"]


@needs_systemd
@pytest.mark.parametrize("drop_ins", SETS, ids=NAMES)
def test_it_is_a_unit(tmp_path, drop_ins):
    path = tmp_path / UNIT.name
    path.write_text(with_drop_ins(drop_ins).replace("/usr/bin/edgesnn", shutil.which("true") or "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=60)
    assert [line for line in done.stderr.splitlines() if UNIT.name in line] == []


@needs_systemd
@pytest.mark.parametrize("drop_ins", SETS, ids=NAMES)
def test_it_is_closed_as_far_as_devices_allow(tmp_path, drop_ins):
    path = tmp_path / UNIT.name
    path.write_text(with_drop_ins(drop_ins))
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", "--no-pager", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "unrecognized option" in done.stderr or "Unknown" in done.stderr:
        pytest.skip("this systemd-analyze knows no --offline (it came with systemd 250)")
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_it_fits_the_service():
    found = settings()
    assert found["Type"] == "notify"
    assert found["ExecStart"] == "/usr/bin/edgesnn run -c /etc/edgesnn/config.toml"
    assert found["ExecReload"].startswith("/bin/kill -HUP")
    assert found["RestartPreventExitStatus"] == "5"
    assert int(found["WatchdogSec"]) > 10  # a stream may take so long before it is stalled
    assert int(found["TimeoutStopSec"]) > 15  # a stream's end, and the time of outbox.drain
    assert found["StateDirectory"] == "edgesnn"


def test_a_call_that_is_not_allowed_is_an_error_and_no_death():
    """The clock is read with adjtimex(2), which is no call of @system-service."""
    assert settings()["SystemCallErrorNumber"] == "EPERM"
    filters = [line for line in UNIT.read_text().splitlines() if line.startswith("SystemCallFilter=")]
    assert filters[-1] == "SystemCallFilter=adjtimex clock_adjtime"


def test_every_rule_gives_a_camera_to_a_group_and_to_nobody_else():
    """`udevadm verify` came with systemd 254: the grammar of what is used here."""
    lines = (DEPLOY / "udev" / "60-edgesnn-cameras.rules").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    for rule in rules:
        keys = rule.split(", ")
        assert all(re.fullmatch(r'[A-Z]+(\{\w+\})?(==|!=|\+=|=)"[^"]+"', key) for key in keys), rule
    cameras = [rule for rule in rules if "idVendor" in rule]
    assert len(cameras) == 4
    for rule in cameras:
        assert rule.endswith('MODE="0660", GROUP="plugdev", TAG+="uaccess"')
        assert re.search(r'idVendor\}=="[0-9a-f]{4}", ATTR\{idProduct\}=="', rule)
    labels = re.findall(r'(GOTO|LABEL)="(\w+)"', "\n".join(rules))
    assert {name for kind, name in labels if kind == "GOTO"} == {name for kind, name in labels if kind == "LABEL"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to a group")
@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="systemd-sysusers is not installed")
def test_the_energy_counters_belong_to_a_group_of_their_own(tmp_path):
    counter = tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj"
    counter.parent.mkdir(parents=True)
    counter.write_text("1\n")
    counter.chmod(0o400)
    (tmp_path / "etc").mkdir()
    for command, name in (("systemd-sysusers", "sysusers.d"), ("systemd-tmpfiles", "tmpfiles.d")):
        more = ["--create"] if command == "systemd-tmpfiles" else []
        path = str(DEPLOY / name / "edgesnn.conf")
        done = subprocess.run([command, f"--root={tmp_path}", *more, path], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    number = re.search(r"^edgesnn-power:[^:]*:(\d+)", (tmp_path / "etc" / "group").read_text(), re.MULTILINE)
    assert number is not None
    assert (counter.stat().st_mode & 0o777, counter.stat().st_gid) == (0o440, int(number[1]))
    assert (tmp_path / "etc" / "edgesnn").is_dir()
