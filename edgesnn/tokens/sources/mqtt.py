"""`mqtt://[user@]host[:port]/TOPIC`: messages of one line or several; mqtts:// with TLS."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator
from itertools import chain, islice
from urllib.parse import unquote

from edgesnn.broker_url import PASSWORD_VARIABLE, Broker, parse_broker
from edgesnn.errors import PublishError, UsageError
from edgesnn.events.sources.address import without_user
from edgesnn.mqtt import Client, Connected, Lost, Message, Refused, make_client_id
from edgesnn.tokens.lines import MOST_BYTES, Line
from edgesnn.tokens.sources.base import Mark, Place

_URL = re.compile(r"(mqtts?://[^/]+)/(.+)", re.DOTALL)
_MOST_LINES = 1 << 12  # that a read gives; a message may be of millions
_MOST_BYTES = 1 << 24  # of a message
_log = logging.getLogger("edgesnn.tokens")


def parse_address(url: str) -> tuple[Broker, str]:
    """Return the broker and the topic filter that an address names.

    Raises:
        UsageError: a wrong address, or a password in it; what may be one is not repeated.
    """
    match = _URL.fullmatch(url)
    where, expected = without_user(url), "mqtt://[user@]host[:port]/TOPIC"
    if match is None:
        raise UsageError("not a topic of a broker", where=where, expected=expected)
    try:
        broker = parse_broker(match[1])
    except UsageError as error:
        hint = f"a password comes from the environment variable {PASSWORD_VARIABLE}"
        raise UsageError(error.what, where=where, expected=expected, hint=hint) from None
    topic = unquote(match[2])
    if "\0" in topic or len(topic.encode("utf-8", "replace")) > 65535:
        raise UsageError("not a topic", where=where)
    return broker, topic


class MqttLines:
    """A subscription; a line's origin is its topic. A lost connection comes back by itself.

    Args:
        url: broker and topic filter (`+` and `#` as MQTT has them). The password comes from EDGESNN_MQTT_PASSWORD.

    Raises:
        UsageError: a wrong address.
        PublishError: the broker cannot be reached, or refuses.
    """

    live = True

    def __init__(self, url: str) -> None:
        broker, self._topic = parse_address(url)
        self.where = f"{broker.url}/{self._topic}"
        self._counts = {"messages": 0, "lines_cut": 0, "bytes_cut": 0, "connections": 0, "connections_lost": 0}
        self._failed: PublishError | None = None
        self._said = ""
        self._coming: Iterator[Line] = iter(())
        self.coming = 0
        self._client = Client(broker, client_id=make_client_id(socket.gethostname(), "lines"), most_bytes=_MOST_BYTES)
        try:
            self._client.open()
        except BaseException:
            self._client.close()
            raise
        self._subscribe()

    @property
    def counters(self) -> dict[str, int]:
        """See `LineSource.counters`."""
        return dict(self._counts)

    def read(self, wait_s: float) -> list[Line] | None:
        """See `LineSource.read`; PublishError where the broker refuses for good, after the lines before it."""
        lines = list(islice(self._coming, _MOST_LINES))
        if not lines and self._failed is None:
            messages = self._poll(wait_s)
            self._coming = chain.from_iterable(map(self._lines, messages))
            self.coming = sum(one.payload.removesuffix(b"\n").count(b"\n") + 1 for one in messages)
            lines = list(islice(self._coming, _MOST_LINES))
        self.coming -= len(lines)
        if not lines and self._failed is not None:
            raise self._failed
        return lines

    def mark(self, place: Place) -> Mark | None:
        """See `LineSource.mark`."""
        return None

    def seek(self, mark: Mark | None) -> Place | None:
        """See `LineSource.seek`: what comes is what follows."""
        return None

    def close(self) -> None:
        """See `LineSource.close`."""
        self._client.close()

    def _subscribe(self) -> None:
        self._counts["connections"] += 1
        self._client.subscribe(self._topic)

    def _poll(self, wait_s: float) -> list[Message]:
        messages = []
        for event in self._client.poll(wait_s):
            if isinstance(event, Message):
                messages.append(event)
            elif isinstance(event, Connected):
                self._subscribe()
            elif isinstance(event, Refused):
                self._failed = event.error
                break
            elif isinstance(event, Lost):
                self._counts["connections_lost"] += 1
                if event.final:
                    self._failed = event.error
                    break
                if str(event.error) != self._said:
                    self._said = str(event.error)
                    _log.warning("%s; trying again", event.error)
        self._counts["messages"] += len(messages)
        return messages

    def _lines(self, message: Message) -> Iterator[Line]:
        payload, at = message.payload.removesuffix(b"\n"), 0
        while at <= len(payload):
            end = payload.find(b"\n", at)
            end = len(payload) if end < 0 else end
            cut = max(0, end - at - MOST_BYTES)
            self._counts["lines_cut"] += cut > 0
            self._counts["bytes_cut"] += cut
            yield Line(payload[at : end - cut].removesuffix(b"\r"), message.topic)
            at = end + 1
