"""The Debian package in a system of its own: installed, run, updated, returned from, purged.

The system is a debootstrap of Debian 12 in build/, made once; its `systemctl` is a script that begins and ends the
service as the unit says, since nothing runs as init there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesnn.publish.broker import find_mosquitto, free_port
from tests.brokers import KillableBroker
from tests.daemon.test_service import wait_for

ROOT = Path(__file__).resolve().parents[2]
UPDATE = ROOT / "deploy" / "deb" / "edgesnn-update"
BASE = ROOT / "build" / "debian-12"
PYTHON = "/usr/bin/python3.11"
CALLS = "var/log/systemd.calls"
LOGGED = f"""#!/bin/sh
echo "$(basename "$0") $*" >>/{CALLS}
"""
EXTRAS = ("daemon", "camera", "events")
"""Whose packages are carried, but for those of cameras and formats that docs/packages.md names."""
MAIN = """import subprocess, sys
import both, extra

def main(of="command"):
    print(__file__, both.said, extra.said, flush=True)
    if of == "command":
        child = "import edgesnn.cli.main as one; one.main('child')"
        subprocess.run([sys.executable, "-c", child], check=True, cwd="/")
"""
SYSTEMCTL = f"""{LOGGED}
# Begins and ends the service, as systemd would.
"""
SYSTEMCTL += """
end() {
    [ ! -e /run/edgesnn.pid ] || kill "$(cat /run/edgesnn.pid)" 2>/dev/null || true
    rm -f /run/edgesnn.pid
    sleep 1
}
case "$1" in
restart)
    end
    mkdir -p /var/lib/edgesnn
    cd /var/lib/edgesnn
    export STATE_DIRECTORY=/var/lib/edgesnn
    setsid /usr/bin/edgesnn run -c /etc/edgesnn/config.toml >>/var/log/edgesnn.log 2>&1 </dev/null &
    echo $! >/run/edgesnn.pid ;;
stop | disable) end ;;
esac
exit 0
"""


def test_what_the_update_refuses_is_one_line():
    """Before anything of the system is touched."""
    for arguments, said in (
        ([], "usage: edgesnn-update"),
        (["--what", "a.deb"], "no such option: --what"),
        (["a.deb", "b.deb"], "one package at a time: b.deb"),
        (["--wait", "soon", "a.deb"], "--wait: found 'soon', expected whole seconds"),
        (["--previous"], "--previous needs a value"),
        (["--url", "127.0.0.1:9469/readyz", "a.deb"], "--url: found '127.0.0.1:9469/readyz', expected one that begins"),
    ):
        done = subprocess.run(["sh", UPDATE, *arguments], capture_output=True, text=True, timeout=30)
        assert done.returncode == 2
        assert said in done.stderr.splitlines()[0]
    helped = subprocess.run(["sh", UPDATE, "--help"], capture_output=True, text=True, timeout=30)
    assert helped.returncode == 0
    assert "exit codes: 0 updated" in helped.stdout


def test_every_requirement_of_the_package_is_locked_by_its_hash():
    lines = (ROOT / "deploy" / "deb" / "requirements.txt").read_text().replace("\\\n", " ").splitlines()
    locked = {line.split("==")[0]: line for line in lines if line and not line.startswith("#")}
    wanted = set(re.findall(r"^([a-z0-9-]+)", (ROOT / "deploy" / "deb" / "requirements.in").read_text(), re.MULTILINE))
    assert wanted <= set(locked)
    assert all("--hash=sha256:" in line for line in locked.values())
    project = (ROOT / "pyproject.toml").read_text()
    (needs,) = re.findall(r"^dependencies = \[(.*)\]$", project, re.MULTILINE)
    extras = dict(re.findall(r"^(daemon|camera|events) = \[(.*)\]$", project, re.MULTILINE))
    required, service, camera, events = (
        set(re.findall(r'"([A-Za-z0-9-]+)[^"]*"', text)) for text in (needs, *map(extras.get, EXTRAS))
    )
    assert wanted == required | service | (camera - {"dv-processing"}) | (events - {"h5py", "hdf5plugin"})


def test_the_command_finds_what_was_added_and_first_what_is_carried(tmp_path):
    site, added = tmp_path / "site", tmp_path / "added"
    for folder, text in ((site, "carried"), (added, "added")):
        (folder / "edgesnn" / "cli").mkdir(parents=True)
        for name, content in (("__init__", ""), ("cli/__init__", ""), ("cli/main", MAIN)):
            (folder / "edgesnn" / f"{name}.py").write_text(content)
        (folder / "both.py").write_text(f"said = {text!r}")
    (added / "extra.py").write_text("said = 'extra'")
    launcher = (ROOT / "deploy" / "deb" / "edgesnn").read_text()
    for place, folder in (("/usr/lib/edgesnn", site), ("/usr/local/lib/edgesnn", added)):
        assert launcher.count(f'"{place}"') == 1
        launcher = launcher.replace(f'"{place}"', repr(str(folder)))
    command = tmp_path / "edgesnn"
    command.write_text(launcher)
    variables = {**os.environ, "PYTHONPATH": str(tmp_path / "the user's")}
    said = run(sys.executable, "-I", command, env=variables).split()
    main = site / "edgesnn" / "cli" / "main.py"
    assert said == [str(main), "carried", "extra"] * 2, "of the command, and of a process that it starts"


def run(*command: str | Path, timeout_s: float = 900, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL, env=env)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Board:
    """A system apart, whose service publishes to a broker of the test."""

    def __init__(self, root: Path, broker: KillableBroker) -> None:
        self.root, self.port = root, free_port()
        self.broker = broker

    def call(self, *command: str, code: int | None = 0) -> str:
        done = subprocess.run(
            ["chroot", self.root, *command], capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL
        )
        assert code is None or done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def configure(self) -> None:
        text = f"""[mqtt]\nurl = "{self.broker.url}"\n[http]\nport = {self.port}\n
[[stream]]\nname = "gate"\nsource = "udp://127.0.0.1:{free_port()}?format=evt3&sensor=128x128"\nmodel = "gestures"\n"""
        self.text = text
        (self.root / "etc/edgesnn/config.toml").write_text(text)

    def update(self, package: Path, *options: str, code: int) -> str:
        shutil.copy(package, self.root / "root")
        return self.call("edgesnn-update", "--wait", "25", *options, f"/root/{package.name}", code=code)

    def called(self) -> list[str]:
        """Return what systemd and udev have been asked since the last time."""
        calls = self.root / CALLS
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.write_text("")
        return lines

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    @property
    def version(self) -> str:
        found = self.call("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", "edgesnn")
        return found.removeprefix("installed ")


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    if not (BASE / "bin").exists():
        shutil.rmtree(BASE, ignore_errors=True)
        packages = "--include=python3,python3.11,libpython3.11-stdlib,libstdc++6"
        run("debootstrap", "--variant=minbase", packages, "bookworm", BASE)
    root = tmp_path / "root"
    run("cp", "-a", BASE, root)
    # as on a system that systemd began, whose commands say what they are asked
    (root / "run/systemd/system").mkdir(parents=True)
    for name in ("systemctl", "systemd-sysusers", "systemd-tmpfiles", "udevadm"):
        command = root / "usr/bin" / name
        command.write_text(SYSTEMCTL if name == "systemctl" else LOGGED)
        command.chmod(0o755)
    run("mount", "--bind", "/dev", root / "dev")
    run("mount", "-t", "proc", "proc", root / "proc")
    try:
        with KillableBroker("mosquitto", tmp_path) as broker:
            found = Board(root, broker)
            yield found
            found.call("systemctl", "stop", code=None)
    finally:
        for process in Path("/proc").glob("[0-9]*"):  # of this system alone
            try:
                if os.readlink(process / "root") == str(root):
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                continue
        for folder in ("proc", "dev"):
            subprocess.run(["umount", "-l", root / folder], check=False)


CONFIGURED = [
    "systemd-sysusers edgesnn.conf",
    "systemd-tmpfiles --create edgesnn.conf",
    "udevadm control --reload",
    "systemctl daemon-reload",
]
"""What postinst asks for, in this order."""
RED = """#!/usr/bin/python3.11
# A service that runs and is never ready.
import http.server, re, sys

class Red(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(503)

port = int(re.search(r"^port = ([0-9]+)$", open("/etc/edgesnn/config.toml").read(), re.MULTILINE)[1])
if "--print-url" in sys.argv:
    sys.exit(print(f"http://127.0.0.1:{port}"))
http.server.HTTPServer(("127.0.0.1", port), Red).serve_forever()
"""


def changed(package: Path, folder: Path, version: str, *, red: bool = False) -> Path:
    """Return the package under another version, with another configuration; of a red one the service is never ready."""
    tree = folder / version
    run("dpkg-deb", "-R", package, tree)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(), flags=re.MULTILINE))
    with (tree / "etc/edgesnn/config.toml").open("a") as file:
        file.write(f"# of {version}\n")
    if red:
        (tree / "usr/bin/edgesnn").write_text(RED)
    made = folder / f"edgesnn_{version}.deb"
    run("dpkg-deb", "-Znone", "--build", "--root-owner-group", tree, made)
    return made


@pytest.mark.full
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a system apart (chroot, mount)")
@pytest.mark.skipif(not shutil.which("debootstrap"), reason="debootstrap is not installed")
@pytest.mark.skipif(
    not Path(PYTHON).exists(), reason="the package is made for Debian 12's Python 3.11, which is absent"
)
@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
@pytest.mark.timeout(1800)
def test_it_is_installed_updated_returned_from_and_purged(board, tmp_path):
    """What an operator does, in this order, on one system."""
    assert sys.version_info[:2] == (3, 11), "the tests' Python is to be that of Debian 12"
    run(sys.executable, ROOT / "tools" / "make_debs.py", tmp_path, sys.executable)
    (first,) = tmp_path.glob("*.deb")
    shutil.copy(first, board.root / "root")

    board.call("dpkg", "-i", f"/root/{first.name}")
    assert board.called() == [*CONFIGURED, "systemctl try-restart edgesnn.service"]
    assert (board.root / "usr/lib/systemd/system/edgesnn.service").is_file()
    before = board.version
    board.configure()
    assert board.call("edgesnn", "run", "-c", "/etc/edgesnn/config.toml", "--check")
    assert json.loads(board.call("edgesnn", "doctor", "--json"))["native"]["available"] is True
    board.call("systemctl", "restart", "edgesnn.service")
    wait_for(board.ready, 60, "the service of the package does not become ready")

    second = changed(first, tmp_path, "9.1")
    board.called()
    said = board.update(second, code=2)
    assert board.called() == []
    assert "name the package that is installed with --previous" in said
    assert "ready with 9.1" in board.update(second, "--previous", f"/root/{first.name}", code=0)
    assert (board.version, board.ready()) == ("9.1", True)
    updated = ["systemctl daemon-reload", *CONFIGURED]  # of postrm and postinst: the update itself begins the service
    assert board.called() == [
        *updated, "systemctl reset-failed edgesnn.service", "systemctl restart edgesnn.service"
    ]  # fmt: skip
    assert (board.root / "etc/edgesnn/config.toml").read_text() == board.text, "an update keeps it"

    third = changed(first, tmp_path, "9.2", red=True)
    said = board.update(third, code=1)
    assert "returning to 9.1" in said
    assert "ready with 9.1" in said
    assert (board.version, board.ready()) == ("9.1", True)

    # what an update that a power cut ended leaves (test_update_killed.py has all of it)
    shutil.copy(second, board.root / "var/cache/edgesnn/new.deb")
    (board.root / "var/cache/edgesnn/updating").write_text("9.3\n")
    assert "was interrupted: edgesnn-update --return" in board.update(second, code=2)
    for version in ("9.1", before, "9.1"):
        assert f"returning to {version}" in board.call("edgesnn-update", "--return", "--wait", "25")
        assert (board.version, board.ready()) == (version, True)

    board.called()
    secret = board.root / "etc/edgesnn/mqtt-password"
    secret.write_text("the operator's\n")
    board.call("dpkg", "--purge", "edgesnn")
    assert board.called() == ["systemctl disable --now edgesnn.service", *["systemctl daemon-reload"] * 2]
    assert not board.ready()
    assert list(secret.parent.iterdir()) == [secret], "what the package did not bring stays"
    places = (
        "usr/lib/edgesnn",
        "var/lib/edgesnn",
        "var/cache/edgesnn",
        "usr/bin/edgesnn",
        "usr/lib/systemd/system/edgesnn.service",
    )
    assert [name for name in places if (board.root / name).exists()] == []

    secret.unlink()
    board.call("dpkg", "-i", f"/root/{first.name}")
    board.call("dpkg", "--purge", "edgesnn")
    assert not secret.parent.exists()
