"""Text recordings: which column is which, units, what a line may look like, what a refusal says."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main

ROWS = [(1000, 12, 7, 1), (1003, 200, 6, 0), (1003, 13, 8, 1), (1010, 3, 90, 0), (1022, 77, 5, 1)]


def write(tmp_path: Path, text: str, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def lines(order: str, separator: str = ",", end: str = "\n", **words: str) -> str:
    """The rows as text; `words` say how values are written: t="{:.6f}" of seconds, p="-1 1"."""
    off, on = words.get("p", "0 1").split()
    out = []
    for t, x, y, p in ROWS:
        time = words["t"].format(t / 1e6) if "t" in words else str(t)
        values = {"t": time, "x": str(x), "y": str(y), "p": on if p else off, "-": "0.5"}
        out.append(separator.join(values[name] for name in order.split(",")) + end)
    return "".join(out)


@pytest.mark.parametrize("separator", [",", ";", " ", "\t", ", ", "   "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("order", ["t,x,y,p", "x,y,p,t", "x,y,t,p", "t,p,x,y", "p,x,y,t"])
def test_orders_without_names_are_found_by_their_values(tmp_path: Path, order: str, separator: str, end: str) -> None:
    recording = edgesnn.open(write(tmp_path, lines(order, separator, end)))
    assert recording.format == "csv"
    assert recording.read().tolist() == ROWS
    assert not any(recording.counters.values())


@pytest.mark.parametrize(
    "polarity", ["0 1", "-1 1", "false true", "False True", "off on", "OFF ON", "0.0 1.0", "+0 +1"]
)
@pytest.mark.parametrize("time", ["{:.6f}", "{:.9f}", "{:.18e}", "{:.7g}"])
def test_seconds_and_polarities_in_every_writing(tmp_path: Path, time: str, polarity: str) -> None:
    path = write(tmp_path, lines("t,x,y,p", " ", t=time, p=polarity), "a.txt")
    assert edgesnn.open(path).read().tolist() == ROWS


@pytest.mark.parametrize(
    ("names", "order"),
    [
        ("timestamp,x,y,polarity", "t,x,y,p"),
        ('"x","y","pol","ts"', "x,y,p,t"),
        ("# t x y p", "t,x,y,p"),
        ("%geometry:320,240\nx,y,polarity,timestamp_us", "x,y,p,t"),
        ("y;x;on;time [us];extra", "y,x,p,t,-"),
        ("\ufefft,x,y,on", "t,x,y,p"),
        ("Unnamed: 0,x,y,timestamp,p", "-,x,y,t,p"),
    ],
)
def test_columns_are_found_by_their_names(tmp_path: Path, names: str, order: str) -> None:
    recording = edgesnn.open(write(tmp_path, names + "\n" + lines(order)))
    assert recording.read().tolist() == ROWS
    assert recording.sensor == ((320, 240) if "geometry" in names else None)


def test_names_may_say_the_sensor(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t,x@320,y@240,on\n1,2,3,1\n5,6,7,0\n")
    recording = edgesnn.open(path)
    assert recording.sensor == (320, 240)
    assert recording.read().tolist() == [(1, 2, 3, 1), (5, 6, 7, 0)]
    path.write_text("t,x@99999,y@240,on\n1,2,3,1\n")
    assert edgesnn.open(path).sensor is None


def test_a_first_line_of_two_numbers_is_the_sensor(tmp_path: Path) -> None:
    recording = edgesnn.open(write(tmp_path, "240 180\n" + lines("t,x,y,p", " ", t="{:.9f}"), "a.txt"))
    assert recording.sensor == (240, 180)
    assert recording.read().tolist() == ROWS


@pytest.mark.parametrize(
    ("name", "value", "t_us"),
    [
        ("t", "1003", 1003),
        ("t", "0.001003", 1003),
        ("t_ms", "1.003", 1003),
        ("t_ns", "1003499", 1003),
        ("t", "1700000000000001000", 1_700_000_000_000_001),
        ("t", "1317888.0", 1_317_888),
        ("t_us", "1003.5", 1004),
        ("t_us", "1002.5", 1002),
        ("t_us", "1002.50000000000000000000000000001", 1003),
        ("t_s", "1504645177.4233795", 1_504_645_177_423_380),
        ("t_s", "1504645177.423378999999999", 1_504_645_177_423_379),
        ("t_s", "0.0000004999999999999999999", 0),
        ("t_us", "-42", -42),
    ],
)
def test_units_and_their_exact_rounding(tmp_path: Path, name: str, value: str, t_us: int) -> None:
    path = write(tmp_path, f"{name},x,y,p\n{value},1,2,1\n")
    assert edgesnn.open(path).read().tolist() == [(t_us, 1, 2, 1)]


def test_columns_may_be_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, lines("y,x,-,p,t"))
    with pytest.raises(edgesnn.RecordingError, match="--columns t,x,y,p"):
        edgesnn.open(path)
    assert edgesnn.open(path, columns="y,x,-,p,t").read().tolist() == ROWS
    assert main(["info", str(path), "--columns", "y,x,-,p,t_us", "--json"]) == 0
    assert '"events":5' in capsys.readouterr().out
    assert main(["info", str(path)]) == 3


@pytest.mark.parametrize("columns", ["", "t,x,y", "t,x,y,p,q", "t,t,x,y,p", "x,y,p", "t;x;y;p"])
def test_impossible_columns_are_a_usage_error(tmp_path: Path, columns: str) -> None:
    with pytest.raises(edgesnn.UsageError, match="columns"):
        edgesnn.open(write(tmp_path, lines("t,x,y,p")), columns=columns)
    if columns:
        with pytest.raises(edgesnn.UsageError, match="column"):
            edgesnn.Decoder("csv", variant=columns)


def test_only_tables_have_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "% evt 3.0\n% geometry 64x48\n% end\n", "a.raw")
    with pytest.raises(edgesnn.UsageError, match="only tables have columns"):
        edgesnn.open(path, columns="t,x,y,p")


@pytest.mark.parametrize(
    "text",
    [
        "a,b,c,d\n1,2,3,4\n5,6,7,8\n",
        "time,voltage,x,y\n1,2,3,4\n",
        "1,2,3,4,5,6\n" * 30,
        "9,2,7,4\n1,5,7,8\n" * 30,
        "1 2 3\n" * 30,
    ],
)
def test_tables_of_something_else_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(edgesnn.RecordingError, match="not known"):
        edgesnn.open(write(tmp_path, text))


BAD = {
    "1003,13,8": "too few columns",
    "1003,13,8,1,4": "too many columns",
    "1003,13,8.5,1": "its y is not a whole number",
    "1003,x,8,1": "its x is not a whole number",
    "1003,13,8,2": "its polarity is none of",
    "1003,13,8,": "too few columns",
    "10o3,13,8,1": "its time is not a number",
    "1003,99999999999999999999,8,1": "its x is not a whole number",
    "99999999999999999999,13,8,1": "its time is not a number",
    "1_003,13,8,1": "its time is not a number",
    "nan,13,8,1": "its time is not a number",
    "0x10,13,8,1": "its time is not a number",
    "1e,13,8,1": "its time is not a number",
    "\0\0\0\0": "its time is not a number",
    "1003,320,8,1": "x=320 is outside the 320x240 sensor",
    "1003,13,-1,1": "y=-1 is outside the 320x240 sensor",
    "9" * 4097: "longer than 4096 bytes",
    "9001003,13,8,1": "more than a second ahead",
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("piece", [1, 5, 100_000])
def test_a_bad_line_is_named_and_skipped(bad: str, piece: int) -> None:
    before = "".join(f"{t},{t % 300},9,1\n" for t in range(900, 1003))
    data = (before + bad + "\n" + lines("t,x,y,p")).encode()
    for policy in ("strict", "skip"):
        decoder = edgesnn.Decoder("csv", sensor=(320, 240), on_corrupt=policy)
        events, errors = [], []
        for start in range(0, len(data), piece):
            some, _, error = decoder.feed_some(data[start : start + piece])
            events += some.tolist()
            errors += [error] if error else []
        events += decoder.finish_some()[0].tolist()
        if policy == "strict":
            assert str(errors[0]).startswith(f"byte {len(before)}: CSV line 104: ")
            assert BAD[bad] in str(errors[0])
            assert len(events) == 103
        else:
            assert not errors
            assert events[103:] == ROWS
            assert decoder.counters["bad_words"] + decoder.counters["out_of_range"] == 1


@pytest.mark.parametrize(
    ("columns", "last", "kept"),
    [
        ("t,x,y,p", "2000,1,2,1", True),
        ("t,x,y,p", "2000,1,2,1\r", True),
        ("t,x,y,p", "2000,1,2,", False),
        ("t,x,y,p", "2000,1,2", False),
        ("t,x,y,p", "2000,1,2,-", False),
        ("t,x,y,p", "2000,1,2,tru", False),
        ("x,y,p,t", "1,2,1,2000", True),
        ("x,y,p,t", "1,2,1,200", False),
        ("p,t,x,y", "1,2000,1,2", False),
    ],
)
def test_a_last_line_without_an_end_counts_only_where_it_is_whole(columns: str, last: str, kept: bool) -> None:
    data = (lines(columns) + last).encode()
    decoder = edgesnn.Decoder("csv", sensor=(320, 240), on_corrupt="skip", variant=columns)
    events = [*decoder.feed(data)[0].tolist(), *decoder.finish()[0].tolist()]
    assert events == ([*ROWS, (2000, 1, 2, 1)] if kept else ROWS)
    assert decoder.counters["truncated_bytes"] == (0 if kept else len(last))
    strict = edgesnn.Decoder("csv", sensor=(320, 240), variant=columns)
    strict.feed(data)
    if kept:
        strict.finish()
    else:
        with pytest.raises(edgesnn.RecordingError, match=f"byte {len(data) - len(last)}: the last CSV line is cut"):
            strict.finish()


def test_a_quiet_scene_of_many_seconds_is_no_damage() -> None:
    data = "".join(f"{t},1,2,1\n" for t in (5, 9_000_000, 9_000_001, 60_000_000)).encode()
    decoder = edgesnn.Decoder("csv")
    assert [*decoder.feed(data)[0]["t"], *decoder.finish()[0]["t"]] == [5, 9_000_000, 9_000_001, 60_000_000]


@pytest.mark.parametrize(
    ("begin", "filler", "end"),
    [
        ("", "9", "x"),
        ("1 2 3 ", "9", ""),
        ("# sensor 5", " ", "x"),
        ("t", "_", ""),
        ("", " ", ""),
        ("1", " ", "x"),
        ("", ";", ""),
        ("1.5e", "3", ""),
        ("", "[", ""),
    ],
)
def test_a_hostile_beginning_is_told_at_once(tmp_path: Path, begin: str, filler: str, end: str) -> None:
    line = begin + filler * 60_000 + end
    path = write(tmp_path, f"{line}\n{line}\n")
    start = time.perf_counter()
    for format in (None, "csv"):
        with pytest.raises(edgesnn.RecordingError):
            edgesnn.open(path, format=format).read()
    assert time.perf_counter() - start < 5


def test_names_without_lines_are_an_empty_recording(tmp_path: Path) -> None:
    recording = edgesnn.open(write(tmp_path, "t,x,y,p\n"))
    assert len(recording.read()) == 0
    assert recording.warnings == ["the recording is empty: a header without any event"]


def test_numpys_own_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    np.savetxt(path, np.array(ROWS))
    assert edgesnn.open(path).read().tolist() == ROWS
    np.savetxt(path, np.array(ROWS), header="t x y p", fmt="%d", delimiter=";")
    assert edgesnn.open(path).read().tolist() == ROWS
