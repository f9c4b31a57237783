"""Types of values that TOML has no type for: durations, rates, sensor sizes, names. Each takes a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from edgesnn.broker_url import check_url
from edgesnn.errors import ConfigError, EdgeSnnError, UsageError
from edgesnn.events.filters.specification import parse_filter
from edgesnn.publish.discovery import check_birth_topic, check_prefix
from edgesnn.publish.topics import check_level
from edgesnn.units import parse_duration_us, parse_rate_hz, parse_sensor, parse_size_bytes, parse_speed

RESERVED = ("cmd", "config", "health", "stats", "status")
"""Levels below a node that are the node's own."""

T = TypeVar("T")


def wrong(what: str, expected: str = "", hint: str = "") -> PydanticCustomError:
    """Return what a validator raises; `reading.py` makes the error of it that a user sees."""
    return PydanticCustomError("edgesnn", "{what}", {"what": what, "expected": expected, "hint": hint})


def _text(parse: Callable[[str], T], what: str, expected: str) -> PlainValidator:
    """Return the validator of a text that `parse` reads."""

    def validate(value: Any) -> T:
        if not isinstance(value, str):
            raise wrong(f"not {what}", expected)
        try:
            return parse(value)
        except EdgeSnnError as error:
            raise wrong(error.what, error.expected or expected, error.hint or "") from None

    return PlainValidator(validate)


def _node(name: str) -> str:
    return check_level(name, "node")


def _stream(name: str) -> str:
    if name in RESERVED:
        raise wrong("this name is the node's own", f"another one than {', '.join(RESERVED)}")
    return check_level(name, "stream")


def _positive_us(text: str) -> int:
    duration_us = parse_duration_us(text)
    if not 1000 <= duration_us <= 366 * 86_400_000_000:
        raise wrong("out of range", "1ms to 366d")
    return duration_us


def _rate(text: str) -> int:
    rate_hz = parse_rate_hz(text)
    if rate_hz < 1:
        raise wrong("out of range", "at least 1Hz")
    return rate_hz


def _size(text: str) -> int:
    size_bytes = parse_size_bytes(text)
    if not 1_000_000 <= size_bytes <= 1_000_000_000_000:
        raise wrong("out of range", "1MB to 1000GB")
    return size_bytes


def _speed(text: str) -> str:
    parse_speed(text)
    return text


def _broker(url: str) -> str:
    try:
        check_url(url)
    except UsageError as error:
        secret = "password" in error.what
        hint = "put it into the file that mqtt.password_file names, or into EDGESNN_MQTT_PASSWORD" if secret else ""
        raise wrong(error.what, error.expected or "", hint) from None
    return url


def _filter(text: str) -> str:
    parse_filter(text)
    return text


def _qos(value: Any) -> int:
    """Refuse 2, with what was measured (bench/qos.py, docs/mqtt.md)."""
    if type(value) is int and value in (0, 1):
        return value
    hint = "QoS 2 loses more than QoS 1 where a broker is killed: 2000 of 3000 messages, against 8" * (value == 2)
    raise wrong("no QoS for predictions", "1, or 0", hint)


def _client_id(text: str) -> str:
    if not 1 <= len(text) <= 200 or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError("not a client id", expected="1 to 200 printable ASCII characters without spaces")
    return text


DurationUs = Annotated[int, _text(_positive_us, "a duration", 'a text with a unit, such as "20ms"')]
RateHz = Annotated[int, _text(_rate, "a rate", 'a text with a unit, such as "10Hz"')]
SizeBytes = Annotated[int, _text(_size, "a size", 'a text with a unit, such as "64MB"')]
Sensor = Annotated[tuple[int, int], _text(parse_sensor, "a sensor size", 'a text such as "640x480"')]
Speed = Annotated[str, _text(_speed, "a speed", 'a text such as "1x", or "max"')]
NodeName = Annotated[str, _text(_node, "a name", "a text")]
StreamName = Annotated[str, _text(_stream, "a name", "a text")]
FilterText = Annotated[str, _text(_filter, "a filter", 'a text such as "refractory:period=1ms"')]
Qos = Annotated[int, PlainValidator(_qos)]
ClientId = Annotated[str, _text(_client_id, "a client id", "a text")]
BrokerUrl = Annotated[str, _text(_broker, "a broker URL", 'a text such as "mqtt://127.0.0.1:1883"')]
DiscoveryPrefix = Annotated[str, _text(check_prefix, "a discovery prefix", "a text")]
BirthTopic = Annotated[str, _text(check_birth_topic, "a topic", "a text")]
