"""Brokers that are not there, refuse, hang, talk nonsense or go away, and a full queue: one clear line, exit code 6."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from edgesnn.broker_url import Broker
from edgesnn.cli.main import main
from edgesnn.mqtt import Client
from edgesnn.publish.broker import available, free_port
from edgesnn.publish.sinks import mqtt
from tests.brokers import KillableBroker
from tests.small_models import small_document

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "recordings" / "air_drums.raw"
needs_mosquitto = pytest.mark.skipif("mosquitto" not in available(), reason="mosquitto is not installed")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    small_document().save(path)
    return path


def replay(model: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgesnn", "replay", str(RECORDING), "-m", str(model), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=pipe, stderr=pipe, text=True)


def assert_one_line(process: subprocess.Popen[str], code: int, *words: str, limit_s: float = 30.0) -> None:
    """Check that the process ends in time, with this exit code and one line of error that holds the words.

    Before it stands at most the summary of what was played.
    """
    _, error = process.communicate(timeout=limit_s)
    assert process.returncode == code, error
    complaints = [line for line in error.splitlines() if line.startswith("edgesnn: ")]
    assert len(complaints) == 1, error
    assert error.splitlines()[-1] == complaints[0]
    assert complaints[0].startswith("edgesnn: error: ")
    assert "Traceback" not in error
    for word in words:
        assert word in complaints[0]


def test_nothing_listens(model):
    port = free_port()
    assert_one_line(replay(model, "--mqtt", f"mqtt://127.0.0.1:{port}"), 6, f"127.0.0.1:{port}", "refused", "running")


def test_a_name_that_does_not_exist(model):
    assert_one_line(replay(model, "--mqtt", "mqtt://no-such-host.invalid"), 6, "no-such-host.invalid", "cannot reach")


def test_certificates_that_are_none(model):
    arguments = ("--mqtt", f"mqtts://127.0.0.1:{free_port()}", "--mqtt-ca-file", str(ROOT / "README.md"))
    assert_one_line(replay(model, *arguments), 5, "README.md", "certificate authorities", "PEM")


def test_a_full_queue(model, tmp_path, monkeypatch, capsys):
    """The broker stops taking anything while there is room for one prediction and more to come."""
    small = partial(mqtt.Outbox, capacity=1, policy="block", block_s=0.3)
    monkeypatch.setattr(mqtt, "Outbox", lambda **_: small())
    with KillableBroker(available()[0], tmp_path) as broker:
        monkeypatch.setattr(mqtt.MqttSink, "open", stop_after(mqtt.MqttSink.open, broker))
        code = main(["replay", str(RECORDING), "-m", str(model), "--mqtt", broker.url])
    complaints = [line for line in capsys.readouterr().err.splitlines() if line.startswith("edgesnn: ")]
    assert code == 6
    assert len(complaints) == 1
    assert "queue of predictions is full" in complaints[0]


def stop_after(open_sink, broker):
    """Return `open_sink`, after which the broker answers nothing any more."""

    def opened(sink) -> None:
        open_sink(sink)
        broker.signal(signal.SIGSTOP)

    return opened


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mqtt://ann:secret@127.0.0.1", ("EDGESNN_MQTT_PASSWORD", "--mqtt-password-file")),
        ("127.0.0.1:1883", ("not a broker URL", "mqtt://[user@]host")),
        ("http://127.0.0.1", ("not a broker URL",)),
        ("mqtt://127.0.0.1:70000", ("not a broker URL",)),
    ],
)
def test_a_wrong_url_is_a_usage_error(model, url, words):
    process = replay(model, "--mqtt", url)
    assert_one_line(process, 2, *words)


def test_a_password_file_that_is_not_there(model, tmp_path):
    arguments = ("--mqtt", "mqtt://ann@127.0.0.1", "--mqtt-password-file", str(tmp_path / "nowhere"))
    assert_one_line(replay(model, *arguments), 5, "nowhere", "No such file")


@needs_mosquitto
@pytest.mark.parametrize("password", [None, "wrong"])
def test_a_broker_that_refuses_us(model, tmp_path, password):
    with KillableBroker("mosquitto", tmp_path, password=("ann", "right")) as broker:
        url = f"mqtt://{'ann@' if password else ''}127.0.0.1:{broker.broker.port}"
        environment = {"EDGESNN_MQTT_PASSWORD": password} if password else {}
        assert_one_line(replay(model, "--mqtt", url, **environment), 6, "refused", "EDGESNN_MQTT_PASSWORD")


@needs_mosquitto
def test_a_broker_that_refuses_what_we_publish(model, tmp_path):
    """MQTT 5 says so; replay keeps on where only the other topics are refused."""
    with KillableBroker("mosquitto", tmp_path, access="topic read #\n") as broker:
        assert_one_line(replay(model, "--mqtt", broker.url), 6, broker.url, "refuses", "Not authorized", "access")
    with KillableBroker("mosquitto", tmp_path, access="topic read #\ntopic write edgesnn/+/+/prediction\n") as broker:
        process = replay(model, "--mqtt", broker.url)
        _, error = process.communicate(timeout=30)
    assert process.returncode == 0, error


def test_a_broker_that_takes_us_and_drops_us_at_once_is_tried_less_and_less_often():
    taken = []

    def take_and_drop(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"\x20\x03\x00\x00\x00")
                taken.append(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=take_and_drop, args=(server,), daemon=True).start()
        client = Client(Broker("127.0.0.1", server.getsockname()[1]), client_id="c", protocol="5")
        deadline = time.monotonic() + 3.0
        while time.monotonic() < deadline:
            client.poll(0.1)
        client.close()
    assert 3 <= len(taken) <= 8  # after waits of at least 0.1, 0.2, 0.4, 0.8 and 1.6 s; without back-off 15


def test_a_broker_over_its_quota_is_asked_again_and_named(model):
    """A server that answers every message with "quota exceeded" (0x97), which may pass."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_refuse_all, args=(server,), daemon=True).start()
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        assert_one_line(replay(model, "--mqtt", url), 6, "predictions were not delivered", "Quota exceeded")


def _refuse_all(server: socket.socket) -> None:
    """Accept one connection and answer each PUBLISH of QoS 1 with a PUBACK of reason 0x97."""
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as stream:
        while head := stream.read(1):
            size, shift = 0, 0
            while (byte := stream.read(1)[0]) & 0x80:
                size, shift = size | (byte & 0x7F) << shift, shift + 7
            body = stream.read(size | byte << shift)
            if head[0] >> 4 == 1:
                connection.sendall(b"\x20\x03\x00\x00\x00")
            elif head[0] >> 4 == 3:
                topic = int.from_bytes(body[:2], "big")
                connection.sendall(b"\x40\x03" + body[2 + topic : 4 + topic] + b"\x97")


@needs_mosquitto
def test_plain_mqtt_where_tls_is_asked_for(model, tmp_path):
    with KillableBroker("mosquitto", tmp_path) as broker:
        process = replay(model, "--mqtt", f"mqtts://127.0.0.1:{broker.broker.port}")
        assert_one_line(process, 6, "mqtts://127.0.0.1")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> dict[str, Path]:
    """Return certificates that sign themselves, with their keys in the same file, by the name they are for."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificates to test with")
    folder = tmp_path_factory.mktemp("certificates")
    found = {}
    for name, alternative in (("ours", "IP:127.0.0.1"), ("another", "DNS:another.example")):
        key, certificate, found[name] = (folder / f"{name}.{kind}" for kind in ("key", "crt", "pem"))
        command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
        command += ["-addext", f"subjectAltName={alternative}", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)
        found[name].write_bytes(key.read_bytes() + certificate.read_bytes())
    return found


@pytest.mark.parametrize(
    ("certificate", "authority", "words"),
    [
        ("ours", None, ("certificate is not accepted", "self")),
        ("ours", "another", ("certificate is not accepted",)),
        ("another", "another", ("certificate is not accepted", "127.0.0.1")),
        ("ours", "ours", ("closed before it answered",)),
    ],
)
def test_only_a_broker_with_the_right_certificate_hears_from_us(model, certificates, certificate, authority, words):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates[certificate])
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_listen, args=(server, context, heard), daemon=True).start()
        arguments = ["--mqtt", f"mqtts://ann@127.0.0.1:{server.getsockname()[1]}", "--mqtt-protocol", "5"]
        arguments += [] if authority is None else ["--mqtt-ca-file", str(certificates[authority])]
        assert_one_line(replay(model, *arguments, EDGESNN_MQTT_PASSWORD="hunter2"), 6, *words)
    assert any(b"hunter2" in data for data in heard) == (certificate == authority == "ours")


def _listen(server: socket.socket, context: ssl.SSLContext, heard: list[bytes]) -> None:
    """Note what comes over TLS, and close, until the server is closed."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
            heard.append(secured.recv(1000))


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\xff\xff\xff\xff\xff", b"\x00" * 64]
)
def test_a_server_that_speaks_no_mqtt(model, answer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer, args=(server, answer), daemon=True)
        thread.start()
        port = server.getsockname()[1]
        words = ("closed before it answered",) if not answer else ()
        assert_one_line(replay(model, "--mqtt", f"mqtt://127.0.0.1:{port}"), 6, f"127.0.0.1:{port}", *words)


def _answer(server: socket.socket, answer: bytes) -> None:
    """Answer every connection with these bytes and close it, until the server is closed."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.recv(1000)
            connection.sendall(answer)


def test_a_server_that_says_nothing(model):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        process = replay(model, "--mqtt", f"mqtt://127.0.0.1:{port}")
        assert_one_line(process, 6, f"127.0.0.1:{port}", "no answer")


@needs_mosquitto
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_broker_that_goes_away_in_the_middle(model, tmp_path, number):
    with KillableBroker("mosquitto", tmp_path) as broker:
        process = replay(model, "--mqtt", broker.url, "--speed", "1x", "--json")
        assert process.stdout is not None
        process.stdout.readline()
        broker.signal(number)
        assert_one_line(process, 6, broker.url, "predictions were not delivered")


@needs_mosquitto
def test_a_broker_that_comes_back_in_time_costs_nothing(model, tmp_path):
    with KillableBroker("mosquitto", tmp_path) as broker:
        process = replay(model, "--mqtt", broker.url, "--speed", "1x", "--json")
        assert process.stdout is not None
        process.stdout.readline()
        broker.kill()
        time.sleep(0.3)
        broker.start()
        _, error = process.communicate(timeout=30)
    assert process.returncode == 0, error
    assert "Traceback" not in error


def test_no_traceback_when_ctrl_c_comes_while_publishing(model, tmp_path):
    with KillableBroker(available()[0], tmp_path) as broker:
        process = replay(model, "--mqtt", broker.url, "--speed", "0.1x", "--json")
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error.splitlines()[-1] == "edgesnn: interrupted"
    assert "Traceback" not in error
