"""Whole files take the place of regular files only: links lead to theirs, pipes, sockets and folders stay."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.errors import ModelError, RecordingError
from edgesnn.events.writing import write
from edgesnn.graph.container import write as write_model
from edgesnn.recorder import sealed
from edgesnn.replacement import Replacement, named

PACKAGE = Path(edgesnn.__file__).parent


def kinds(folder):
    """Make one of each that is no regular file; return their paths."""
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "link to pipe").symlink_to(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(folder / "socket"))
    return [folder / name for name in ("pipe", "folder", "circle", "link to pipe", "socket")]


def picture(folder):
    return {path.name: (path.lstat().st_mode, path.lstat().st_ino) for path in folder.iterdir()}


def model_file(path):
    write_model(path, {"a": np.zeros(2, np.float32)}, {})


def recording(path):
    write(path, np.zeros(2, edgesnn.EVENT), format="csv", sensor=(4, 4))


@pytest.mark.parametrize(("put", "error"), [(model_file, ModelError), (recording, RecordingError)])
def test_what_is_no_regular_file_is_refused_and_stays(tmp_path, put, error):
    paths = kinds(tmp_path)
    before = picture(tmp_path)
    for path in paths:
        with pytest.raises(error) as refused:
            put(path)
        assert re.search("is there, and only a regular file is replaced|levels of symbolic links", str(refused.value))
        assert str(path) in str(refused.value)
        assert "\n" not in str(refused.value)
    assert picture(tmp_path) == before


@pytest.mark.parametrize("put", [model_file, recording])
def test_of_a_link_the_file_it_leads_to_is_written(tmp_path, put):
    place = tmp_path / "elsewhere" / "file"
    place.parent.mkdir()
    (tmp_path / "link").symlink_to(place)
    (tmp_path / "other").symlink_to("link")
    for _ in range(2):  # a link to nothing yet, then to a file
        put(tmp_path / "other")
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["elsewhere", "file", "link", "other"]
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "other").is_symlink()
        assert stat.S_ISREG(place.lstat().st_mode)
        assert place.stat().st_size > 0


@pytest.mark.parametrize(
    "command",
    [
        ["export", "digits", "--to", "onnx", "-o"],
        ["quantize", "digits-float32", "--weights", "int8", "-o"],
        ["convert", "recordings/left_arm_clockwise_noisy.raw", "--format", "csv"],
        ["convert", "recordings/left_arm_clockwise_noisy.raw", "--encode", "voxel", "--window", "50ms"],
    ],
    ids=["export", "quantize", "convert", "arrays"],
)
def test_commands_refuse_a_pipe_in_one_line(tmp_path, capsys, monkeypatch, command):
    if command[0] == "export":
        pytest.importorskip("onnx", reason="onnx is not installed (extra onnx)")
    monkeypatch.chdir(PACKAGE.parent)
    pipe = tmp_path / "pipe.npz"
    os.mkfifo(pipe)
    before = picture(tmp_path)
    assert main([*command, str(pipe)]) != 0
    said = capsys.readouterr().err
    assert "a pipe is there, and only a regular file is replaced" in said
    assert said.count("\n") == 1
    assert picture(tmp_path) == before


def test_a_device_is_told_by_its_mode(monkeypatch):
    """No device is made or touched: only what stat says of one is shown."""
    for mode in (stat.S_IFCHR, stat.S_IFBLK):
        told = os.stat_result((mode | 0o666, *[0] * 9))
        with monkeypatch.context() as patch:
            patch.setattr(os, "stat", lambda path, told=told: told)
            patch.setattr(os, "lstat", lambda path, told=told: told)
            with pytest.raises(OSError, match="a device is there"):
                named("somewhere")
            with pytest.raises(OSError, match="a device is there"):
                Replacement(Path("somewhere"))


def test_a_pipe_that_comes_while_it_is_written_stays(tmp_path):
    place = tmp_path / "file"
    part = Replacement(place)
    part.append(b"a")
    os.mkfifo(place)
    with pytest.raises(OSError, match="a pipe is there"):
        part.finish()
    part.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert stat.S_ISFIFO(place.lstat().st_mode)


def test_a_link_in_place_of_a_sealed_file_is_replaced_not_followed(tmp_path):
    """The service names these files itself: a link there is somebody else's work."""
    (tmp_path / "other").write_text("other's")
    (tmp_path / "file").symlink_to("other")
    sealed.write(tmp_path / "file", [b"ours"])
    assert (tmp_path / "file").lstat().st_mode == stat.S_IFREG | 0o600
    assert (tmp_path / "other").read_text() == "other's"


def test_an_exception_leaves_what_was_there(tmp_path):
    (tmp_path / "file").write_text("before")
    (tmp_path / "file.part").write_text("another's")
    with contextlib.suppress(KeyError), Replacement(tmp_path / "file") as part:
        part.append(b"half")
        raise KeyError
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "before", "file.part": "another's"}


def test_nothing_else_puts_files_in_place_of_others():
    """Files that cannot be used are set aside under a new name; all else goes through `Replacement`."""
    pattern = re.compile(r"os\.(replace|rename|link)\(|\.rename\(|shutil\.move\(|mkstemp\(")
    places = [path for folder in ("edgesnn", "tools") for path in (PACKAGE.parent / folder).rglob("*.py")]
    found = {str(path.relative_to(PACKAGE.parent)) for path in places if pattern.search(path.read_text("utf-8"))}
    assert found == {
        "edgesnn/replacement.py",
        "edgesnn/daemon/checkpoints.py",  # _set_aside
        "edgesnn/publish/outbox_file.py",  # set_aside
    }
