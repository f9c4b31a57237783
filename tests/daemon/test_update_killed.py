"""edgesnn-update ended at each of its steps: what it left goes back, or on, whole.

dpkg, systemctl and the service are scripts of this file, and so are the commands that change files: at the step that is
asked for they do half of their work and kill the update. Then the power is cut: what was not synced is empty.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

UPDATE = Path(__file__).resolve().parents[2] / "deploy" / "deb" / "edgesnn-update"
STEP = """#!/bin/sh
n=$(($(cat count) + 1)); echo $n >count
echo "NAME $*" >>calls
now=$(cat plan)
[ "$now" != "fail NAME" ] || exit 1
if [ "$now" = "kill $n" ]; then HALF; kill -9 $PPID; exit 1; fi
"""
STEPS = {
    "cp": ('head -c 9 "$1" >"$2"', '/bin/cp "$@"'),
    "mv": (":", '/bin/mv "$@"'),
    "ln": (":", '/bin/ln "$@"'),
    "rm": (":", '/bin/rm "$@"'),
    "sync": (":", 'stat -c %i "$1" >>synced'),
    "dpkg": (
        '[ "$1" != -i ] || echo half >db',
        'if [ "$1" = -i ]; then for one; do :; done; sed -n "s/^Version: //p" "$one" >db; else echo amd64; fi',
    ),
    "systemctl": (
        "/bin/rm -f serving",
        'case "$1" in restart) cp=/bin/cp; $cp db serving ;; is-active) ! grep -q -x -f serving red ;; esac',
    ),
}
"""Each: half of it, all of it."""
OTHERS = {
    "id": "echo 0",
    "dpkg-deb": 'sed -n "s/^$3: //p" "$2"',
    "dpkg-query": """case "$4" in
edgesnn) case "$3" in *Version*) cat db ;; *) grep -q half db && echo half-installed || echo installed ;; esac ;;
*) echo installed ;;
esac""",
    "edgesnn": "[ ! -e wrong ] || { echo 'edgesnn: error: config.toml:3: unknown' >&2; exit 5; }; cat url",
    "python3": 'cat >/dev/null; echo "asked $2" >>calls; ! grep -q -x -f serving red',
    "sleep": "exit 0",
}


class Board:
    """A folder with the packages 0.9, 1.0, which is installed, and 2.0; 0.9 was before 1.0."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache, tools = folder, folder / "cache", folder / "tools"
        self.cache.mkdir(parents=True)
        tools.mkdir()
        for name, (half, whole) in STEPS.items():
            write(tools / name, STEP.replace("NAME", name).replace("HALF", half) + whole)
        for name, script in OTHERS.items():
            write(tools / name, f"#!/bin/sh\n{script}")
        text = UPDATE.read_text().replace("cache=/var/cache/edgesnn\n", f"cache={self.cache}\n")
        write(folder / "edgesnn-update", text)
        for name in ("calls", "red", "synced"):
            (folder / name).touch()
        for version in ("0.9", "1.0", "2.0"):
            self.package(folder, version)
        self.package(self.cache, "1.0").rename(self.cache / "installed.deb")
        self.package(self.cache, "0.9").rename(self.cache / "before.deb")
        self.kept = {path.stat().st_ino for path in self.cache.iterdir()}
        for name in ("db", "serving"):
            (folder / name).write_text("1.0\n")
        (folder / "url").write_text("http://127.0.0.1:9469\n")
        self.environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}

    def package(self, folder: Path, version: str) -> Path:
        path = folder / f"{version}.deb"
        path.write_text(f"Package: edgesnn\nVersion: {version}\nArchitecture: amd64\nDepends: python3.11\n")
        return path

    def call(self, *arguments: str, plan: str = "") -> tuple[int, str]:
        """Run it; a `kill` ends it, and cuts the power."""
        (self.folder / "plan").write_text(plan)
        (self.folder / "count").write_text("0")
        done = subprocess.run(
            ["sh", self.folder / "edgesnn-update", *arguments],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        if done.returncode == -signal.SIGKILL:
            safe = self.kept | set(map(int, (self.folder / "synced").read_text().split()))
            for path in self.cache.iterdir():
                if path.stat().st_ino not in safe:
                    path.write_text("")
        return done.returncode, done.stdout + done.stderr

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def marked(self) -> bool:
        return (self.cache / "updating").exists()

    def state(self) -> tuple[str, ...]:
        """Return the versions that are installed, serving, kept, and before."""
        kept = [self.cache / name for name in ("installed.deb", "before.deb")]
        versions = [path.read_text().split("Version: ")[1].split("\n")[0] for path in kept]
        now = [self.folder / name for name in ("db", "serving")]
        return (*(path.read_text().strip() if path.exists() else "" for path in now), *versions)


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board")


def go_on(board: Board) -> None:
    """What the operator does who finds an update that was interrupted."""
    code, said = board.call("2.0.deb")
    if code == 2:
        assert re.search(r"(update to 2\.0|return to 1\.0) was interrupted: edgesnn-update --return, then again", said)
        assert board.call("--return")[0] == 0
        assert board.state()[:3] == ("1.0", "1.0", "1.0")
        code, said = board.call("2.0.deb")
    assert code == 0, said
    assert board.state() == ("2.0", "2.0", "2.0", "1.0")
    assert not board.marked()
    assert board.call("--return")[0] == 0
    assert board.state() == ("1.0", "1.0", "1.0", "2.0")


def at_each_step(folder: Path, only: str, *arguments: str, red: str = "") -> Iterator[Board]:
    """Yield boards whose update was killed, each at another step; `only` at those of one command."""
    whole = Board(folder / "whole")
    (whole.folder / "red").write_text(red)
    whole.call(*arguments)
    steps = [line.split()[0] for line in whole.calls() if line.split()[0] in STEPS]
    assert len(steps) > 9
    for number, name in enumerate(steps, 1):
        if not only or name == only:
            board = Board(folder / f"{number}-{name}")
            (board.folder / "red").write_text(red)
            assert board.call(*arguments, plan=f"kill {number}")[0] == -signal.SIGKILL
            yield board


STEPS_OF = pytest.mark.parametrize("only", ["mv", pytest.param("", marks=pytest.mark.full)])


@STEPS_OF
def test_an_update_that_is_killed_at_any_step_goes_back_and_can_be_done_again(only, tmp_path):
    for board in at_each_step(tmp_path, only, "2.0.deb"):
        go_on(board)


@pytest.mark.full
def test_a_return_from_a_red_package_that_is_killed_at_any_step_is_done_by_hand(tmp_path):
    for board in at_each_step(tmp_path, "", "2.0.deb", red="2.0\n"):
        if board.marked():
            assert board.call("--return")[0] == 0
        assert board.state()[:3] == ("1.0", "1.0", "1.0"), board.folder


@STEPS_OF
def test_a_return_by_hand_that_is_killed_at_any_step_goes_on(only, tmp_path):
    for board in at_each_step(tmp_path, only, "--return"):
        if board.marked():
            code, said = board.call("2.0.deb")
            assert code == 2
            assert "return to 0.9 was interrupted: edgesnn-update --return, then again" in said
        if board.marked() or board.state()[2] != "0.9":  # else all was done
            assert board.call("--return")[0] == 0
        assert board.state() == ("0.9", "0.9", "0.9", "1.0"), board.folder
        assert not board.marked()


@pytest.mark.full
def test_what_goes_on_may_be_killed_too(tmp_path):
    for first in range(9, 24, 2):
        for second in range(1, 9):
            board = Board(tmp_path / f"{first}-{second}")
            board.call("2.0.deb", plan=f"kill {first}")
            if board.marked():
                board.call("--return", plan=f"kill {second}")
            go_on(board)


def test_a_package_before_that_is_not_ready_either_can_be_left_again(board):
    (board.folder / "red").write_text("0.9\n")
    assert board.call("--return")[0] == 3
    assert board.state() == ("0.9", "0.9", "0.9", "1.0")
    assert board.call("--return")[0] == 0
    assert board.state() == ("1.0", "1.0", "1.0", "0.9")


def test_an_update_that_cannot_be_recorded_is_no_success(board):
    code, said = board.call("2.0.deb", plan="fail ln")
    assert (code, said.splitlines()[-1]) == (
        4,
        f"edgesnn-update: ready with 2.0, but {board.cache} takes no record of it: --return, then again",
    )
    go_on(board)


def test_without_room_nothing_is_done(board):
    for command in ("cp", "sync"):
        code, said = board.call("2.0.deb", plan=f"fail {command}")
        assert (code, said) == (2, f"edgesnn-update: {board.cache} takes no package\n")
    assert board.state() == ("1.0", "1.0", "1.0", "0.9")
    assert not board.marked()


def test_the_pages_are_where_the_configuration_says(board):
    (board.folder / "url").write_text("http://[::1]:8080\n")
    assert board.call("2.0.deb")[0] == 0
    assert [line for line in board.calls() if "asked" in line] == ["asked http://[::1]:8080/readyz"]
    assert board.call("--url", "http://127.0.0.1:7/readyz", "--return")[0] == 0
    assert "asked http://127.0.0.1:7/readyz" in board.calls()


def test_without_pages_the_service_is_to_stay(board):
    (board.folder / "url").write_text("")
    code, said = board.call("2.0.deb")
    assert code == 0
    assert "there are no pages" in said
    assert board.calls().count("systemctl is-active --quiet edgesnn.service") == 10
    assert not [line for line in board.calls() if "asked" in line]
    (board.folder / "red").write_text("1.0\n")
    code, said = board.call("--return")
    assert code == 3
    assert "the service does not stay" in said


def test_a_package_that_cannot_read_the_configuration_is_not_ready(board):
    (board.folder / "wrong").touch()
    code, said = board.call("2.0.deb")
    assert code == 3  # the one before cannot either
    assert "edgesnn: error: config.toml:3: unknown" in said
    (board.folder / "wrong").unlink()
    go_on(board)
