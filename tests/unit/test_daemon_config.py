"""A configuration is taken as written, or refused with file, line, key, value, what is allowed and the nearest key."""

from __future__ import annotations

import os
import re
import shutil
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesnn.cli.main import main
from edgesnn.daemon import check as checks
from edgesnn.daemon.reading import Read, WrongConfigError, read
from edgesnn.daemon.schema import Config, Stream
from edgesnn.daemon.template import template
from edgesnn.daemon.toml import loads
from edgesnn.graph import read as read_file
from edgesnn.runtime.model import locate
from tests.fake_drivers import FakeDrivers

ROOT = Path(__file__).resolve().parents[2]
RECORDING = str(ROOT / "recordings" / "hand_clap.raw")
GOOD = f"""\
[node]
name = "gate-1"
[mqtt]
url = "mqtt://127.0.0.1:1883"

[[stream]]
name = "door"
source = "{RECORDING}"
model = "gestures"
"""
LOG = f"""
[[stream]]
name = "log"
source = "{ROOT / "README.md"}"
model = "shakespeare"
"""


@pytest.fixture
def write(tmp_path):
    def make(text: str) -> str:
        path = tmp_path / "config.toml"
        path.write_text(text, "utf-8")
        return str(path)

    return make


def refusals(path: str) -> list[str]:
    with pytest.raises(WrongConfigError) as caught:
        checks.check(read(path), {})
    return [str(error).removeprefix(f"{path}: ") for error in caught.value.errors]


def checked(path: str) -> Read:
    made = read(path)
    checks.check(made, {})
    return made


def test_what_is_not_said_has_its_default(write):
    config = checked(write(GOOD + 'rate_limit = "10Hz"\nsensor = "640x480"\nfilters = ["flip:axis=x"]\n')).config
    stream = config.stream[0]
    assert (config.node.name, stream.rate_limit, stream.sensor) == ("gate-1", 10, (640, 480))
    assert (stream.publish, config.http.port, config.mqtt.protocol) == ("window", 9469, "auto")


def another(name: str) -> str:
    return f'[[stream]]\nname = "{name}"\nsource = "x"\nmodel = "y"'


ONE = r"line 10: stream\[0\]\."
TWO = r"line 11: stream\[1\]\.name: "
ALL = r"line 6: stream\[0\]: "
WRONG = [
    ('filtrs = ["flip"]', ONE + r"filtrs: no such key: found \['flip'\], expected .*; did you mean filters\?"),
    ('publish = "all"', ONE + r"publish: .*: found 'all', expected one of 'window' or 'change'"),
    ("speed = 1", ONE + r"speed: not a speed: found 1, expected a text such as \"1x\", or \"max\""),
    ('rate_limit = "10"', ONE + r"rate_limit: not a rate: found '10', expected a number and a unit.*"),
    ('rate_limit = "0Hz"', ONE + r"rate_limit: out of range: found '0Hz', expected at least 1Hz"),
    ('\nfilters = [\n "flip:axis=x",\n "flop"\n]', r"line 13: stream\[0\]\.filters\[1\]: no such filter: .*"),
    ("window_events = true", ONE + r"window_events: .*: found True, expected a whole number"),
    ("ring_events = 3", ONE + r"ring_events: .*: found 3, expected at least 1024"),
    ("key = 1.5", ONE + r"key: .*: found 1\.5, expected one of 'origin' or a whole number"),
    ("readout = {rejection = 2}", ONE + r"readout\.rejection: .*: found 2, expected at most 1"),
    ("readout = {rejecton = 0.2}", ONE + r"readout\.rejecton: no such key: .*did you mean rejection\?"),
    ('sha256 = "abc"', ONE + r"sha256: .*: found 'abc', expected 64 hexadecimal digits"),
    ("threshold = nan", ONE + r"threshold: .*: found nan, expected .*"),
    ("threshold = 1.0\nalerts_per_day = 2\nnormal = 'x'\nnormal_time = '1d'", ALL + r"the threshold is said twice: .*"),
    ("alerts_per_day = 2", ALL + r"alerts a day need a normal log and its time: expected .*"),
    ('"a\\u001bb" = 1', ONE + r"'a\\x1bb': no such key: found 1, .*"),
    (another("door"), TWO + r"two streams of one name: found 'door', .* line 7"),
    (another("a/b"), TWO + r"not a usable stream name: .*"),
    (another("a\\u202eb"), TWO + r"not a usable stream name: .*"),
    (another("stats"), TWO + r"this name is the node's own: .*"),
    ('[[stream]]\nname = "b"\nmodel = "y"', r"line 10: stream\[1\]\.source: this key is missing: expected a .*"),
    ("[outbx]\nrows = 1", r"line 10: outbx: no such key: .*did you mean outbox\?"),
    ("[http]\nport = 70000", r"line 11: http\.port: .*: found 70000, expected at most 65535"),
    ("[process]\ncpus = []", r"line 11: process\.cpus: .*: found \[\], expected at least one"),
    ("x = = 1", r"line 10: not TOML: found .*"),
]  # fmt: skip


@pytest.mark.parametrize(("added", "expected"), WRONG, ids=[added[:24] for added, _ in WRONG])
def test_a_wrong_key_is_named_with_its_line(write, added, expected):
    (found,) = refusals(write(GOOD + added + "\n"))
    assert re.fullmatch(expected, found), found


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("/no/such", "No such file or directory"),
        (str(ROOT / "README.md"), "Not a directory"),
        ("x" * 300, "File name too long"),
        ("/sys\\u0000", "embedded null byte"),
        ("\\u001b[2J", "No such file or directory"),
    ],
)
def test_a_sysfs_that_is_no_folder_is_refused_with_its_line(write, named, why):
    (found,) = refusals(write(GOOD + f'[telemetry]\nsysfs = "{named}"\n'))
    assert found.startswith("line 11: telemetry.sysfs: not a folder that can be read: found '")
    assert f": {why}, expected where sysfs is mounted; leave the key out" in found
    assert len(found) < 400
    assert found.isprintable()
    checked(write(GOOD + f'[telemetry]\nenabled = false\nsysfs = "{named}"\n'))


def test_a_sysfs_that_is_a_folder_is_taken(write, tmp_path):
    checked(write(GOOD + f'[telemetry]\nsysfs = "{tmp_path}"\n'))


def test_a_newer_version_is_refused_by_name_whatever_its_keys_are(write):
    (found,) = refusals(write("version = 2\n[brokers]\nall = []\n"))
    assert (
        found == "line 1: version: a configuration that is newer than this program: found version 2, expected version 1"
    )


def test_all_that_is_wrong_is_said_in_the_order_of_the_lines(write):
    found = refusals(write(GOOD.replace("name =", "nam =") + "[log]\nlevel = 1\n"))
    assert [line.split(":")[0] for line in found] == ["line 2", "line 6", "line 7", "line 11"]


SOURCE = r"line 8: stream\[0\]\.source: "
BEYOND = [
    ("gestures", "gesturs", r"line 9: stream\[0\]\.model: gesturs: no such model in the zoo: expected .*gestures.*"),
    (RECORDING, "no.raw", r"line 8: stream\[0\]\.source: no\.raw: no such file; a name that .* working directory"),
    (RECORDING, "upd://127.0.0.1:1", SOURCE + r"source: no such source: found 'upd', expected .*udp.*"),
    (RECORDING, "udp://127.0.0.1:1?fromat=evt3", SOURCE + r".*no option 'fromat'.*did you mean format\?"),
    (
        'model = "gestures"',
        f'model = "gestures"\nsha256 = "{"0" * 64}"',
        r"line 9: stream\[0\]\.model: .*: another model than the configuration says: "
        r"found sha256 [0-9a-f]{64}, expected sha256 0+; .*",
    ),
    ('1883"', '1883"\nqos = 1.0', r"line 5: mqtt\.qos: no QoS for predictions: found 1\.0, expected 1, or 0"),
    ('"gestures"', '"gestures"\nfollow = true', ONE + r"follow: this key is of models that read tokens: .*"),
    ('"gestures"', '"gestures"\nwindow_events = 1', ONE + r"window_events: .*every window would be idle.*"),
    ('"gestures"', '"gestures"\nformat = "evt9"', ONE + r"format: .*evt3.*"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), BEYOND, ids=[new[:24] for _, new, _ in BEYOND])
def test_what_is_not_there_or_does_not_fit_is_named_with_its_line(write, old, new, expected):
    assert old in GOOD
    (found,) = refusals(write(GOOD.replace(old, new)))
    assert re.fullmatch(expected, found), found


def test_a_model_of_tokens_takes_keys_of_lines_only(write):
    made = checked(write(GOOD + LOG + 'key = 3\nreset = {policy = "tokens", tokens = 64, idle = "30s"}\n'))
    assert made.config.stream[1].reset.idle == 30_000_000
    (found,) = refusals(write(GOOD + LOG + "filters = []\n"))
    assert re.match(r"line 15: stream\[1\]\.filters: this key is of models that read events: found shakespeare", found)


def test_streams_of_one_model_share_it(write):
    twice = GOOD + GOOD[GOOD.index("[[stream]]") :].replace("door", "yard") + "readout = {rejection = 0.9}\n"
    made = read(write(twice))
    models = checks.check(made, {})
    first, second = (models.get(stream) for stream in made.config.stream)
    assert first is models.get(made.config.stream[0])
    assert second.readout["rejection"] == pytest.approx(0.9)
    assert second.identity != first.identity
    ours, theirs = (next(iter(model.document.tensors.values())).data for model in (first, second))
    assert ours is theirs


def test_a_model_s_file_that_was_replaced_is_loaded_anew_and_what_no_stream_uses_goes(write, tmp_path):
    path = tmp_path / "model.safetensors"
    shutil.copy(locate("gestures"), path)
    (stream,) = read(write(GOOD.replace("gestures", str(path)))).config.stream
    models = checks.Models()
    old = models.get(stream)
    shutil.copy(locate("digits"), tmp_path / "new")
    (tmp_path / "new").replace(path)
    new = models.get(stream)
    assert new.identity != old.identity
    assert models.get(stream) is new
    gone = weakref.ref(old)
    del old
    models.keep([stream])
    assert gone() is None
    assert models.get(stream) is new


def test_a_tensor_that_is_not_its_document_s_is_refused(write, tmp_path):
    data = bytearray((ROOT / "edgesnn" / "zoo" / "gestures.safetensors").read_bytes())
    _, tensor = max(read_file(locate("gestures")).tensors.items(), key=lambda item: item[1].data.size)
    at = data.index(tensor.data.tobytes())
    data[at + tensor.data.nbytes // 2] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(data)
    (found,) = refusals(write(GOOD.replace('"gestures"', f'"{tmp_path / "damaged.safetensors"}"')))
    assert "tensor's bytes are not the document's" in found


@pytest.mark.parametrize("label", ["a/b", "clap\x1b[2J", "+", "x" * 201])
def test_a_label_that_cannot_be_published_is_refused_before_it_is_predicted(write, tmp_path, label):
    document = read_file(locate("gestures"))
    assert document.readout is not None
    labels = [label, *document.readout["labels"][1:]]
    replace(document, readout={**document.readout, "labels": labels}).save(tmp_path / "hostile.safetensors")
    (found,) = refusals(write(GOOD.replace('"gestures"', f'"{tmp_path / "hostile.safetensors"}"')))
    assert found.startswith("line 9: stream[0].model: label: not a usable label name: found ")
    assert found.isprintable()


def test_hdf5_is_left_to_offline_commands(write, tmp_path):
    (tmp_path / "clip.raw").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (found,) = refusals(write(GOOD.replace(RECORDING, str(tmp_path / "clip.raw"))))
    assert "the service reads no HDF5" in found
    (found,) = refusals(write(GOOD.replace(RECORDING, f"replay:{tmp_path / 'clip.raw'}?loop")))
    assert "the service reads no HDF5" in found


@pytest.mark.parametrize("prefix", ["", "replay:"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "nothing", "long name"])
def test_what_is_no_recording_is_refused_and_not_waited_for(write, tmp_path, prefix, kind):
    path = {"device": Path("/dev/zero"), "long name": tmp_path / ("a" * 300)}.get(kind, tmp_path / "source")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    (found,) = refusals(write(GOOD.replace(RECORDING, f"{prefix}{path}")))
    expected = {"nothing": "no such file", "long name": "cannot be read: found File name too long"}
    assert f"{path}: {expected.get(kind, 'not a regular file')}" in found


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("udp://127.0.0.1:7000?sensor=640x480", "the format is not said"),
        ("tcp://127.0.0.1:7000", "the format is not said"),
        ("unix:/run/events?format=hdf5", "not the format of a stream"),
        ("pipe:-?format=evt9", "no such format"),
        ("udp://127.0.0.1:7000?format=aedat4", "not the format of a stream"),
        ("udp://127.0.0.1:7000?format=evt3&sensor=wide", "not a sensor size"),
        ("udp://127.0.0.1:7000?format=evt3&dead_ms=-4", "dead_ms is out of range"),
        ("v4l2:/dev/video0?idle_close_ms=1s", "idle_close_ms is out of range"),
        (f"replay:{RECORDING}?speed=0x", "speed"),
        (f"replay:{RECORDING}?loop=2", "loop takes no value"),
        ("replay:", "no recording"),
    ],
)
def test_an_address_that_cannot_be_opened_is_refused_before_anything_starts(write, address, wrong):
    (found,) = refusals(write(GOOD.replace(RECORDING, address)))
    assert found.startswith("line 8: stream[0].source: ")
    assert wrong in found


@pytest.mark.parametrize(
    "address", ["udp://127.0.0.1:1?format=evt3", "tcp://nobody.invalid:7000?format=aedat4", "usb:"]
)
def test_a_source_that_is_not_there_yet_is_not_asked_for(write, address, monkeypatch):
    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", FakeDrivers())
    checked(write(GOOD.replace(RECORDING, address)))


@pytest.mark.parametrize(
    "secret",
    [
        'url = "mqtt://ann:hunter2@host"',
        'url = "mqtt://host"\npassword = "hunter2"',
        'url = "mqtt://host"\npasword_file = "hunter2"',
    ],
)
def test_what_may_be_a_secret_is_not_said_again(write, secret):
    found = refusals(write(GOOD.replace('url = "mqtt://127.0.0.1:1883"', secret)))
    assert found
    assert "hunter2" not in "".join(found)


SECRET_SOURCES = ["mqtt://ann:hunter2@host/lines", "mqtts://ann:hunter2@host", "udp://ann:hunter2@127.0.0.1:5140"]


@pytest.mark.parametrize("source", SECRET_SOURCES)
@pytest.mark.parametrize("model", ["shakespeare", "gestures"])
def test_a_password_in_a_source_is_refused_before_anything_is_published_and_not_said_again(write, source, model):
    (found,) = refusals(write(GOOD.replace(RECORDING, source).replace("gestures", model)))
    assert found.startswith("line 8: stream[0].source: ")
    assert "hunter2" not in found


@pytest.mark.parametrize("source", ["mqtt://host", "mqtt://host:port/x", "udp://127.0.0.1:5140?pers=10.0.0.1"])
def test_a_wrong_address_of_lines_is_refused_before_the_start(write, source):
    (found,) = refusals(write(GOOD.replace(RECORDING, source).replace("gestures", "shakespeare")))
    assert found.startswith("line 8: stream[0].source: ")


def test_the_password_comes_from_a_file_or_the_environment(write, tmp_path):
    (tmp_path / "secret").write_text("hunter2\n")
    text = GOOD.replace('"mqtt://127.0.0.1:1883"', f'"mqtt://ann@host"\npassword_file = "{tmp_path / "secret"}"')
    assert checks.broker_of(checked(write(text)).config.mqtt, {}).password == "hunter2"
    text = GOOD.replace("mqtt://127", "mqtt://ann@127")
    assert checks.broker_of(checked(write(text)).config.mqtt, {"EDGESNN_MQTT_PASSWORD": "x"}).password == "x"


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a = 1" * 300_000, b"a = " + b"[" * 100_000, b""])
def test_bytes_that_are_no_configuration_are_refused(tmp_path, data):
    path = tmp_path / "config.toml"
    path.write_bytes(data)
    with pytest.raises(WrongConfigError):
        read(str(path))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_configuration_is_read_or_refused_on_one_line_each(tmp_path, data):
    text = re.sub(r"^#([a-z0-9_]+ = )", r"\1", template(), flags=re.MULTILINE).encode()
    at, size = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 40))
    words = [b"[[", b"]]", b'"""', b"{", b"}", b"\n[a.b]\n", b" = 1e400"]
    piece = data.draw(st.binary(max_size=6) | st.sampled_from(words))
    path = tmp_path / "config.toml"
    path.write_bytes(text[:at] + piece + text[at + size :])
    said: list[str] = []
    try:
        read(str(path))
    except WrongConfigError as wrong:
        said = [str(error) for error in wrong.errors]
    assert all(line.startswith(f"{path}: ") and line.isprintable() for line in said)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(WrongConfigError, match="cannot read the configuration"):
        read(str(tmp_path / "none.toml"))


def test_the_default_is_a_configuration_and_so_is_each_of_its_lines(write):
    text = template()
    checked(write(text))
    keys = re.findall(r"^#([a-z0-9_]+ = .*)$", text, re.MULTILINE)
    assert len(keys) > 30
    for key in keys:
        if not key.startswith(("alerts_per_day", "normal", "normal_time")):
            read(write(text.replace(f"#{key}", key)))
    together = re.sub(r"^#((?:alerts_per_day|normal|normal_time) = )", r"\1", text, flags=re.MULTILINE)
    assert read(write(together)).config.stream[0].normal_time == 7 * 86_400_000_000


def test_the_default_names_every_key():
    document = loads(re.sub(r"^#([a-z0-9_]+ = )", r"\1", template(), flags=re.MULTILINE))
    assert set(document) == set(Config.model_fields)
    assert set(document["stream"][0]) == set(Stream.model_fields)


def test_the_page_of_the_service_names_every_key():
    page = (ROOT / "docs" / "daemon.md").read_text("utf-8")
    for section, field in Config.model_fields.items():
        table = Stream if section == "stream" else field.annotation
        for name in getattr(table, "model_fields", ()):
            assert f"| `{name}` |" in page, f"docs/daemon.md does not name {section}.{name}"


def test_check_says_5_for_the_file_and_6_for_the_broker(write, capsys):
    from edgesnn.publish.broker import free_port

    wrong = write(GOOD + "filtrs = 1\nspeed = 1\n")
    assert main(["run", "-c", wrong, "--check"]) == 5
    said = capsys.readouterr().err.splitlines()
    assert [line.startswith(f"edgesnn: error: {wrong}: line 1") for line in said] == [True, True]
    assert main(["run", "-c", write(GOOD.replace("1883", str(free_port()))), "--check"]) == 6
    assert "line 4: mqtt.url" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("http", "expected"),
    [
        ("", "http://127.0.0.1:9469\n"),
        ('host = "0.0.0.0"\nport = 80', "http://127.0.0.1:80\n"),
        ('host = "::"\nport = 80', "http://[::1]:80\n"),
        ('host = "10.0.0.7"', "http://10.0.0.7:9469\n"),
        ("enabled = false", ""),
        ("port = 0", ""),
    ],
)
def test_where_the_pages_are_is_printed(write, capsys, http, expected):
    assert main(["run", "-c", write(f"{GOOD}\n[http]\n{http}\n"), "--print-url"]) == 0
    assert capsys.readouterr().out == expected


def test_flags_that_do_not_go_together_are_refused(capsys):
    assert main(["run"]) == 2
    assert main(["run", "-c", "x", "--check", "--print-config"]) == 2
    assert "--print-config" in capsys.readouterr().err
