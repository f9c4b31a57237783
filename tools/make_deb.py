"""Makes a Debian package of a wheel, with an environment of its own; make_debs.py calls it for each Python.

Usage: python tools/make_deb.py WHEEL OUT     python: of the version that the wheel is for

One package for each Python, since the native module and numpy are of one. What it needs besides Python is in it, of the
versions and hashes of deploy/deb/requirements.txt: nothing of it meets the packages of the system, and no board asks an
index.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
"""Of what is carried; the first needs the newest C library."""
SCRIPTS = ("postinst", "prerm", "postrm")
EXAMPLES = ("examples", "edgesnn.service.d", "observability")


def main() -> int:
    """Return 0 where it is made."""
    if len(sys.argv) != 3:
        raise SystemExit("usage: make_deb.py WHEEL OUT")
    wheel, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    found = re.fullmatch(r"edgesnn-([0-9a-z.]+)-cp3(\d+)-cp3\d+-.*_(x86_64|aarch64)\.whl", wheel.name)
    if found is None or not wheel.is_file():
        print(f"make deb: {wheel}: no wheel of edgesnn for CPython and Linux", file=sys.stderr)
        return 1
    version, minor, machine = found[1], int(found[2]), found[3]
    systems = re.findall(r"manylinux_2_(\d+)_", wheel.name)
    if not systems:
        said = "no manylinux tag, so the C library that it needs is not known; make deb tags it, as make wheels does"
        print(f"make deb: {wheel}: {said}", file=sys.stderr)
        return 1
    if sys.version_info[:2] != (3, minor):
        print(
            f"make deb: found Python {sys.version.split()[0]}, expected 3.{minor} as of {wheel.name}", file=sys.stderr
        )
        return 1
    name = f"edgesnn_{version}~py3{minor}_{MACHINES[machine]}.deb"
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        tree.mkdir(mode=0o755)
        fill(tree, wheel, minor, machine)
        control(tree, f"{version}~py3{minor}", minor, MACHINES[machine], libc(systems))
        out.mkdir(parents=True, exist_ok=True)
        run("dpkg-deb", "--build", "--root-owner-group", tree, out / name)
    print(f"{(out / name).stat().st_size / 1e6:.1f} MB  {out / name}")
    return 0


def fill(tree: Path, wheel: Path, minor: int, machine: str) -> None:
    """Put the files where they belong."""
    site = tree / "usr/lib/edgesnn"
    install = (sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--no-deps", "--target", site)
    platforms = [f"--platform={platform}_{machine}" for platform in PLATFORMS]
    locked = ("--require-hashes", "-r", DEPLOY / "deb" / "requirements.txt")
    run(*install, "--only-binary=:all:", *platforms, "--implementation=cp", f"--python-version=3.{minor}", *locked)
    unpack = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])"
    run(sys.executable, "-c", unpack, wheel, site)
    shutil.rmtree(site / "bin", ignore_errors=True)
    run(sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", site)
    command = (DEPLOY / "deb" / "edgesnn").read_text().replace("PYTHON", f"python3.{minor}", 1)
    files = {
        "usr/bin/edgesnn": command,
        "usr/sbin/edgesnn-update": (DEPLOY / "deb" / "edgesnn-update").read_text(),
        "usr/lib/systemd/system/edgesnn.service": (DEPLOY / "edgesnn.service").read_text(),
        "usr/lib/udev/rules.d/60-edgesnn-cameras.rules": (DEPLOY / "udev" / "60-edgesnn-cameras.rules").read_text(),
        "usr/lib/sysusers.d/edgesnn.conf": (DEPLOY / "sysusers.d" / "edgesnn.conf").read_text(),
        "usr/lib/tmpfiles.d/edgesnn.conf": (DEPLOY / "tmpfiles.d" / "edgesnn.conf").read_text(),
        "etc/edgesnn/config.toml": (DEPLOY / "deb" / "config.toml").read_text(),
        "usr/share/doc/edgesnn/copyright": (ROOT / "LICENSE").read_text(),
        "usr/share/doc/edgesnn/CHANGELOG.md": (ROOT / "CHANGELOG.md").read_text(),
    }
    for where, text in files.items():
        path = tree / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if "bin/" in where else 0o644)
    for folder in EXAMPLES:
        shutil.copytree(DEPLOY / folder, tree / "usr/share/doc/edgesnn" / folder)


def libc(systems: list[str]) -> str:
    """Return the C library that is needed: by the wheel, whose tag says for which it is, and by what is carried."""
    carried = PLATFORMS[0].removeprefix("manylinux_2_")
    return f"2.{max(min(map(int, systems)), int(carried))}"


def control(tree: Path, version: str, minor: int, architecture: str, libc: str) -> None:
    """Write what dpkg reads."""
    size_kb = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 1024
    folder = tree / "DEBIAN"
    folder.mkdir()
    (folder / "control").write_text(
        f"""Package: edgesnn
Version: {version}
Architecture: {architecture}
Maintainer: The edgesnn founders <edgesnn@localhost>
Depends: python3, python3.{minor}, libstdc++6, libc6 (>= {libc})
Recommends: mosquitto
Section: science
Priority: optional
Installed-Size: {size_kb}
Description: event-camera and streaming edge runtime
 Runs spiking models on event-camera streams and lines of logs, step by step,
 and publishes what they see over MQTT. For Python 3.{minor}.
"""
    )
    (folder / "conffiles").write_text("/etc/edgesnn/config.toml\n")
    for name in SCRIPTS:
        shutil.copy(DEPLOY / "deb" / name, folder / name)
        (folder / name).chmod(0o755)


def run(*command: str | Path) -> None:
    """Run a command; its failure is the end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(
            f"make deb: {' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        )


if __name__ == "__main__":
    sys.exit(main())
