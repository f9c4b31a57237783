"""What may come into a stream of tokens that is none: over the command line and in Python, one clear line each; the
state stays as it was, and the stream goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesnn import TokenStream
from edgesnn.cli.main import main
from edgesnn.errors import EdgeSnnError, ModelError, UsageError
from edgesnn.graph import with_tokenizer
from edgesnn.runtime import Model
from edgesnn.tokens import decode, generate, make_tokenizer, score
from tests.attacks.test_model_files import put, rewrite
from tests.memory import measured
from tests.token_models import TABLE, TOKENIZER, writer

GOOD = [b"gate ready", b"pump 12 is on"]
BAD = {
    "no UTF-8": b"gate \xff\xfe\x80 ready",
    "half a character": b"gate \xf0\x9f",
    "a half of a pair": b"\xed\xa0\x80",
    "NUL": b"\x00gate\x00ready\x00",
    "only NUL": b"\x00" * 70_000,
    "controls": bytes(range(1, 10)) + bytes(range(14, 32)),
    "carriage returns": b"\r\r\r",
    "no end of space": b" " * 70_000 + b"x",
}
MODEL = Model(writer(reset="line"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "lines.safetensors"
    writer({"masks": ["numbers"]}, reset="line").save(path)
    return str(path)


def told(rows: str) -> list[dict[str, Any]]:
    return [json.loads(row) for row in rows.splitlines()]


def refused(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must fail; return the one line that it says."""
    capsys.readouterr()
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("edgesnn: error: ")
    assert len(err) < 800
    return err


@pytest.mark.parametrize("case", BAD)
def test_lines_around_a_bad_one_are_what_they_are_without_it(
    case: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"\n".join([GOOD[0], BAD[case], GOOD[1], b""]))
    assert main(["replay", str(path), "-m", model, "--json"]) == 0
    rows = told(capsys.readouterr().out)
    path.write_bytes(b"\n".join([*GOOD, b""]))
    assert main(["replay", str(path), "-m", model, "--json"]) == 0
    wanted = told(capsys.readouterr().out)
    assert len(rows) == 3
    for row, other in zip((rows[0], rows[2]), wanted, strict=True):
        for name in ("surprise_bits", "bits_per_token", "count"):
            assert row["tokens"][name] == other["tokens"][name]
    stream = TokenStream(None, MODEL)
    pushed = [stream.push(line) for line in (GOOD[0], BAD[case], GOOD[1])]
    scores = list(score(MODEL.session(), [GOOD[0], BAD[case], GOOD[1]]))
    for row, one in zip(pushed, scores, strict=True):
        assert row.tokens is not None
        assert (row.tokens.surprise_bits, row.tokens.count) == (one.total_bits, one.count)


_LONG_LINES: dict[str, str] = {
    "in Python": """
        with TokenStream(path, model) as stream:
            return [row.tokens.count for row in stream]""",
    "pushed": """
        stream = TokenStream(None, model)
        return [stream.push(line).tokens.count for line in open(path, "rb").read(140_000).split(b"\\n") + [b"next"]]""",
    "on the command line": """
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert main(["replay", path, "-m", model, "--json"]) == 0
        return [json.loads(row)["tokens"]["count"] for row in out.getvalue().splitlines()]""",
    "followed": """
        with TokenStream(path, model, follow=True) as stream:
            return [next(stream).tokens.count for _ in range(2)]""",
    "a journal": """
        with TokenStream("journal:" + path + ".export", model) as stream:
            return [row.tokens.count for row in stream]""",
}


@pytest.mark.parametrize("way", _LONG_LINES)
def test_memory_stays_flat_over_a_line_of_100_mb(way: str, model: str, tmp_path: Path) -> None:
    small, path = tmp_path / "small.log", tmp_path / "long.log"
    for target, size in ((small, 70_000), (path, 100_000_000)):
        with target.open("wb") as file, Path(f"{target}.export").open("wb") as export:
            export.write(b"MESSAGE\n" + size.to_bytes(8, "little"))
            for start in range(0, size, 1_000_000):
                piece = b"a" * min(1_000_000, size - start)
                file.write(piece)
                export.write(piece)
            file.write(b"\nnext\n")
            export.write(b"\n\nMESSAGE=next\n\n")
    code = "import contextlib, io, json\nfrom edgesnn import TokenStream\nfrom edgesnn.cli.main import main\n"
    code += (
        f"def work(model, small, path):{_LONG_LINES[way]}\ndef warm(model, small, path): work(model, small, small)\n"
    )
    counts, grown_kib = measured(code, model, small, path)
    assert counts == [65_537, 5]
    assert grown_kib < 8 << 10
    os.unlink(path)
    os.unlink(f"{path}.export")


CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "step": lambda session, token: session.step(token),
    "run": lambda session, token: session.run([1, token, 2]),
    "run without outputs": lambda session, token: session.run([1, token], keep="none"),
    "step_many": lambda session, token: session.model.step_many([session], [token]),
    "generate": lambda session, token: generate(session, [1, token]),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("token", [len(TABLE), -1, 2**40, 1.5, "a"])
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_ids_outside_the_vocabulary_change_nothing(call: str, token: Any, backend: str) -> None:
    session = Model(writer(), backend=backend).session()
    session.run([3, 4, 5])
    before = session.snapshot()
    with pytest.raises(ModelError) as caught:
        CALLS[call](session, token)
    assert "\n" not in str(caught.value)
    assert session.snapshot() == before
    session.step(3)


def test_ids_without_a_text_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match=f"id is not in the vocabulary: found 99, expected 0 to {len(TABLE) - 1}"):
        decode(make_tokenizer(TOKENIZER), [1, 99])


def test_a_checkpoint_that_is_none_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (extra test)")
    from tests import token_nets
    from tests.attacks.test_checkpoints import Payload

    marker, out = tmp_path / "executed", tmp_path / "out.safetensors"
    good = token_nets.checkpoint(2, 16, 20)
    torch.save(good, tmp_path / "good.pth")
    data = (tmp_path / "good.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.pth").write_bytes(b"no checkpoint at all\n" * 9)
    torch.save({"conv1.weight": torch.ones(3, 3)}, tmp_path / "foreign.pth")
    torch.save({**good, "x": Payload(marker)}, tmp_path / "code.pth")
    torch.save(Payload(marker), tmp_path / "only-code.pth")
    out.write_bytes(b"an older model")
    for name in ("cut", "text", "foreign", "code", "only-code", "absent"):
        path = str(tmp_path / f"{name}.pth")
        for kind in ("spikegpt", "rwkv4"):
            assert path in refused(["import", path, "--from", kind, "-o", str(out)], 4, capsys)
    assert not marker.exists()
    assert out.read_bytes() == b"an older model"
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".pth"} == {"out.safetensors"}


def test_an_unknown_tokenizer_is_named(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(rewrite(Path(model), tmp_path / "morse.safetensors", put({"kind": "morse"}, "input", "tokenizer")))
    (tmp_path / "app.log").write_bytes(b"gate\n")
    for arguments in (["replay", str(tmp_path / "app.log"), "-m", path], ["generate", "-m", path, "a"], ["info", path]):
        line = refused(arguments, 4, capsys)
        assert "no such tokenizer: found 'morse', expected bytes, characters, huggingface, numbers" in line
    with pytest.raises(EdgeSnnError, match="no such tokenizer"):
        with_tokenizer(writer(), {"kind": "morse"})


def test_a_log_that_vanishes_is_said_once_and_the_stream_goes_on(model: str, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(GOOD[0] + b"\n")
    command = [sys.executable, "-m", "edgesnn", "replay", str(log), "-m", model, "--json", "--follow"]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        rows = [json.loads(process.stdout.readline())]
        log.unlink()
        gone = process.stderr.readline()
        time.sleep(0.5)
        log.write_bytes(b"\xff\x00\n" + GOOD[0] + b"\n")
        rows += [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    said = f"edgesnn: warning: {log}: the log is"
    assert gone == f"{said} gone (no such file or directory); waiting for it\n"
    assert err.startswith(f"{said} back\n")
    assert err.count("the log is") == 1
    assert rows[2]["tokens"]["bits_per_token"] == rows[0]["tokens"]["bits_per_token"]
    assert [row["window"] for row in rows] == [0, 1, 2]


@pytest.mark.parametrize("tokenizer", [{"kind": "bytes"}, {"kind": "numbers", "edges": [[0, 1], [5]]}])
def test_lines_of_any_bytes_are_lines_to_every_tokenizer(tokenizer: dict[str, Any]) -> None:
    stream = TokenStream(None, Model(writer({"vocab": 256, "tokenizer": tokenizer}, reset="never")))
    rng = np.random.default_rng(0)
    for size in (1, 7, 300, 5000):
        data = rng.integers(0, 256, size, np.uint8).tobytes().replace(b"\n", b"")
        row = stream.push(data)
        assert row.tokens is not None
        assert row.decision in ("none", "idle")
    assert stream.counters["lines"] == 4
