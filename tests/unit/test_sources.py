"""Live sources: the contract over the registry, addresses, the words of UDP, and closing."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn import variants
from edgesnn.events.formats.base import EncoderOptions
from edgesnn.events.registry import get
from edgesnn.events.sources import registry
from edgesnn.events.sources.address import parse
from edgesnn.events.sources.live import OPTIONS, LiveSource
from edgesnn.events.sources.sockets import resolve
from edgesnn.events.sources.udp import UdpLink
from edgesnn.events.types import TRIGGER
from tests.live import encoded, made_up, read_events, wait_until

HOW = "format=evt3&sensor=640x480"
EVENTS = made_up(5_000)


@pytest.fixture
def udp() -> Iterator[LiveSource]:
    with edgesnn.open(f"udp://127.0.0.1:0?{HOW}&dead_ms=500") as source:
        yield source


def sender(kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
    return socket.socket(socket.AF_INET, kind)


def send(one: socket.socket, source: LiveSource, data: bytes, size: int = 1400) -> None:
    """Send datagrams of this size, not faster than they are read."""
    for at in range(0, len(data), size):
        one.sendto(data[at : at + size], ("127.0.0.1", source.port))
        if at // size % 32 == 31:
            time.sleep(0.001)


# --- the contract ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", registry.names())
def test_every_source_keeps_its_contract(name: str) -> None:
    one = registry.get(name)
    assert one.name == name
    assert one.form.startswith(f"{name}:")
    assert one.help
    assert one.__doc__
    assert not set(dict(one.options)) & set(OPTIONS)
    with pytest.raises(edgesnn.UsageError, match="no option 'bogus'"):
        edgesnn.open(f"{name}://127.0.0.1:1/x?bogus=1")


@pytest.mark.parametrize("name", registry.SOURCES)
def test_a_source_is_one_file_of_its_name(name: str) -> None:
    module, _, _ = registry.SOURCES[name].partition(":")
    assert module == f"edgesnn.events.sources.{name}"


# --- addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nothing://127.0.0.1:1", "no such source: found 'nothing', expected one of dv, .*udp"),
        ("udp://127.0.0.1?format=evt3", "no port: expected udp://HOST:PORT"),
        ("udp://127.0.0.1:99999?format=evt3", "not the address of a source"),
        ("udp://127.0.0.1:0", "the format is not said: expected one of .*evt3.*; add \\?format=NAME"),
        ("udp://127.0.0.1:0?format=aedat5", "no such format: found 'aedat5'"),
        ("udp://127.0.0.1:0?format=npz", "not the format of a stream"),
        ("udp://127.0.0.1:0?formt=evt3", "no option 'formt': .*did you mean format\\?"),
        ("udp://127.0.0.1:0?format=evt3&format=evt2", "format is said twice"),
        ("udp://127.0.0.1:0?format=evt3&sensor=640", "not a sensor size"),
        ("udp://127.0.0.1:0?format=evt3&peers=gate.local", "peers are IP addresses"),
        ("udp://127.0.0.1:0?format=evt3&peers=", "peers are IP addresses"),
        ("udp://127.0.0.1:0?format=evt3&sender=best", "sender is no such word: found 'best', expected first or any"),
        ("udp://127.0.0.1:0?format=evt3&dead_ms=1s", "dead_ms is out of range: found '1s'"),
        ("udp://ann@127.0.0.1:0?format=evt3", "a source has no user"),
        ("tcp://127.0.0.1:1?format=evt3&peers=127.0.0.1", "peers are those who connect"),
        ("tcp://127.0.0.1:1?format=evt3&listen=yes", "listen takes no value"),
        ("unix:?format=evt3", "not the path of a socket"),
        ("unix://Gate?format=evt3", "not the path of a socket: expected unix:PATH"),
        ("pipe:?format=evt3", "not a pipe"),
        ("pipe:a%00b?format=evt3", "a path that no file can have"),
        ("unix:\ud800?format=evt3", "unix:\ufffd.*: not the address of a source"),
        ("spif://127.0.0.1:0?format=evt3", "SPIF is one format"),
    ],
)
def test_a_wrong_address_is_one_clear_error(url: str, words: str) -> None:
    with pytest.raises(edgesnn.UsageError, match=words):
        edgesnn.open(url)


def test_what_is_no_address_is_a_file() -> None:
    for name in ("C:/gate.raw", "./udp:3333", "./gate://1"):
        with pytest.raises(edgesnn.RecordingError):
            edgesnn.open(name)


def test_the_path_of_an_address_is_decoded_and_its_options_are_not_lost() -> None:
    address = parse("pipe:/tmp/a%3Fb?once&format=evt2")
    assert (address.scheme, address.path, dict(address.options)) == ("pipe", "/tmp/a?b", {"once": "", "format": "evt2"})


def test_live_sources_skip_damage_and_have_no_columns() -> None:
    with pytest.raises(edgesnn.UsageError, match="live sources skip"):
        edgesnn.open(f"udp://127.0.0.1:0?{HOW}", on_corrupt="strict")
    with pytest.raises(edgesnn.UsageError, match="has no columns"):
        edgesnn.open(f"udp://127.0.0.1:0?{HOW}", columns="t,x,y,p")


def test_arguments_replace_what_the_address_says() -> None:
    with edgesnn.open("udp://127.0.0.1:0?format=evt3", format="evt2", sensor=(320, 240)) as source:
        assert (source.format, source.sensor) == ("evt2", (320, 240))


def test_a_port_in_use_is_an_error_that_says_so(udp: LiveSource) -> None:
    with pytest.raises(edgesnn.RecordingError, match=r"cannot listen: .*in use; is another program"):
        edgesnn.open(f"udp://127.0.0.1:{udp.port}?{HOW}")


def test_a_source_listens_on_this_machine_alone_unless_told_otherwise() -> None:
    with edgesnn.open(f"udp://:0?{HOW}") as source:
        assert source._link._socket.getsockname()[0] == "127.0.0.1"
    with edgesnn.open(f"tcp://:0?listen&{HOW}") as source:
        assert source._link._listener.getsockname()[0] == "127.0.0.1"


# --- UDP ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1400, 64, 7])
def test_datagrams_of_any_size_give_the_events(udp: LiveSource, size: int) -> None:
    """Also such that split words."""
    events = EVENTS[:1000]
    with sender() as one:
        threading.Thread(target=send, args=(one, udp, encoded(events), size)).start()
        got = read_events(udp, len(events))
    assert got.tolist() == events.tolist()
    assert udp.counters["connections"] == 1
    assert udp.counters["bad_words"] == udp.counters["lost_packets"] == 0


def test_the_states_of_a_sender_that_comes_pauses_and_goes(udp: LiveSource) -> None:
    assert (udp.state, udp.t_end_us, udp.read()) == ("waiting", None, None)
    with sender() as one:
        send(one, udp, encoded(EVENTS))
        read_events(udp, len(EVENTS))
        assert udp.state == "live"
        reached_us = udp.t_end_us
        wait_until(udp, lambda: udp.t_end_us > reached_us)  # idle: time goes on
        wait_until(udp, lambda: udp.state == "dead")
    stopped_us = udp.t_end_us
    assert reached_us < stopped_us <= reached_us + 1_000_000
    assert udp.read(0.1) is None
    assert udp.t_end_us == stopped_us


def test_a_sender_that_goes_is_told_once(udp: LiveSource, caplog: pytest.LogCaptureFixture) -> None:
    with sender() as one:
        for _ in range(2):
            send(one, udp, encoded(EVENTS))
            wait_until(udp, lambda: udp.state == "live")
            wait_until(udp, lambda: udp.state == "dead")
            udp.read(0.05)
    assert len([one for one in caplog.messages if "the sender is gone" in one]) == 1


def test_a_sender_that_comes_back_with_a_new_clock_goes_on_where_it_was(udp: LiveSource) -> None:
    with sender() as one:
        send(one, udp, encoded(made_up(2_000, start_us=9_000_000)))
        read_events(udp, 2_000)
        wait_until(udp, lambda: udp.state == "dead")
    reached_us = udp.t_end_us
    with sender() as one:
        send(one, udp, encoded(EVENTS))
        got = read_events(udp, len(EVENTS))
    assert (np.diff(got["t"]) == np.diff(EVENTS["t"])).all()
    assert got["t"][0] >= reached_us
    assert (udp.counters["connections"], udp.counters["clock_resyncs"]) == (2, 1)


def test_another_senders_datagrams_are_not_mixed_in() -> None:
    words = encoded(EVENTS)
    url = f"udp://127.0.0.1:0?{HOW}&dead_ms=20000"
    with edgesnn.open(url) as udp, sender() as one, sender() as forger:
        send(one, udp, words[:1400])
        wait_until(udp, lambda: udp.counters["datagrams"] == 1)
        send(forger, udp, b"\xff\x80" * 100)
        send(one, udp, words[1400:])
        got = read_events(udp, len(EVENTS) - udp.counters["events"])
        assert got.tolist() == EVENTS[-len(got) :].tolist()
        assert udp.counters["foreign_datagrams"] == 1


@pytest.mark.parametrize("silent", [False, True], ids=["before the sender", "in its silence"])
def test_a_few_forged_datagrams_do_not_take_the_port(silent: bool) -> None:
    words = encoded(EVENTS)
    begun = 4_000 if silent else 0
    url = f"udp://127.0.0.1:0?{HOW}&dead_ms={300 if silent else 20_000}"
    with edgesnn.open(url) as udp, sender() as one, sender() as forger:
        if silent:
            send(one, udp, words[:begun], 400)
            wait_until(udp, lambda: udp.state == "dead")
        for number in range(3):
            send(forger, udp, bytes([number]) * 60)
        wait_until(udp, lambda: udp.counters["datagrams"] == begun // 400 + 3)
        send(one, udp, words[begun:], 400)
        send(forger, udp, bytes(60))
        total = len(range(begun, len(words), 400))
        wait_until(udp, lambda: udp.counters["datagrams"] == begun // 400 + 3 + total - 7)
        wait_until(udp, lambda: udp.counters["foreign_datagrams"] == 7 + 1)


@pytest.mark.parametrize("forged", [b"\xff\x8f" * 40, bytes(range(200)) * 7, b"\x11" * 999, b"".join(
    bytes((high, 0x80 | high >> 8, 0, 0x60)) for high in range(200, 240)
)])  # fmt: skip
def test_a_forged_datagram_cannot_stop_a_stream(forged: bytes) -> None:
    """Though it is taken for the sender's own, here."""
    first, rest = EVENTS[:2_000], EVENTS[2_000:]
    with edgesnn.open(f"udp://127.0.0.1:0?{HOW}&sender=any") as udp, sender() as one, sender() as forger:
        words = encoded(EVENTS)
        cut = len(encoded(first, t_end_us=int(first["t"][-1]))) // 2 * 2
        send(one, udp, words[:cut])
        wait_until(udp, lambda: udp.counters["bytes"] == cut)
        reached_us = udp.t_end_us
        send(forger, udp, forged)
        wait_until(udp, lambda: udp.counters["bytes"] == cut + len(forged))
        send(one, udp, words[cut:])
        got = np.concatenate(wait_until(udp, lambda: udp.counters["bytes"] == len(words) + len(forged)))
        tail = got[-1_000:]
        assert np.array_equal(tail[["x", "y", "p"]], rest[-1_000:][["x", "y", "p"]])
        assert np.array_equal(np.diff(tail["t"]), np.diff(rest["t"][-1_000:]))
        assert abs(int(tail["t"][-1]) - int(rest["t"][-1])) < 2_000_000
        assert udp.t_end_us - reached_us < 2_500_000


def test_a_datagram_that_comes_twice_counts_once(udp: LiveSource) -> None:
    words = encoded(EVENTS)
    with sender() as one:
        for at in range(0, len(words), 1000):
            send(one, udp, words[at : at + 1000])
            send(one, udp, words[at : at + 1000])
        got = read_events(udp, len(EVENTS))
    assert got.tolist() == EVENTS.tolist()
    twice = len(words) // 1000
    assert twice <= udp.counters["duplicate_datagrams"] <= twice + 1


def test_the_same_datagrams_of_a_format_that_counts_differences_are_time() -> None:
    events = EVENTS[:20].copy()
    events["t"][10:] += 800_000
    encoder = get("es").encoder(EncoderOptions((640, 480)))
    encoder.begin()
    words = encoder.encode(events, np.zeros(0, TRIGGER), None)
    with edgesnn.open("udp://127.0.0.1:0?format=es&sensor=640x480") as udp, sender() as one:
        send(one, udp, words, 100)
        got = read_events(udp, len(events))
        assert udp.counters["duplicate_datagrams"] == 0
    assert np.diff(got["t"]).tolist() == np.diff(events["t"]).tolist()


def test_after_a_lost_datagram_that_split_a_word_the_words_are_found_again(udp: LiveSource) -> None:
    events = made_up(20_000)
    words = encoded(events)
    pieces = [words[at : at + 999] for at in range(0, len(words), 999)]
    with sender() as one:
        for number, piece in enumerate(pieces):
            if number != 4:
                send(one, udp, piece)
                time.sleep(0.0002)
        got = np.concatenate(wait_until(udp, lambda: udp.counters["datagrams"] == len(pieces) - 1))
    assert np.array_equal(got[-1_000:][["x", "y", "p"]], events[-1_000:][["x", "y", "p"]])
    assert np.array_equal(np.diff(got["t"][-1_000:]), np.diff(events["t"][-1_000:]))


def test_what_the_system_drops_is_counted() -> None:
    with edgesnn.open(f"udp://127.0.0.1:0?{HOW}") as udp, sender() as one:
        for number in range(20_000):
            one.sendto(number.to_bytes(4, "little") * 350, ("127.0.0.1", udp.port))
        read = -1
        while udp.counters["datagrams"] > read:
            read = udp.counters["datagrams"]
            udp.read(0.3)
        assert 0 < read < 20_000
        one.sendto(b"\x00\x80" * 700, ("127.0.0.1", udp.port))
        wait_until(udp, lambda: udp.counters["datagrams"] == read + 1)
        assert udp.counters["lost_packets"] == 20_000 - read


def test_the_systems_count_of_what_it_drops_may_wrap() -> None:
    link = UdpLink(parse(f"udp://127.0.0.1:0?{HOW}"))
    for drops in (0, 3, 3, 0xFFFFFFFF, 1):
        link.counters["lost_packets"] += link._drops.new([(socket.SOL_SOCKET, 40, struct.pack("@I", drops))])
    assert link.counters["lost_packets"] == 0xFFFFFFFF + 2
    link.close()


def test_only_peers_may_send() -> None:
    with edgesnn.open(f"udp://127.0.0.1:0?{HOW}&peers=127.0.0.2") as udp, sender() as stranger, sender() as peer:
        peer.bind(("127.0.0.2", 0))
        send(stranger, udp, encoded(EVENTS)[:1400])
        send(peer, udp, encoded(EVENTS))
        assert read_events(udp, len(EVENTS)).tolist() == EVENTS.tolist()
        assert udp.counters["refused_peers"] == 1


# --- closing -----------------------------------------------------------------------------------------------------


def test_a_closed_source_ends_the_iteration_in_another_thread(udp: LiveSource) -> None:
    seen: list[object] = []
    reader = threading.Thread(target=lambda: seen.extend(udp))
    reader.start()
    time.sleep(0.05)
    udp.close()
    reader.join(5.0)
    assert not reader.is_alive()
    assert udp.state == "closed"
    udp.close()
    with pytest.raises(edgesnn.UsageError, match="the source is closed"):
        udp.read()


def test_counters_and_state_may_be_asked_for_while_another_thread_reads() -> None:
    words = encoded(EVENTS)
    seen: list[int] = []
    with edgesnn.open(f"tcp://127.0.0.1:0?listen&{HOW}") as source:
        reader = threading.Thread(target=lambda: [None for _ in source])
        reader.start()
        for turn in range(20):
            with socket.create_connection(("127.0.0.1", source.port)) as one:
                one.sendall(words)
                seen.append(source.counters["events"])
            while source.counters["disconnections"] <= turn:
                assert source.state in ("waiting", "live", "quiet", "dead")
        assert source.counters["events"] == 20 * len(EVENTS)
    reader.join(5.0)
    assert not reader.is_alive()
    assert seen == sorted(seen)


def test_a_source_that_nobody_holds_is_closed(tmp_path: Path) -> None:
    source = edgesnn.open(f"unix:{tmp_path}/s?listen&{HOW}")
    assert (tmp_path / "s").exists()
    del source
    assert not (tmp_path / "s").exists()


def test_sources_of_other_packages_come_after_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"udp": "nowhere:Udp", "queue": "edgesnn.events.sources.pipe:Pipe"}
    others = {name: EntryPoint(name, value, "edgesnn.sources") for name, value in values.items()}
    monkeypatch.setattr(variants, "entry_points_of", lambda group: others)
    assert registry.names() == [*registry.SOURCES, "queue"]
    assert registry.get("udp").name == "udp"
    assert registry.get("queue").name == "pipe"
    assert registry.is_source("queue:/x")


def test_an_address_of_ipv6_is_one() -> None:
    with (
        edgesnn.open(f"udp://[::1]:0?{HOW}&peers=::1") as source,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one,
    ):
        words = encoded(EVENTS[:200])
        one.sendto(words, ("::1", source.port))
        assert read_events(source, 200).tolist() == EVENTS[:200].tolist()


def test_a_name_with_addresses_of_both_kinds_means_that_of_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 7777, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 7777)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    for name in ("tcp", "udp"):
        found = resolve(parse(f"{name}://localhost:7777"), socket.SOCK_STREAM, bind=name == "udp")
        assert found == (socket.AF_INET, ("127.0.0.1", 7777))


def test_a_source_that_cannot_be_leaves_nothing_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(edgesnn.UsageError):
            edgesnn.open("udp://127.0.0.1:0?format=npz")
    assert len(os.listdir("/proc/self/fd")) <= before
