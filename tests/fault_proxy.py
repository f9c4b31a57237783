"""A TCP proxy that does to a connection what networks do, switched at run time; it notes what was acknowledged.

It has a thread and an event loop of its own: tests call it as they call a broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from edgesnn.broker_url import Broker
from edgesnn.publish.broker import free_port
from tests.mqtt_wire import Acked, Sent, Watch

T = TypeVar("T")
UP, DOWN = "up", "down"  # from the client to the broker; back
CLIENT, BROKER = "client", "broker"
PIECE = 4096
PIECES = 16  # on their way in one direction; then its sender feels it


@dataclass(frozen=True)
class Faults:
    """What is done to every connection.

    delay_s, jitter_s: every piece comes so much later, and up to so much more; the order stays.
    slice_bytes: writes are cut into 1 to so many bytes; 0: they are not.
    rate_bytes_s: of each direction; 0: as quick as it goes.
    hole: directions in which nothing comes through; what is on its way waits, and goes on when the hole is closed.
    untold: ends that are never told that the other one has gone; what they send then is swallowed.
    refuse: nobody listens.
    connack: CONNECT is answered with this reason instead of being passed on; None: it is passed on.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    slice_bytes: int = 0
    rate_bytes_s: float = 0.0
    hole: frozenset[str] = frozenset()
    untold: frozenset[str] = frozenset()
    refuse: bool = False
    connack: int | None = None


class FaultProxy:
    """Stands between clients and a server on this machine.

    Args:
        server: where connections are passed on to; looked at for each of them.
        seed: of jitter and slices.
        watch: read what passes as MQTT.
        address: of this machine, where it listens.

    Attributes:
        broker: its address.
        era: counts the server's lives; whoever kills the server adds one. A connection belongs to the era it began in.
        accepted: connections so far, refused ones not.
    """

    def __init__(self, server: Broker, *, seed: int = 0, watch: bool = True, address: str = "127.0.0.1") -> None:
        self.server = server
        self.broker = Broker(address, free_port())
        self.era = 0
        self.accepted = 0
        self.watches: list[Watch] = []
        self.faults = Faults()
        self._watch = watch
        self.rng = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._listening: asyncio.Task[None] | None = None
        self._taken: set[asyncio.Task[None]] = set()
        self._links: set[_Link] = set()
        self._turned = asyncio.Event()

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        return self.broker.url

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return len(self._links)

    @property
    def sent(self) -> list[Sent]:
        """Every QoS 1 message that the server was given."""
        return [sent for watch in list(self.watches) for sent in list(watch.sent)]

    @property
    def acked(self) -> list[Acked]:
        """Every acknowledgement that a client was given."""
        return [acked for watch in list(self.watches) for acked in list(watch.acked)]

    def set(self, **faults: Any) -> None:
        """Do these faults and no others from now on: fields of `Faults`; none: let everything through."""
        self._do(self._set(replace(Faults(), **faults)))

    def reset(self, *ends: str) -> None:
        """End every connection with RST, at both ends or those named."""
        self._do(self._reset(ends or (CLIENT, BROKER)))

    # --- in the loop ---------------------------------------------------------------------------------------------

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _listen(self) -> None:
        listener = socket.create_server((self.broker.host, self.broker.port))
        listener.setblocking(False)
        self._listening = asyncio.ensure_future(self._accept(listener))

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                sock, _ = await self._loop.sock_accept(listener)
                task = asyncio.ensure_future(self._take(sock))
                self._taken.add(task)
                task.add_done_callback(self._taken.discard)

    async def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
            self._listening = None

    async def _set(self, faults: Faults) -> None:
        self.faults = faults
        turned, self._turned = self._turned, asyncio.Event()
        turned.set()
        if faults.refuse:
            await self._stop_listening()
        elif self._listening is None:
            await self._listen()

    async def turned(self) -> None:
        """Wait until the faults are others."""
        await self._turned.wait()

    async def _reset(self, ends: tuple[str, ...]) -> None:
        for link in list(self._links):
            link.reset(ends)

    async def _end(self) -> None:
        await self._stop_listening()
        taken = list(self._taken)
        for task in taken:
            task.cancel()
        await asyncio.gather(*taken, return_exceptions=True)

    async def _take(self, sock: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=sock, limit=PIECE)
        self.accepted += 1
        if self.faults.connack is not None:
            await self._answer(reader, writer, self.faults.connack)
            return
        watch = Watch(self.accepted, self.era)
        try:
            server = await asyncio.open_connection(self.server.host, self.server.port, limit=PIECE)
        except OSError:
            _abort(writer)
            return
        if self._watch:
            self.watches.append(watch)
        link = _Link(self, watch if self._watch else None, (reader, writer), server)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reason: int) -> None:
        """Refuse a CONNECT as a broker of its version does."""
        watch = Watch(self.accepted, self.era)
        while not watch.version and (data := await reader.read(PIECE)):
            watch.up(data)
        writer.write(b"\x20\x03\x00" + bytes([reason, 0]) if watch.version == 5 else b"\x20\x02\x00" + bytes([reason]))
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()


class _Link:
    """One connection through the proxy: two pumps."""

    def __init__(self, proxy: FaultProxy, watch: Watch | None, client: Any, server: Any) -> None:
        self._proxy, self._watch = proxy, watch
        self._reader = {UP: client[0], DOWN: server[0]}
        self._writer = {UP: server[1], DOWN: client[1]}
        self._gone = {UP: False, DOWN: False}  # the end that this direction leads to

    async def run(self) -> None:
        pumps = [asyncio.ensure_future(self._pump(way)) for way in (UP, DOWN)]
        try:
            await asyncio.wait(pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            self.reset((CLIENT, BROKER))

    def reset(self, ends: tuple[str, ...]) -> None:
        for end in ends:
            way = DOWN if end == CLIENT else UP
            self._gone[way] = True
            _abort(self._writer[way])

    async def _pump(self, way: str) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES)
        reading = asyncio.ensure_future(self._read(way, queue))
        due = 0.0
        try:
            while True:
                at, data = await queue.get()
                due = max(due, at)
                await asyncio.sleep(due - time.monotonic())
                while way in self._proxy.faults.hole:
                    await self._proxy.turned()
                if not data:
                    return
                await self._write(way, data)
        finally:
            reading.cancel()
            self._tell(way)

    async def _read(self, way: str, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
        data = b" "
        while data:
            try:
                data = await self._reader[way].read(PIECE)
            except OSError:
                data = b""
            faults = self._proxy.faults
            late_s = faults.delay_s + self._proxy.rng.uniform(0.0, faults.jitter_s)
            await queue.put((time.monotonic() + late_s, data))

    async def _write(self, way: str, data: bytes) -> None:
        while data:
            faults = self._proxy.faults
            size = self._proxy.rng.randint(1, faults.slice_bytes) if faults.slice_bytes else len(data)
            if faults.rate_bytes_s:
                size = max(1, min(size, int(faults.rate_bytes_s / 20)))
            piece, data = data[:size], data[size:]
            if not self._gone[way]:
                await self._pass_on(way, piece)
            if faults.rate_bytes_s:
                await asyncio.sleep(len(piece) / faults.rate_bytes_s)

    async def _pass_on(self, way: str, piece: bytes) -> None:
        try:
            self._writer[way].write(piece)
            await self._writer[way].drain()
        except OSError:
            self._gone[way] = True
            return
        if self._watch is not None:
            (self._watch.up if way == UP else self._watch.down)(piece)

    def _tell(self, way: str) -> None:
        """The end that this direction comes from has gone: tell the other one, unless it is not to know."""
        if (CLIENT if way == DOWN else BROKER) not in self._proxy.faults.untold:
            self._writer[way].close()


def _abort(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
