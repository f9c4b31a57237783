"""The systemd unit is one that systemd understands, closed as far as cameras allow, and says what the service does."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "edgesnn.service"
MOST_EXPOSED = 20  # tenths; units of Debian's mosquitto and telegraf have more than 90
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def settings() -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return dict(parser["Service"])


@needs_systemd
def test_it_is_a_unit(tmp_path):
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/usr/bin/edgesnn", shutil.which("true") or "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=60)
    assert [line for line in done.stderr.splitlines() if UNIT.name in line] == []


@needs_systemd
def test_it_is_closed_as_far_as_cameras_allow():
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", "--no-pager", str(UNIT)]
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
