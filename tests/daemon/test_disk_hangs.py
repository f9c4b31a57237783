"""A disk that neither takes nor refuses: pages and main thread answer, say so, and the end comes in time.

The hang is a call that does not come back: of the outbox's file, of what writes checkpoints. What returns at all while
it is held has not waited for it.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesnn.daemon import service as services
from edgesnn.daemon.reading import read
from edgesnn.daemon.service import Service
from edgesnn.publish import glance, outbox_durable
from edgesnn.publish.outbox_durable import DurableOutbox
from edgesnn.publish.outbox_file import OutboxFile
from edgesnn.recorder import sealed
from tests.daemon.faulty import Odd, OddLink, install, text_of, wait_for
from tests.predictions import make_prediction

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "edgesnn.service"
DOOR = '[[stream]]\nname = "door"\nsource = "odd:1"\nmodel = "gestures"\n'


class Hanging:
    """Calls that come back when they are let go.

    Attributes:
        held: one is waiting.
    """

    def __init__(self) -> None:
        self.held, self._go = threading.Event(), threading.Event()

    def instead(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def waits(*args: Any, **options: Any) -> Any:
            self.held.set()
            self._go.wait(120)
            return call(*args, **options)

        return waits

    @property
    def hangs(self) -> bool:
        return self.held.is_set() and not self._go.is_set()

    def let_go(self) -> None:
        self._go.set()


@pytest.fixture
def disk() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.let_go()


def begun(folder: Path, text: str) -> Service:
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    service = Service(read(str(path)), {"STATE_DIRECTORY": str(folder)})
    service.start()
    return service


def made(service: Service) -> int:
    return sum(sum(runner.decisions.values()) for runner in service.runners)


def page(service: Service, name: str) -> str:
    assert service.pages is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{service.pages.port}{name}", timeout=30) as answer:
        return answer.read().decode()


def test_the_pages_and_the_main_thread_answer_and_say_that_the_disk_hangs(tmp_path, monkeypatch, disk, caplog):
    caplog.set_level(logging.INFO, "edgesnn.daemon")
    install(monkeypatch, odd=Odd)
    monkeypatch.setattr(glance, "HANGS_S", 0.2)
    monkeypatch.setattr(outbox_durable, "CLOSE_S", 0.2)
    monkeypatch.setattr(services, "LEAVE_S", 0.3)
    service = begun(tmp_path, text_of(DOOR))
    wait_for(lambda: service.outlet.stats().get("accepted", 0) > 2)
    before = service.outlet.stats()
    monkeypatch.setattr(OutboxFile, "write", disk.instead(OutboxFile.write))
    wait_for(disk.held.is_set)
    wait_for(lambda: service.tick() or "outbox: the disk hangs" in json.loads(page(service, "/healthz"))["reasons"])
    decided = made(service)
    wait_for(lambda: service.tick() or made(service) > decided)
    metrics = page(service, "/metrics")
    (pending,) = re.findall(r"^edgesnn_outbox_pending (\d+)", metrics, re.MULTILINE)
    assert int(pending) >= before["pending"]
    assert re.search(r"^edgesnn_queue_waiting [1-9]", metrics, re.MULTILINE)
    assert not re.search(r"^edgesnn_outbox_size_bytes ", metrics, re.MULTILINE), "nobody can tell now"
    assert json.loads(page(service, "/healthz"))["stalled"] == []
    service.stop()
    assert disk.hangs
    assert caplog.text.count("degraded: outbox: the disk hangs") == 1
    assert "fault of edgesnn" not in caplog.text


def test_when_the_disk_answers_again_its_counters_are_those_of_now(tmp_path, monkeypatch, disk):
    monkeypatch.setattr(glance, "HANGS_S", 0.05)
    outbox = DurableOutbox(tmp_path / "outbox.sqlite")
    outbox.put(make_prediction(0))
    assert outbox.stats()["pending"] == 1
    with monkeypatch.context() as patch:
        patch.setattr(OutboxFile, "write", disk.instead(OutboxFile.write))
        putting = threading.Thread(target=outbox.put, args=(make_prediction(1),))
        putting.start()
        wait_for(lambda: outbox.stats()["degraded"])
        told = outbox.stats()
        assert (told["degraded"], told["size_bytes"]) == ("the disk hangs", None)
        assert outbox.wait_empty(0.0) == told["pending"] == 1
        assert outbox.oldest_s() > 0
        disk.let_go()
        putting.join(30)
    told = outbox.stats()
    assert (told["degraded"], told["pending"], told["accepted"]) == (None, 2, 2)
    assert told["size_bytes"] > 0
    outbox.close()


@pytest.mark.full
def test_whatever_hangs_the_end_comes_before_systemd_kills(tmp_path, monkeypatch, disk):
    """Three streams that do not come back, the outbox's disk, the other disk, and a broker that is not there."""
    install(monkeypatch, odd=Odd)
    (limit_s,) = re.findall(r"^TimeoutStopSec=(\d+)", UNIT.read_text(), re.MULTILINE)
    doors = [f"{DOOR.replace('door', name)}checkpoint = true\n" for name in ("door", "yard", "gate")]
    more = '[http]\nport = 0\n[commands]\nenabled = true\n[outbox]\ndrain = "10s"\n[checkpoint]\nperiod = "50ms"\n'
    service = begun(tmp_path, text_of(*doors, more=more))
    wait_for(lambda: service.outlet.stats().get("accepted", 0) > 2)
    other = Hanging()
    monkeypatch.setattr(sealed, "write", other.instead(sealed.write))
    monkeypatch.setattr(OutboxFile, "write", disk.instead(OutboxFile.write))
    wait_for(lambda: other.hangs and disk.hangs)
    monkeypatch.setattr(OddLink, "receive", disk.instead(OddLink.receive))
    time.sleep(1.0)
    began_s = time.monotonic()
    service.stop()
    assert time.monotonic() - began_s < int(limit_s)
    assert disk.hangs
    assert other.hangs
    other.let_go()
