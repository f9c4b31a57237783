"""Ways to a broker: websockets, client certificates, a client id, QoS 0; `--check` of a broker that refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgesnn.broker_url import Broker, parse_broker
from edgesnn.cli.main import main
from edgesnn.errors import PublishError
from edgesnn.mqtt import Client, Lost, Message
from edgesnn.publish import Publisher
from edgesnn.publish.broker import amqtt_configuration, available, free_port
from edgesnn.publish.sinks.mqtt import MqttSink
from tests.brokers import KillableBroker, Subscriber
from tests.certificates import Authority
from tests.daemon.test_service import RECORDING, configuration, run, stream, wait_for
from tests.predictions import BOOT, NODE, make_prediction, validated

__all__ = ["run"]  # a fixture

KINDS = available()
needs_mosquitto = pytest.mark.skipif("mosquitto" not in KINDS, reason="mosquitto is not installed")


def published(to: Broker, subscribe_at: Broker, *, v5: bool = True, **options) -> list:
    """Publish 50 predictions and return what arrives."""
    options.setdefault("protocol", "auto" if v5 else "3.1.1")
    with Subscriber(subscribe_at, v5=v5) as subscriber:
        sink = MqttSink(to, node=NODE, boot_id=BOOT, **options)
        with Publisher([sink], node=NODE, boot_id=BOOT) as door:
            for window in range(50):
                door.write(make_prediction(window))
            door.finish()
        messages = subscriber.wait_for(50)
    assert [validated(message)["seq"] for message in messages] == list(range(50))
    assert sink.stats()["acknowledged"] == 50
    return messages


@needs_mosquitto
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("path", ["", "/mqtt", "/some/where?board=1"])
def test_websockets_to_mosquitto(tmp_path, protocol, path):
    port = free_port()
    with KillableBroker("mosquitto", tmp_path, more=f"listener {port} lo\nprotocol websockets") as broker:
        url = f"ws://127.0.0.1:{port}{path}"
        published(parse_broker(url, environment={}), broker.broker, protocol=protocol)


@pytest.mark.skipif("amqtt" not in KINDS, reason="amqtt is not installed: no second broker with websockets")
def test_websockets_to_amqtt(tmp_path, monkeypatch):
    port = free_port()

    def both(tcp_port: int) -> str:
        made = json.loads(amqtt_configuration(tcp_port))
        made["listeners"]["web"] = {"type": "ws", "bind": f"127.0.0.1:{port}"}
        return json.dumps(made)

    monkeypatch.setattr("tests.brokers.amqtt_configuration", both)
    with KillableBroker("amqtt", tmp_path) as broker:
        published(parse_broker(f"ws://127.0.0.1:{port}", environment={}), broker.broker, v5=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def secured(tmp_path_factory, authority) -> tuple[int, int, Path, Path]:
    """Ports of mosquitto's TLS and websockets, both asking for a certificate; one that it takes, and its key."""
    return free_port(), free_port(), *authority.sign("gate-1")


@pytest.fixture
def strict_broker(tmp_path, authority, secured):
    certificate, key = authority.sign("broker")
    files = f"cafile {authority.file}\ncertfile {certificate}\nkeyfile {key}\nrequire_certificate true\n"
    web = f"listener {secured[1]} lo\nprotocol websockets\n"
    with KillableBroker("mosquitto", tmp_path, more=f"listener {secured[0]} 127.0.0.1\n{files}{web}{files}") as broker:
        yield broker


@needs_mosquitto
@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
def test_a_client_certificate(strict_broker, authority, secured, scheme):
    port = secured[0] if scheme == "mqtts" else secured[1]
    files = {"cert_file": str(secured[2]), "key_file": str(secured[3])}
    broker = parse_broker(f"{scheme}://127.0.0.1:{port}", ca_file=str(authority.file), **files, environment={})
    published(broker, strict_broker.broker)


@needs_mosquitto
def test_without_a_certificate_the_refusal_is_one_line(strict_broker, authority, secured):
    broker = parse_broker(f"mqtts://127.0.0.1:{secured[0]}", ca_file=str(authority.file), environment={})
    client = Client(broker, client_id="c", protocol="5")
    with pytest.raises(PublishError, match=r"refused the connection.*want a certificate of ours") as refused:
        client.open()
    client.close()
    assert "\n" not in str(refused.value)


def checked(tmp_path: Path, capsys, *lines: str, code: int = 5) -> str:
    """Return the one line that `run --check` says of a configuration whose [mqtt] has these lines."""
    head = '[node]\nname = "gate-1"\n[mqtt]\n' + "\n".join(lines) + "\n"
    path = tmp_path / "config.toml"
    path.write_text(head + stream("door", str(RECORDING)))
    assert main(["run", "-c", str(path), "--check"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_is_wrong_with_our_certificate_is_one_line_with_the_key(tmp_path, capsys, authority, secured):
    _, _, certificate, key = secured
    _, other_key = authority.sign("another")
    url, cert = 'url = "mqtts://127.0.0.1"', f'cert_file = "{certificate}"'
    said = checked(tmp_path, capsys, url, cert, f'key_file = "{other_key}"')
    assert "line 6: mqtt.key_file" in said
    assert "do not belong together" in said
    said = checked(tmp_path, capsys, url, cert, f'key_file = "{authority.encrypted(key)}"')
    assert "line 6: mqtt.key_file" in said
    assert "key is encrypted" in said
    said = checked(tmp_path, capsys, url, f'cert_file = "{RECORDING}"')
    assert "line 5: mqtt.cert_file" in said
    assert "cannot use our certificate" in said
    assert "without its certificate" in checked(tmp_path, capsys, url, f'key_file = "{key}"')
    assert "mqtts://" in checked(tmp_path, capsys, 'url = "mqtt://127.0.0.1"', cert)
    said = checked(tmp_path, capsys, url, f'cert_file = "{tmp_path}/none"')
    assert "line 5: mqtt.cert_file" in said
    assert "no such certificate file" in said


@needs_mosquitto
def test_a_certificate_that_breaks_while_the_service_runs_is_said_and_mended(
    strict_broker, authority, secured, tmp_path
):
    """It is read at each connection: who renews it restarts nothing."""
    certificate = tmp_path / "board.pem"
    certificate.write_bytes(secured[2].read_bytes())
    files = {"cert_file": str(certificate), "key_file": str(secured[3])}
    broker = parse_broker(f"mqtts://127.0.0.1:{secured[0]}", ca_file=str(authority.file), **files, environment={})
    client = Client(broker, client_id="c", protocol="5", patience_s=0.3)
    client.open()
    certificate.write_text("half of it")
    strict_broker.kill()
    strict_broker.start()
    lost: list[str] = []
    wait_for(lambda: lost.extend(str(e.error) for e in client.poll(0.1) if isinstance(e, Lost)) or len(lost) > 2)
    assert "cannot use our certificate" in lost[-1]
    certificate.write_bytes(secured[2].read_bytes())
    wait_for(lambda: client.poll(0.1) is not None and client.connected)
    client.close()


@needs_mosquitto
def test_the_client_id_of_the_configuration_is_the_one_that_the_broker_sees(tmp_path, run):
    """The broker lets a client write below its own id only (%c of mosquitto's access list)."""
    access = "pattern write edgesnn/%c/#\ntopic read #\n"
    with KillableBroker("mosquitto", tmp_path, access=access) as broker, Subscriber(broker.broker) as subscriber:
        text = configuration(broker, stream("door", f"replay:{RECORDING}?loop"))
        daemon = run(text.replace("[mqtt]\n", '[mqtt]\nclient_id = "gate-1"\n'))
        subscriber.wait_for(3, timeout_s=30)
        assert {message.topic.split("/")[1] for message in subscriber.messages} == {"gate-1"}
        assert daemon.end() == 0, daemon.log
        assert subscriber.of("/health") == []  # of another connection, which has another id


@needs_mosquitto
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_qos_0_arrives_as_such_and_is_counted(tmp_path, protocol):
    """amqtt gives a subscriber the QoS that he asked for, whatever the message has."""
    with KillableBroker("mosquitto", tmp_path) as broker:
        messages = published(broker.broker, broker.broker, qos=0, protocol=protocol)
    assert {message.qos for message in messages} == {0}


def test_qos_2_is_refused_with_the_reason(tmp_path, capsys):
    said = checked(tmp_path, capsys, 'url = "mqtt://127.0.0.1"', "qos = 2")
    assert "line 5: mqtt.qos" in said
    assert "found 2" in said
    assert "QoS 2 loses" in said
    for wrong in ("true", '"1"', "3"):
        assert "QoS 2 loses" not in checked(tmp_path, capsys, 'url = "mqtt://127.0.0.1"', f"qos = {wrong}")


@pytest.mark.parametrize("wrong", ["", "a b", "é", "x" * 201])
def test_a_client_id_that_is_none_is_refused(tmp_path, capsys, wrong):
    assert "mqtt.client_id" in checked(tmp_path, capsys, 'url = "mqtt://127.0.0.1"', f'client_id = "{wrong}"')


@needs_mosquitto
def test_check_says_that_the_broker_refuses_what_is_published(tmp_path, capsys):
    with KillableBroker("mosquitto", tmp_path, access="topic read #\n") as broker:
        said = checked(tmp_path, capsys, f'url = "{broker.url}"', code=6)
    assert "line 4: mqtt.url" in said
    assert "refuses what is published" in said
    assert "Not authorized" in said


@needs_mosquitto
def test_a_message_larger_than_we_take_is_not_sent_to_us(tmp_path):
    """Of MQTT 5 we say so in CONNECT; the broker leaves it out and goes on with the next."""
    with KillableBroker("mosquitto", tmp_path) as broker:
        client = Client(broker.broker, client_id="c", protocol="5", most_bytes=1000)
        client.open()
        client.subscribe("t")
        code = "import paho.mqtt.publish as p; import sys; p.multiple([('t', b'x' * n, 1, False) for n in (5000, 7)],"
        command = [sys.executable, "-c", f"{code} hostname='127.0.0.1', port={broker.broker.port})"]
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and client.connected and not client.poll(0.1):
            pass
        subprocess.run(command, check=True)
        arrived: list[bytes] = []
        wait_for(lambda: arrived.extend(e.payload for e in client.poll(0.1) if isinstance(e, Message)) or arrived)
        client.close()
    assert arrived == [b"x" * 7]
