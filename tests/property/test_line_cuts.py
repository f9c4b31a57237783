"""Lines and journal messages are the same in any split of the bytes, and take bounded memory whatever comes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.tokens.lines import MOST_BYTES, Cut, Cutter, JournalCutter, LineCutter

PIECES = [b"a", b"\r", b"\n", b"\x00", b"\xff", b"word", b"\r\n"]
CUTS = st.lists(st.integers(0, 400), max_size=8)
VALUES = st.binary(max_size=40)
PLAIN = st.text("ab =ü", max_size=20).map(str.encode)


def cut_up(cutter: Cutter, data: bytes, cuts: list[int]) -> list[Cut]:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [one for a, b in pairwise(edges) for one in cutter.feed(data[a:b])] + cutter.finish()


@settings(max_examples=200)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join), CUTS)
def test_lines_are_those_of_the_whole(data: bytes, cuts: list[int]) -> None:
    wanted = data.split(b"\n")
    wanted = wanted[:-1] if wanted[-1] == b"" else wanted
    made = cut_up(LineCutter(), data, cuts)
    assert [one.data for one in made] == [line.removesuffix(b"\r") for line in wanted]
    assert [data[a:b].count(b"\n") for a, b in pairwise([0, *(one.end for one in made)])] == [
        1 if b < len(data) or data.endswith(b"\n") else 0 for b in (one.end for one in made)
    ]


def test_a_line_of_100_mb_takes_no_more_memory_than_a_line() -> None:
    cutter = LineCutter()
    for _ in range(1600):
        assert cutter.feed(b"x" * 65_536) == []
        assert len(cutter._begun) <= MOST_BYTES
    (one,) = cutter.feed(b"\nnext")
    assert one == Cut(b"x" * MOST_BYTES, "", 1600 * 65_536 + 1)
    assert cutter.counters == {"lines_cut": 1, "bytes_cut": 1599 * 65_536}
    assert [one.data for one in cutter.finish()] == [b"next"]


def entry(fields: list[tuple[bytes, bytes]], binary: bool) -> bytes:
    """Return an entry of the journal export format as systemd's documentation describes it."""
    made = b""
    for name, value in fields:
        if binary or b"\n" in value or not value.isascii():
            made += name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
        else:
            made += name + b"=" + value + b"\n"
    return made + b"\n"


@settings(max_examples=200)
@given(st.lists(st.tuples(st.none() | VALUES, PLAIN, VALUES, st.booleans()), max_size=6), CUTS)
def test_a_journal_gives_the_messages_and_hosts_of_its_entries(
    entries: list[tuple[bytes | None, bytes, bytes, bool]], cuts: list[int]
) -> None:
    data, wanted = b"", []
    for message, host, other, binary in entries:
        fields = [(b"__CURSOR", b"s=1;i=2"), (b"_HOSTNAME", host), (b"DATA", other)]
        if message is not None:
            fields.append((b"MESSAGE", message))
            wanted.append((message.replace(b"\n", b" "), host.decode()))
        data += entry(fields, binary)
    assert [(one.data, one.origin) for one in cut_up(JournalCutter(), data, cuts)] == wanted


def test_a_journal_field_of_any_length_takes_no_more_memory_than_a_line() -> None:
    cutter = JournalCutter()
    cutter.feed(b"MESSAGE\n" + (2**29).to_bytes(8, "little"))
    for _ in range(100):
        assert cutter.feed(b"y" * 65_536) == []
        assert len(cutter._waiting) < MOST_BYTES + 32
    assert cutter.finish() == []
    for _ in range(100):
        cutter.feed(b"z" * 65_536)
        assert len(cutter._waiting) < MOST_BYTES + 32
    made = cutter.feed(b"\nMESSAGE\n" + (70_000).to_bytes(8, "little") + b"m" * 70_000 + b"\n\n")
    made += cutter.feed(b"MESSAGE\n" + (2**60).to_bytes(8, "little") + b"\nMESSAGE=go on\n\n")
    assert [len(one.data) for one in made] == [MOST_BYTES, 5]
    assert cutter.counters["bytes_cut"] == 70_000 - MOST_BYTES


@settings(max_examples=200)
@given(st.binary(max_size=400), CUTS)
def test_bytes_that_are_no_journal_give_the_same_in_any_split(data: bytes, cuts: list[int]) -> None:
    assert cut_up(JournalCutter(), data, cuts) == cut_up(JournalCutter(), data, [])
