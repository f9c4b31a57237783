"""A service behind the fault proxy, and what it is judged by: a consumer with a persistent session, the outbox's file
read with SQLite alone, and the acknowledgements that the proxy saw.

A prediction's id is (stream, seq).
"""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import urllib.request
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesnn.broker_url import Broker
from edgesnn.publish.broker import free_port
from tests.brokers import KillableBroker, Subscriber
from tests.daemon.test_service import RECORDING, Daemon, wait_for
from tests.fault_proxy import FaultProxy
from tests.mqtt_wire import SUCCESS, Acked
from tests.small_models import spikes_document

Id = tuple[str, int]
IN_FLIGHT = 20
STREAMS = ("door", "yard")
HOP_MS = 10  # of each of the two: 200 predictions a second
LINK = {"delay_s": 0.01, "jitter_s": 0.01}  # so that some predictions are always on their way

CONFIGURATION = """\
[node]
name = "gate-1"
[mqtt]
url = "{url}"
protocol = "{protocol}"
[outbox]
file = "{file}"
drain = "240s"
drain_rate = "2000Hz"
[http]
host = "{host}"
port = {port}
"""
STREAM = """\
[[stream]]
name = "{name}"
source = "replay:{recording}?loop"
model = "{model}"
adapt = "downsample"
"""


@dataclass(frozen=True)
class Ledger:
    """What the outbox's file says: how many numbers each stream has given, what waits, and the accounts."""

    next_seq: dict[str, int]
    waiting: frozenset[Id]
    accounts: dict[str, int]

    @property
    def accepted(self) -> set[Id]:
        return {(name, seq) for name, count in self.next_seq.items() for seq in range(count)}

    @property
    def balanced(self) -> bool:
        rest = dict(self.accounts)
        return rest.pop("accepted", 0) == sum(rest.values()) + len(self.waiting)


def read_ledger(file: Path, folder: Path) -> Ledger:
    """Read a copy of an outbox's file whose process is dead: the next one finds it as it was left."""
    copy = folder / "copy.sqlite"
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        if file.with_name(file.name + suffix).exists():
            shutil.copy(f"{file}{suffix}", f"{copy}{suffix}")
    with closing(sqlite3.connect(copy)) as db:
        rows = [json.loads(payload) for (payload,) in db.execute("SELECT payload FROM prediction")]
        return Ledger(
            dict(db.execute("SELECT name, next_seq FROM stream")),
            frozenset(id_of(row) for row in rows),
            dict(db.execute("SELECT name, count FROM account")),
        )


def id_of(record: dict[str, Any]) -> Id:
    return record["stream"], record["seq"]


class Scene:
    """A service of two streams, its broker with the proxy before it, and the consumer. `daemon` is None once killed.

    Args:
        kind: of broker.
        folder: of all files.
        seed: of what the proxy does at random.
        link: what the link is like all the time: fields of `Faults`.
        access: mosquitto's access list.
        address: of this machine, where the proxy listens.
        prefix: words before the service's command.
    """

    def __init__(
        self,
        kind: str,
        folder: Path,
        seed: int = 0,
        *,
        link: dict[str, Any] | None = None,
        access: str = "",
        address: str = "127.0.0.1",
        prefix: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.link = LINK if link is None else link
        self.http = Broker("127.0.0.1", free_port())
        self.file = folder / "outbox.sqlite"
        self.model = folder / "small.safetensors"
        self.daemon: Daemon | None = None
        self.broker = KillableBroker(kind, folder, access=access, persistent=kind == "mosquitto")
        self.proxy = FaultProxy(self.broker.broker, seed=seed, address=address)
        self._prefix = prefix
        self.consumer = Subscriber(
            self.broker.broker, "edgesnn/+/+/prediction", v5=kind == "mosquitto", session="the-judge"
        )
        self.dead_eras: set[int] = set()
        self._logs = 0

    def __enter__(self) -> Scene:
        with ExitStack() as stack:
            stack.enter_context(self.broker)
            stack.enter_context(self.consumer)
            if self.broker.persistent:
                self.broker.save()  # the session outlives the broker from now on, without any message
            stack.enter_context(self.proxy)
            self.disturb()
            stack.callback(self.kill_daemon)
            self._configure()
            self.start_daemon()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _configure(self) -> None:
        model = self.model
        spikes_document(bin_us=1000 * HOP_MS, steps=1, hop_steps=1).save(model)
        protocol = "auto" if self.broker.kind == "mosquitto" else "3.1.1"
        http = {"host": self.http.host, "port": self.http.port}
        text = CONFIGURATION.format(url=self.proxy.url, protocol=protocol, file=self.file, **http)
        text += "".join(STREAM.format(name=name, recording=RECORDING, model=model) for name in STREAMS)
        (self.folder / "service.toml").write_text(text)

    @property
    def log(self) -> str:
        """What the last daemon said."""
        return "" if self.daemon is None else self.daemon.log

    def start_daemon(self) -> None:
        self._logs += 1
        path = self.folder / f"service-{self._logs}.toml"
        shutil.copy(self.folder / "service.toml", path)
        self.daemon = Daemon(path, prefix=self._prefix)

    def disturb(self, **faults: Any) -> None:
        """Do these faults to the link, besides its delay; none: mend it."""
        self.proxy.set(**{**self.link, **faults})

    def kill_daemon(self) -> None:
        daemon, self.daemon = self.daemon, None
        if daemon is not None and daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()

    def kill_broker(self) -> None:
        self.broker.kill()
        self.dead_eras.add(self.proxy.era)
        self.proxy.era += 1

    def start_broker(self) -> None:
        """Start it again; one that has lost the consumer's session meets the service when the consumer is back."""
        if not self.broker.persistent:
            self.disturb(refuse=True)
        self.broker.start()
        if not self.broker.persistent:
            self.consumer.wait()
            self.disturb()

    def health(self) -> dict[str, Any]:
        """Return what the service says of itself."""
        url = f"http://{self.http.host}:{self.http.port}/healthz"
        with urllib.request.urlopen(url, timeout=10) as answer:
            record: dict[str, Any] = json.load(answer)
        return record

    def ledger(self) -> Ledger:
        """Return what the outbox's file says; the service must be dead."""
        return read_ledger(self.file, self.folder)

    def predictions(self) -> list[tuple[dict[str, Any], bool]]:
        """Return what the consumer has seen, in order, and whether the broker says that it gave it before."""
        return [(json.loads(one.payload), one.dup) for one in self.consumer.of("/prediction")]

    def seen(self) -> set[Id]:
        return {id_of(record) for record, _ in self.predictions()}

    def sent_records(self) -> list[dict[str, Any]]:
        """Return every prediction that a broker was given, in order, repeated as it was."""
        return [json.loads(one.payload) for one in self.proxy.sent if one.topic.endswith("/prediction")]

    def sent(self) -> list[Id]:
        """Return the ids of `sent_records`."""
        return [id_of(record) for record in self.sent_records()]

    def acknowledged(self, eras: Iterable[int] | None = None) -> set[Id]:
        """Return the predictions whose success the service was told, in these eras or in all."""
        wanted = None if eras is None else set(eras)
        return {
            id_of(json.loads(one.sent.payload)) for one in self.proxy.acked if _counts(one) and _in(one.era, wanted)
        }

    def last_acknowledged(self) -> list[Id]:
        """Return those of the last connection that was told of any, in the order in which it was."""
        acked = [one for one in self.proxy.acked if _counts(one)]
        last = max((one.sent.connection for one in acked), default=0)
        return [id_of(json.loads(one.sent.payload)) for one in acked if one.sent.connection == last]

    def excepted(self) -> set[Id]:
        """Return what a broker acknowledged and took to its grave: no client can save it."""
        alive = self.acknowledged({self.proxy.era})
        return self.acknowledged(self.dead_eras) - alive - self.seen()

    def wait_for_traffic(self, count: int) -> None:
        """Wait until so many more predictions were given to the broker; after many losses the client rests, 120 s."""
        begin = self._sent_count()
        wait_for(lambda: self._sent_count() >= begin + count or self._over(), 180, "no traffic")
        assert not self._over(), self.log

    def _over(self) -> bool:
        return self.daemon is not None and self.daemon.process.poll() is not None

    def _sent_count(self) -> int:
        return sum(one.topic.endswith("/prediction") for one in self.proxy.sent)

    def end(self) -> Ledger:
        """End the service in peace and return its last account, when the consumer has what it can have."""
        assert self.daemon is not None
        self.daemon.tell(signal.SIGTERM)
        assert self.daemon.process.wait(270) == 0, self.log
        assert "were not delivered" not in self.log
        ledger = self.ledger()
        with suppress(AssertionError):
            wait_for(lambda: not self._missing(ledger), 30)
        lost = self._missing(ledger)
        assert not lost, f"{len(lost)} lost, {len(lost & self.acknowledged())} acknowledged: {sorted(lost)[:50]}"
        return ledger

    def _missing(self, ledger: Ledger) -> set[Id]:
        return ledger.accepted - self.excepted() - self.seen()

    def duplicates(self) -> int:
        """Return how often a prediction was given to a broker again."""
        return sum(count - 1 for count in Counter(self.sent()).values())


def passed_over(acknowledged: Iterable[Id], waiting: Iterable[Id]) -> set[Id]:
    """Return what still waits in the file though something that was acknowledged after it does not.

    A client takes the acknowledgements of a connection in their order, and its outbox removes them in that order: what
    a death leaves of them is a beginning. One that marks another than the one that was acknowledged leaves holes.

    Args:
        acknowledged: of one connection, in order.
        waiting: in the file of the service, which is dead.
    """
    held = set(waiting)
    order = list(acknowledged)
    last = max((at for at, one in enumerate(order) if one not in held), default=0)
    return held.intersection(order[:last])


def _counts(acked: Acked) -> bool:
    return acked.reason == SUCCESS and acked.sent.topic.endswith("/prediction")


def _in(era: int, wanted: set[int] | None) -> bool:
    return wanted is None or era in wanted
