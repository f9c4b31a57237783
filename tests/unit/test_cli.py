"""The command line's frame: quick help, exit codes, one clear line for a wrong call."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgesnn import errors
from edgesnn.cli import main as frame
from edgesnn.cli.parser import Parser, nearest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("numpy", "torch", "paho", "amqtt", "edgesnn._native")


def edgesnn(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgesnn", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.fixture
def command(monkeypatch):
    """Install a command named `probe` whose `run` is given by the test."""

    def install(run) -> None:
        module = SimpleNamespace(HELP="a probe", run=run, add_arguments=lambda parser: parser.add_argument("--json"))
        monkeypatch.setitem(frame.COMMANDS, "probe", "edgesnn.cli.probe")
        monkeypatch.setitem(sys.modules, "edgesnn.cli.probe", module)

    return install


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in frame.COMMANDS)])
def test_help_imports_nothing_heavy(arguments):
    script = (
        "import sys; from edgesnn.cli.main import main; code = main(sys.argv[1:]);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == "[] 0\n"
    assert done.stdout


def test_help_lists_every_command_with_its_line():
    done = edgesnn("--help")
    assert done.returncode == 0
    for name, module in frame.COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert __import__(module, fromlist=["HELP"]).HELP in done.stdout


def test_version_is_the_package_version():
    from edgesnn.version import __version__

    assert edgesnn("--version").stdout == f"edgesnn {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["doctro"], "did you mean `edgesnn doctor`?"),
        (["replay", "x", "--on-corrupt", "skipp"], "did you mean skip?"),
        (["eval", "digits", "--part", "letter"], "see `edgesnn eval --help`"),
        (["doctor", "--jsno"], "did you mean --json?"),
        (["replay", "--modle", "gestures"], "unrecognized arguments: --modle; did you mean --model?"),
        (["replay", "x.raw", "--bogus=1"], "unrecognized arguments: --bogus=1"),
        (["doctor", "surplus"], "see `edgesnn doctor --help`"),
        (["--frobnicate"], "see `edgesnn --help`"),
    ],
)
def test_a_wrong_call_is_one_line_with_the_nearest_choice_and_exit_code_2(arguments, line):
    done = edgesnn(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("edgesnn: error: ")
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_command_shows_the_help_and_ends_with_2():
    done = edgesnn()
    assert done.returncode == 2
    assert done.stdout == ""
    assert "commands:" in done.stderr


def test_a_wrong_choice_names_the_nearest():
    parser = Parser(prog="probe")
    parser.add_argument("--speed", choices=("max", "1x", "4x"))
    with pytest.raises(errors.UsageError, match="did you mean max"):
        parser.parse_args(["--speed", "mxa"])
    assert nearest("zzz", ["max"]) is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.EdgeSnnError, 1),
        (errors.UsageError, 2),
        (errors.RecordingError, 3),
        (errors.ModelError, 4),
        (errors.ConfigError, 5),
        (errors.PublishError, 6),
        (errors.BackendError, 7),
    ],
)
def test_each_error_ends_with_its_code_and_one_line(command, capsys, error, code):
    def run(args):
        raise error("bad magic\nin two lines", where="a.raw")

    command(run)
    assert frame.main(["probe"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "edgesnn: error: a.raw: bad magic in two lines\n"


def test_an_internal_error_says_how_to_report_it(command, capsys):
    def run(args):
        raise ZeroDivisionError("ouch")

    command(run)
    assert frame.main(["probe"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("edgesnn: internal error: ZeroDivisionError: ouch; ")
    assert "report" in err.splitlines()[-1]


def test_ctrl_c_ends_with_130(command, capsys):
    def run(args):
        raise KeyboardInterrupt

    command(run)
    assert frame.main(["probe"]) == 130
    assert capsys.readouterr().err == "edgesnn: interrupted\n"


@pytest.mark.parametrize(
    "said",
    ["warnings.warn('no events', stacklevel=1)", "logging.getLogger('edgesnn').warning('no\\n\x1b%s', 'events')"],
)
def test_warnings_are_one_line_on_standard_error(said):
    script = (
        "import logging, sys, types, warnings; from edgesnn.cli import main as frame;"
        "frame.COMMANDS['probe'] = 'probe';"
        f"run = lambda args: {said} or 0;"
        "sys.modules['probe'] = types.SimpleNamespace(HELP='h', add_arguments=lambda parser: None, run=run);"
        "code = frame.main(['probe']); print(logging.getLevelName(logging.WARNING)); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr.replace("\ufffd", "") == "edgesnn: warning: no events\n"
    assert done.stdout == "WARNING\n"  # a process that calls the command keeps its own logging


def test_a_reader_that_leaves_ends_the_command_quietly():
    script = (
        "import sys, types; from edgesnn.cli import main as frame;"
        "frame.COMMANDS['probe'] = 'probe';"
        "run = lambda args: [print('line', i) for i in range(200000)] and 0;"
        "sys.modules['probe'] = types.SimpleNamespace(HELP='h', add_arguments=lambda parser: None, run=run);"
        "sys.exit(frame.main(['probe']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "line 0\n"
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


RECORDING = ROOT / "recordings" / "air_drums.raw"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["info", RECORDING], ["replay", RECORDING, "-m", "gestures"]])
def test_a_full_disk_behind_standard_output_is_one_line(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edgesnn", *map(str, arguments)],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("edgesnn: ")] == [
        "edgesnn: error: standard output cannot be written: No space left on device"
    ]
    assert "Traceback" not in done.stderr


def test_a_closed_standard_output_stops_nothing():
    command = f"exec {sys.executable} -m edgesnn info {RECORDING} >&-"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["info"], ["replay", "-m", "gestures"]])
def test_a_file_name_that_is_no_text_is_read_all_the_same(arguments, tmp_path):
    name = os.fsencode(tmp_path) + b"/a\xff.raw"
    shutil.copy(RECORDING, name)
    command = [sys.executable, "-m", "edgesnn", arguments[0], name, *arguments[1:]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["doctor", "--mqtt-protocol", "5"], "--mqtt-protocol: this flag needs --mqtt"),
        (["demo", "--mqtt-ca-file", "x"], "--mqtt-ca-file: this flag needs --mqtt"),
        (["doctor", "--mqtt", "mqtt://h", "--mqtt-ca-file", "README.md"], "--mqtt-ca-file: only mqtts:// has cert"),
        (["info", "gestures", "--sensor", "3x3"], "--sensor: this flag is of recordings"),
        (["info", "gestures", "--on-corrupt", "strict"], "--on-corrupt: this flag is of recordings"),
        (["convert", "a.raw", "b.raw", "--start", "5"], "--start: not a duration: found '5'"),
        (["eval", "digits", "--data", "x", "--backend", "nativ"], "invalid choice: 'nativ'"),
    ],
)
def test_a_flag_that_would_change_nothing_or_is_no_value_is_named(arguments, words, capsys):
    assert frame.main(arguments) == 2
    assert words in capsys.readouterr().err
