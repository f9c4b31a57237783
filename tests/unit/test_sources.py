"""Live sources: the contract over the registry, addresses, and the words of UDP, TCP, UNIX sockets and pipes."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.events.formats.base import DecoderOptions
from edgesnn.events.registry import get as get_format
from edgesnn.events.sources import registry
from edgesnn.events.sources.address import parse
from edgesnn.events.sources.framing import HeadedDecoder
from edgesnn.events.sources.live import OPTIONS, LiveSource
from edgesnn.events.sources.udp import UdpLink
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
        ("udp://127.0.0.1?format=evt3", "no port: expected udp://HOST:PORT"),
        ("udp://127.0.0.1:99999?format=evt3", "not the address of a source"),
        ("udp://127.0.0.1:0", "the format is not said: expected one of .*evt3.*; add \\?format=NAME"),
        ("udp://127.0.0.1:0?format=aedat5", "no such format: found 'aedat5'"),
        ("udp://127.0.0.1:0?format=npz", "not the format of a stream"),
        ("udp://127.0.0.1:0?formt=evt3", "no option 'formt': .*did you mean format\\?"),
        ("udp://127.0.0.1:0?format=evt3&format=evt2", "format is said twice"),
        ("udp://127.0.0.1:0?format=evt3&sensor=640", "not a sensor size"),
        ("udp://127.0.0.1:0?format=evt3&peers=gate.local", "peers are IP addresses"),
        ("udp://127.0.0.1:0?format=evt3&sender=best", "sender is no such word: found 'best', expected first or any"),
        ("udp://127.0.0.1:0?format=evt3&dead_ms=1s", "dead_ms is out of range: found '1s'"),
        ("udp://ann@127.0.0.1:0?format=evt3", "a source has no user"),
        ("tcp://127.0.0.1:1?format=evt3&peers=127.0.0.1", "peers are those who connect"),
        ("tcp://127.0.0.1:1?format=evt3&listen=yes", "listen takes no value"),
        ("unix:?format=evt3", "not the path of a socket"),
        ("pipe:?format=evt3", "not a pipe"),
    ],
)
def test_a_wrong_address_is_one_clear_error(url: str, words: str) -> None:
    with pytest.raises(edgesnn.UsageError, match=words):
        edgesnn.open(url)


def test_what_is_no_address_is_a_file() -> None:
    for name in ("nothing://127.0.0.1:1", "C:/gate.raw", "./udp:3333"):
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
        link._count_drops([(socket.SOL_SOCKET, 40, struct.pack("@I", drops))])
    assert link.counters["lost_packets"] == 0xFFFFFFFF + 2
    link.close()


def test_only_peers_may_send() -> None:
    with edgesnn.open(f"udp://127.0.0.1:0?{HOW}&peers=127.0.0.2") as udp, sender() as stranger, sender() as peer:
        peer.bind(("127.0.0.2", 0))
        send(stranger, udp, encoded(EVENTS)[:1400])
        send(peer, udp, encoded(EVENTS))
        assert read_events(udp, len(EVENTS)).tolist() == EVENTS.tolist()
        assert udp.counters["refused_peers"] == 1


# --- TCP and UNIX sockets ----------------------------------------------------------------------------------------


def test_a_tcp_source_connects_and_comes_back_when_the_server_does() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with edgesnn.open(f"tcp://127.0.0.1:{port}?{HOW}") as source:
            for turn in range(2):
                threading.Thread(target=_serve, args=(server, encoded(EVENTS))).start()
                got = read_events(source, len(EVENTS))
                assert np.array_equal(got[["x", "y", "p"]], EVENTS[["x", "y", "p"]])
                wait_until(source, lambda: source.state == "dead")
                assert source.counters["disconnections"] == turn + 1
            assert source.counters["connections"] == 2
            assert source.counters["bad_words"] == 0


def _serve(server: socket.socket, data: bytes, size: int = 777) -> None:
    connection, _ = server.accept()
    with connection:
        for at in range(0, len(data), size):
            connection.sendall(data[at : at + size])


def test_a_server_that_is_not_there_yet_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with edgesnn.open(f"tcp://127.0.0.1:{port}?{HOW}") as source:
        wait_until(source, lambda: source.counters["failed_connections"] > 1)
        assert source.state == "waiting"
        with socket.create_server(("127.0.0.1", port)) as server:
            threading.Thread(target=_serve, args=(server, encoded(EVENTS))).start()
            assert read_events(source, len(EVENTS)).tolist() == EVENTS.tolist()
    assert len([one for one in caplog.messages if "cannot connect yet" in one]) == 1


@pytest.mark.parametrize("scheme", ["tcp", "unix"])
def test_a_listening_source_takes_one_sender_after_the_other(scheme: str, tmp_path: Path) -> None:
    place = f"unix:{tmp_path}/s?listen" if scheme == "unix" else "tcp://127.0.0.1:0?listen"
    with edgesnn.open(f"{place}&{HOW}") as source:
        for turn in range(3):
            with _connected(source, tmp_path / "s") as one:
                one.sendall(encoded(EVENTS)[:-3])  # cut inside a word
            got = np.concatenate(wait_until(source, lambda turn=turn: source.counters["disconnections"] > turn))
            assert np.array_equal(got[["x", "y", "p"]], EVENTS[["x", "y", "p"]])
            assert source.state == "dead"
        counters = source.counters
    assert (counters["connections"], counters["disconnections"], counters["bad_words"]) == (3, 3, 0)
    assert counters["truncated_bytes"] == 3
    assert not (tmp_path / "s").exists()


def _connected(source: LiveSource, path: Path) -> socket.socket:
    if source.port is not None:
        return socket.create_connection(("127.0.0.1", source.port))
    one = socket.socket(socket.AF_UNIX)
    one.connect(str(path))
    return one


def test_a_silent_sender_makes_room_for_one_that_waits() -> None:
    with edgesnn.open(f"tcp://127.0.0.1:0?listen&{HOW}&dead_ms=100") as source:
        silent = socket.create_connection(("127.0.0.1", source.port))
        wait_until(source, lambda: source.counters["connections"] == 1)
        assert source.state == "quiet"
        with silent, socket.create_connection(("127.0.0.1", source.port)) as other:
            other.sendall(encoded(EVENTS))
            assert read_events(source, len(EVENTS)).tolist() == EVENTS.tolist()
        assert source.counters["connections"] == 2


def test_only_peers_may_connect() -> None:
    with edgesnn.open(f"tcp://127.0.0.1:0?listen&{HOW}&peers=127.0.0.2,127.0.0.3") as source:
        with socket.create_connection(("127.0.0.1", source.port)):
            wait_until(source, lambda: source.counters["refused_peers"] == 1)
        with socket.create_connection(("127.0.0.1", source.port), source_address=("127.0.0.3", 0)) as one:
            one.sendall(encoded(EVENTS))
            assert len(read_events(source, len(EVENTS))) == len(EVENTS)


def test_a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with edgesnn.open(f"unix:{path}?listen&{HOW}"):
        with pytest.raises(edgesnn.RecordingError, match="cannot listen"):
            edgesnn.open(f"unix:{path}?listen&{HOW}")
        assert path.exists()
    path.write_text("a file")
    with pytest.raises(edgesnn.RecordingError, match="cannot listen"):
        edgesnn.open(f"unix:{path}?listen&{HOW}")
    assert path.read_text() == "a file"


def test_a_quiet_connection_gives_time_without_events() -> None:
    url = f"tcp://127.0.0.1:0?listen&{HOW}&idle_close_ms=10"
    with edgesnn.open(url) as source, socket.create_connection(("127.0.0.1", source.port)) as one:
        one.sendall(encoded(EVENTS))
        read_events(source, len(EVENTS))
        packet = next(packet for packet in source if not len(packet.events))
        reached_us = packet.t_end_us
        later = next(packet for packet in source if packet.t_end_us > reached_us + 50_000)
        assert not len(later.events)
        wait_until(source, lambda: source.state == "quiet")


# --- pipes -------------------------------------------------------------------------------------------------------


def test_a_named_pipe_takes_one_writer_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with edgesnn.open(f"pipe:{path}?{HOW}") as source:
        for number in range(2):
            threading.Thread(target=path.write_bytes, args=(encoded(EVENTS),)).start()
            got = read_events(source, len(EVENTS))
            assert np.array_equal(got[["x", "y", "p"]], EVENTS[["x", "y", "p"]])
            wait_until(source, lambda: source.state == "dead")
            assert source.counters["connections"] == number + 1


def test_a_pipe_that_was_removed_and_made_again_is_found(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with edgesnn.open(f"pipe:{path}?{HOW}") as source:
        for _ in range(2):
            path.unlink()
            assert source.read(0.1) is None
            os.mkfifo(path)
            threading.Thread(target=path.write_bytes, args=(encoded(EVENTS),)).start()
            assert len(read_events(source, len(EVENTS))) == len(EVENTS)
            wait_until(source, lambda: source.state == "dead")


def test_a_pipe_that_is_read_once_ends_with_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with edgesnn.open(f"pipe:{path}?once&{HOW}") as source:
        threading.Thread(target=path.write_bytes, args=(encoded(EVENTS),)).start()
        got = np.concatenate([packet.events for packet in source])
        assert got.tolist() == EVENTS.tolist()
        assert source.state == "ended"


def test_what_is_no_pipe_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(edgesnn.RecordingError, match="not a named pipe"):
        edgesnn.open(f"pipe:{tmp_path}/file?{HOW}")
    with pytest.raises(edgesnn.RecordingError, match=r"cannot be opened: no such file.*mkfifo"):
        edgesnn.open(f"pipe:{tmp_path}/none?{HOW}")


@pytest.mark.parametrize("size", [1, 5, 100_000])
@pytest.mark.parametrize(("name", "suffix"), [("evt3", ".raw"), ("evt2", ".raw"), ("evt21", ".raw"), ("dat", ".dat")])
def test_a_recording_that_is_sent_with_its_header_says_its_sensor(
    name: str, suffix: str, size: int, tmp_path: Path
) -> None:
    events = EVENTS[:500]
    variant = {"variant": "legacy"} if name == "evt21" else {}
    edgesnn.write(tmp_path / f"a{suffix}", events, sensor=(640, 480), format=name, **variant)
    data = (tmp_path / f"a{suffix}").read_bytes()
    with edgesnn.open(f"tcp://127.0.0.1:0?listen&format={name}") as source:
        for turn in range(2):
            assert source.sensor == ((640, 480) if turn else None)
            with socket.create_connection(("127.0.0.1", source.port)) as one:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for at in range(0, len(data), size):
                    one.sendall(data[at : at + size])
            got = np.concatenate(wait_until(source, lambda turn=turn: source.counters["disconnections"] > turn))
            assert np.array_equal(got[["x", "y", "p"]], events[["x", "y", "p"]])
        assert (source.sensor, source.counters["bad_words"]) == ((640, 480), 0)


def test_what_only_begins_like_a_header_is_words() -> None:
    decoder = HeadedDecoder(get_format("evt3"), DecoderOptions((640, 480), "skip"))
    plain = get_format("evt3").decoder(DecoderOptions((640, 480), "skip"))
    words = b"% \x00" + encoded(EVENTS)[3:]
    parts = [decoder.feed(words[at : at + 700])[0] for at in range(0, len(words), 700)]
    assert np.concatenate(parts).tolist() == plain.feed(words)[0].tolist()


def test_a_header_that_does_not_end_is_dropped() -> None:
    with edgesnn.open("tcp://127.0.0.1:0?listen&format=evt3") as source:
        with socket.create_connection(("127.0.0.1", source.port)) as one:
            sending = threading.Thread(target=_send_until_it_breaks, args=(one, b"% a b\n" * 1000))
            sending.start()
            wait_until(source, lambda: source.counters["dropped_connections"] == 1)
            wait_until(source, lambda: source.state == "dead")
        sending.join(10.0)
        assert not sending.is_alive()


def _send_until_it_breaks(one: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            one.sendall(data)


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
    others = {"udp": "nowhere:Udp", "queue": "edgesnn.events.sources.pipe:Pipe"}
    monkeypatch.setattr(registry, "_others", lambda: others)
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


def test_a_source_that_cannot_be_leaves_nothing_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(edgesnn.UsageError):
            edgesnn.open("udp://127.0.0.1:0?format=npz")
    assert len(os.listdir("/proc/self/fd")) <= before
