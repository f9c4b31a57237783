"""Holds a configuration against what is there: models, files, addresses, the broker. Starts nothing."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from edgesnn.broker_url import Broker, parse_broker
from edgesnn.daemon.models import Models
from edgesnn.daemon.process import check_process
from edgesnn.daemon.reading import Read, WrongConfigError
from edgesnn.daemon.schema import Mqtt, Stream, Telemetry
from edgesnn.daemon.storage import short_of_room
from edgesnn.errors import ConfigError, EdgeSnnError, PublishError
from edgesnn.events import registry as formats
from edgesnn.events.formats.base import printable
from edgesnn.events.sources import registry as sources
from edgesnn.mqtt import Acknowledged, Client, Lost, Refused, make_client_id
from edgesnn.mqtt.sockets import tls_context
from edgesnn.pipeline.by_count import by_count
from edgesnn.publish.topics import ROOT
from edgesnn.runtime import Model
from edgesnn.runtime.windows import adapted, encoding_of, readout_of
from edgesnn.tokens.sources.registry import FORMS, check_lines
from edgesnn.tokens.surprise import LineScorer

ANSWER_S = 5.0
_HDF5 = b"\x89HDF\r\n\x1a\n"
_SCHEMES = ("udp", "mqtt", "mqtts")
_log = logging.getLogger("edgesnn.daemon")


def broker_of(mqtt: Mqtt, environment: Mapping[str, str]) -> Broker:
    """Return the broker that the section names, with its password.

    Raises:
        ConfigError, UsageError: a file that cannot be read, certificates without TLS, a password without a user.
    """
    broker = parse_broker(
        mqtt.url,
        password_file=mqtt.password_file,
        ca_file=mqtt.ca_file,
        cert_file=mqtt.cert_file,
        key_file=mqtt.key_file,
        environment=environment,
    )
    if broker.tls:
        tls_context(broker)
    return broker


def client_id_of(mqtt: Mqtt, role: str) -> str | None:
    """Return the client id of another connection than that with the predictions; None: a random one."""
    return None if mqtt.client_id is None else f"{mqtt.client_id}-{role}"


def check(read: Read, environment: Mapping[str, str], models: Models | None = None) -> Models:
    """Return the models of all streams, loaded; those that are in `models` are not loaded again.

    A disk on which the outbox's file may have no room is a warning in the log.

    Raises:
        WrongConfigError: what does not exist or fit, each with its file, line and key.
    """
    models = models or Models()
    errors: list[ConfigError] = []

    def attempt(key: tuple[str | int, ...], call: Callable[[], Any]) -> Any:
        try:
            return call()
        except EdgeSnnError as error:
            errors.append(_located(read, key, error))
            return None

    attempt(("process",), lambda: check_process(read.config.process))
    attempt(("telemetry", "sysfs"), lambda: _sysfs(read.config.telemetry))
    try:
        broker_of(read.config.mqtt, environment)
    except EdgeSnnError as error:
        errors.append(_of_mqtt(read, error))
    for number, stream in enumerate(read.config.stream):
        at = ("stream", number)
        model = attempt((*at, "model"), partial(models.get, stream))
        if model is None:
            continue
        kind = "tokens" if model.input["kind"] == "tokens" else "events"
        errors += _foreign(read, number, stream, kind)
        examine = _lines if kind == "tokens" else _events
        for name, call in examine(stream, model).items():
            attempt((*at, name), call)
    if errors:
        raise WrongConfigError(errors)
    if (short := short_of_room(read.config, environment)) is not None:
        _log.warning("%s", short)
    return models


def ask_broker(read: Read, environment: Mapping[str, str]) -> None:
    """Connect to the broker, publish one empty message at `edgesnn/<node>/check`, and leave.

    Raises:
        PublishError: it does not answer, or refuses us or the message (which only MQTT 5 says).
    """
    mqtt, node = read.config.mqtt, read.config.node.name
    broker = broker_of(mqtt, environment)
    client_id = client_id_of(mqtt, "check") or make_client_id(node, "check")
    client = Client(broker, client_id=client_id, protocol=mqtt.protocol)
    try:
        client.open()
        _publish_one(client, f"{ROOT}/{node}/check")
    except PublishError as error:
        where = f"{read.where(('mqtt', 'url'))}: {broker.url}"
        hint = f"see [mqtt] of the configuration{'; ' if error.hint else ''}{error.hint or ''}"
        raise PublishError(error.what, where=where, found=error.found, hint=hint) from None
    finally:
        client.close()


def _publish_one(client: Client, topic: str) -> None:
    mid = client.publish(topic, b"")
    deadline_s = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline_s:
        for event in client.poll(deadline_s - time.monotonic()):
            if isinstance(event, Lost) or (isinstance(event, Refused) and event.mid == mid):
                raise event.error
            if isinstance(event, Acknowledged) and event.mid == mid:
                return
    raise PublishError("the broker acknowledges nothing", found=f"no answer to a message within {ANSWER_S:g} s")


def _of_mqtt(read: Read, error: EdgeSnnError) -> ConfigError:
    """Return the error with the key that it is about, for the flag or the file that it names."""
    flag = (error.where or "").removeprefix("--mqtt-").replace("-", "_")
    names = [name for name in type(read.config.mqtt).model_fields if getattr(read.config.mqtt, name) == error.where]
    if flag in type(read.config.mqtt).model_fields:
        where = read.where(("mqtt", flag))
        return ConfigError(error.what, where=where, found=error.found, expected=error.expected, hint=error.hint)
    return _located(read, ("mqtt", *names[:1]), error)


def _located(read: Read, key: tuple[str | int, ...], error: EdgeSnnError) -> ConfigError:
    inner = f": {error.where}" if error.where else ""
    found, expected = error.found, error.expected
    return ConfigError(
        error.what, where=read.where(key) + inner, offset=error.offset, found=found, expected=expected, hint=error.hint
    )


def _foreign(read: Read, number: int, stream: Stream, kind: str) -> list[ConfigError]:
    """Return an error for each key that this kind of model has no use for."""
    errors = []
    for name, field in Stream.model_fields.items():
        of = field.json_schema_extra.get("of") if isinstance(field.json_schema_extra, dict) else None
        if name in stream.model_fields_set and of not in (None, kind):
            at = read.where(("stream", number, name))
            found = f"{stream.model}, which reads {kind}"
            errors.append(ConfigError(f"this key is of models that read {of}", where=at, found=found))
    return errors


def _sysfs(telemetry: Telemetry) -> None:
    """Refuse a folder that was named and cannot be listed: the board's sensors are looked for at the start alone."""
    if not telemetry.enabled or "sysfs" not in telemetry.model_fields_set:
        return
    try:
        os.scandir(telemetry.sysfs).close()
    except (OSError, ValueError) as error:  # ValueError: a NUL
        found = f"{printable(repr(telemetry.sysfs))[:120]}: {getattr(error, 'strerror', None) or error}"
        hint = "leave the key out where it is /sys, or look at no sensors: telemetry.enabled = false"
        raise ConfigError(
            "not a folder that can be read", found=found, expected="where sysfs is mounted", hint=hint
        ) from None


def _events(stream: Stream, model: Model) -> dict[str, Callable[[], Any]]:
    """Return what is to be looked at by the key that it concerns."""
    return {
        "model": lambda: (encoding_of(model), readout_of(model)),
        "adapt": lambda: adapted(encoding_of(model), stream.adapt),
        "window_events": lambda: by_count(stream.window_events, stream.hop_events, encoding_of(model)),
        "format": lambda: None if stream.format is None else formats.get(stream.format),
        "source": lambda: _event_source(stream),
    }


def _event_source(stream: Stream) -> None:
    if sources.is_source(stream.source):
        address, _ = sources.check_source(stream.source, format=stream.format)
        if stream.speed != "max":
            raise ConfigError("a live source has its own pace", found=f"speed {stream.speed}", expected="no speed")
        if address.scheme == "replay":
            _recording(address.path, address.options.get("format"))
        return
    if "://" in stream.source and not os.path.exists(stream.source):
        sources.get(stream.source.partition("://")[0])
    _recording(stream.source, stream.format)


def _recording(path: str, format: str | None) -> None:
    if _check_file(path).startswith(_HDF5) or format == "hdf5":
        hint = "write it in another format: `edgesnn convert`"
        raise ConfigError("the service reads no HDF5", where=printable(path), hint=hint)


def _lines(stream: Stream, model: Model) -> dict[str, Callable[[], Any]]:
    return {
        "model": lambda: LineScorer(model.session()),
        "source": lambda: _line_source(stream),
        "normal": lambda: None if stream.normal is None else _check_file(stream.normal),
    }


def _line_source(stream: Stream) -> None:
    scheme, colon, rest = stream.source.partition(":")
    if stream.source == "-" or stream.source == "journal:-" or (rest.startswith("//") and scheme in _SCHEMES):
        if stream.follow:
            raise ConfigError("only files are followed", found="follow", hint="this source goes on by itself")
        check_lines(stream.source)
    elif rest.startswith("//"):
        expected = ", ".join(form for form, _ in FORMS)
        raise ConfigError("no such source of lines", found=repr(scheme), expected=expected)
    elif not stream.follow:
        _check_file(rest if colon and scheme == "journal" else stream.source)


def _check_file(path: str) -> bytes:
    """Return how a file begins; of a pipe or device, for which who looks may wait for ever, nothing is read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            hint = "of events a named pipe is pipe:PATH, and lines are piped into -"
            raise ConfigError("not a regular file", where=printable(path), hint=hint)
        with open(path, "rb", buffering=0) as file:
            return file.read(8)
    except FileNotFoundError:
        hint = "a name that does not begin with / counts from the working directory"
        raise ConfigError("no such file", where=printable(path), hint=hint) from None
    except (OSError, ValueError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise ConfigError("cannot be read", where=printable(path), found=found) from None
