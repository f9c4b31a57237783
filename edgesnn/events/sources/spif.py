"""`spif://HOST:PORT`: datagrams of SPIF. docs/sources.md, "SPIF"."""

from __future__ import annotations

import time
from dataclasses import replace

from edgesnn.events.sources.address import Address
from edgesnn.events.sources.base import Link, Message
from edgesnn.events.sources.sockets import PEERS
from edgesnn.events.sources.udp import SENDER, UdpLink
from edgesnn.units import parse_sensor

_MOST_DATAGRAMS = 64  # of one message


class Spif:
    """Datagrams of events for SpiNNaker boards, with or without times."""

    name = "spif"
    form = "spif://HOST:PORT"
    help = "datagrams of SPIF events (SpiNNaker boards), sent to this port"
    options = (PEERS, SENDER)

    def open(self, address: Address) -> Link:
        """Bind the port."""
        if not {"format", "variant"}.isdisjoint(address.options):
            raise address.wrong("SPIF is one format", hint="leave format and variant out")
        return SpifLink(address)


class SpifLink(UdpLink):
    """A bound socket, and what decodes its datagrams."""

    gives_events = True
    format: str | None = "spif"

    def __init__(self, address: Address) -> None:
        from edgesnn import _native

        text = address.options.get("sensor")
        width, height = (0, 0) if text is None else parse_sensor(text, where=address.url)
        super().__init__(address, alone=True)
        self._decoder = _native.events.Spif(width, height)
        self._bytes = 0
        self.counters |= {**self._decoder.counters, "bytes": 0}

    def receive(self, wait_s: float) -> Message | None:
        """Return the events of the datagrams that are there."""
        message = super().receive(wait_s)
        begins = message is not None and message.begins
        datagrams = 0
        while message is not None:
            self._bytes += len(message.data)
            self._decoder.feed(message.data, time.monotonic_ns() // 1000)
            datagrams += 1
            message = super().receive(0.0) if datagrams < _MOST_DATAGRAMS else None
            if message is not None and message.begins:
                self._waiting = replace(message, data=bytes(message.data))
                break
        if not datagrams:
            return None
        self.counters.update(self._decoder.counters, bytes=self._bytes)
        return Message(events=self._decoder.take(), begins=begins)

    def _dated(self, data: memoryview) -> bool:
        return not data[3] & 0x80  # of the first event
