"""in = processed + dropped + pending of every stream at every moment that anybody asks, whatever its source does."""

from __future__ import annotations

import random
import re
import threading
import time
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from edgesnn.daemon import facts
from edgesnn.daemon.runner import Runner
from edgesnn.events.sources.base import Message, PlainLink
from edgesnn.tokens.lines import Line
from edgesnn.tokens.sources.base import Mark, Place
from tests.daemon.faulty import LONGEST_S, identity, install, serving, text_of, wait_for
from tests.live import encoded, made_up
from tests.small_models import small_document
from tests.token_models import writer

KINDS = {"door": ("events_in", "processed"), "yard": ("events_in", "processed"), "log": ("lines_in", "lines")}


class Whims:
    """What a source does next: it gives, floods, stalls, sends garbage, fails, or goes away."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def next(self) -> str:
        kinds = ["give"] * 12 + ["flood"] * 4 + ["stall"] * 2 + ["garbage"] * 2 + ["fail", "end"]
        return self.rng.choice(kinds)


class Whimsical(PlainLink):
    format, sensor = "evt3", (128, 128)

    def __init__(self, seed: int) -> None:
        self._whims = Whims(seed)
        self.connected: bool | None = True
        self.counters: dict[str, int] = {}
        self._begins = True

    def receive(self, wait_s: float) -> Message | None:
        what, begins = self._whims.next(), self._begins
        time.sleep(0.001)
        if what == "fail":
            raise OSError("of the device")
        if what == "stall":
            time.sleep(min(wait_s, 0.02))
            return None
        self._begins = what == "end"
        if what == "garbage":
            return Message(data=self._whims.rng.randbytes(501), begins=begins)
        count = 20_000 if what == "flood" else 700
        events = made_up(count, seed=self._whims.rng.randrange(1000), sensor=(128, 128))
        return Message(data=encoded(events), begins=begins, ends=what == "end")

    def close(self) -> None: ...


class Odd:
    """The scheme `odd:SEED`."""

    name, form, help = "odd", "odd:SEED", "a source with whims"
    options: tuple[tuple[str, str], ...] = ()

    def open(self, address: Any) -> Whimsical:
        return Whimsical(int(address.path))


class WhimsicalLines:
    where, live = "odd", True

    def __init__(self, seed: int) -> None:
        self._whims = Whims(seed)
        self.coming = 0
        self.counters: dict[str, int] = {}

    def read(self, wait_s: float) -> list[Line] | None:
        what = self._whims.next()
        time.sleep(0.002)
        if what in ("fail", "end"):
            raise OSError("of the log")
        if what == "stall":
            return []
        if not self.coming:
            self.coming = 400 if what == "flood" else 7
        given = self._whims.rng.randint(1, self.coming)
        self.coming -= given
        junk = self._whims.rng.randbytes(9).replace(b"\n", b"")
        return [Line(junk if what == "garbage" else b"a line", "me")] * given

    def mark(self, place: Place) -> Mark | None: ...
    def seek(self, mark: Mark | None) -> Place | None: ...
    def close(self) -> None: ...


@pytest.fixture
def streams(tmp_path, monkeypatch, request) -> dict[str, str]:
    seed = request.node.callspec.params["seed"]
    install(monkeypatch, odd=Odd)
    seeds = iter(range(seed * 100_000, (seed + 1) * 100_000))  # each life of the log has other whims
    monkeypatch.setattr("edgesnn.pipeline.token_stream.open_lines", lambda *_, **__: WhimsicalLines(next(seeds)))
    monkeypatch.setattr(Odd, "open", lambda *_: Whimsical(next(seeds)))
    monkeypatch.setattr(
        Runner.__init__, "__kwdefaults__", dict(Runner.__init__.__kwdefaults__, back_off_s=(0.005, 0.02))
    )
    small_document(min_events=1).save(tmp_path / "events.safetensors")
    writer().save(tmp_path / "lines.safetensors")
    head = '[[stream]]\nname = "{}"\nsource = "{}"\nmodel = "{}"\n'
    events, lines = tmp_path / "events.safetensors", tmp_path / "lines.safetensors"
    ring = 'ring_events = 4096\nwhen_full = "{}"\n'
    return {
        "door": head.format("door", "odd:1", events) + ring.format("drop_oldest"),
        "yard": head.format("yard", "odd:2", events)
        + ring.format("decimate")
        + 'filters = ["refractory:period=1ms"]\n',
        "log": head.format("log", "udp://127.0.0.1:1", lines),
    }


class Asker:
    """Asks at random moments, in a thread of its own, and keeps what is wrong."""

    def __init__(self, service: Any, seed: int) -> None:
        self.wrong: list[str] = []
        self.asked = self.read = 0
        self._service, self._rng = service, random.Random(seed)
        self._highest: dict[tuple[Any, str], int] = defaultdict(int)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask_on)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _ask_on(self) -> None:
        try:
            while not self._over.wait(self._rng.choice([0.0, 0.0005, 0.003])):
                for runner in list(self._service.runners):
                    self._ask(runner)
                if self._rng.random() < 0.1:
                    self._read_page()
        except Exception as error:
            self.wrong.append(repr(error))

    def _ask(self, runner: Any) -> None:
        name, counters = runner.stream.name, facts.stream_stats(runner)["counters"]
        into, done = KINDS[name]
        self.asked += 1
        found = identity(counters, into, done)
        if found:
            self.wrong.append(f"{name}: {found}")
        for counter, count in counters.items():
            if counter in (into, done) or counter.startswith("dropped."):
                before = self._highest[runner, counter]
                if count < before:
                    self.wrong.append(f"{name}: {counter} was {before}, is {count}")
                self._highest[runner, counter] = count

    def _read_page(self) -> None:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self._service.pages.port}/metrics", timeout=LONGEST_S
        ) as answer:
            text = answer.read().decode()
        self.read += 1
        for name in {runner.stream.name for runner in self._service.runners}:
            kind = KINDS[name][0].removesuffix("_in")
            sums = {what: _sum(text, f"edgesnn_{metric}", name) for what, metric in _metrics(kind).items()}
            if sums["in"] != sums["processed"] + sums["dropped"] + sums["pending"]:
                self.wrong.append(f"/metrics: {name}: {sums}")


def _metrics(kind: str) -> dict[str, str]:
    ones = {what: f"{kind}_{what}_total" for what in ("in", "processed", "dropped")}
    return {**ones, "pending": "pending"}


def _sum(text: str, metric: str, stream: str) -> float:
    rows = re.findall(rf"^{metric}\{{([^}}]*)\}} (\S+)$", text, re.MULTILINE)
    return sum(float(value) for labels, value in rows if f'stream="{stream}"' in labels)


def reloaded(service: Any, folder: Path, text: str) -> None:
    (folder / "config.toml").write_text(text)
    service.reload()


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 20))])
def test_nothing_is_lost_without_a_name_at_any_moment(seed, streams, tmp_path, monkeypatch):
    rng = random.Random(seed)
    with serving(tmp_path, text_of(*streams.values())) as service:
        asker = Asker(service, seed)
        runners = list(service.runners)
        try:
            wait_for(lambda: asker.wrong or all(runner.restarts > 1 for runner in runners), [r.why for r in runners])
            for _ in range(6):
                chosen = [
                    text + 'publish = "change"\n' * rng.randrange(2) for text in streams.values() if rng.random() < 0.8
                ]
                reloaded(service, tmp_path, text_of(*(chosen or streams.values())))
                service.tick()
                time.sleep(rng.uniform(0.0, 0.2))
            assert service.reloads["refused"] == 0
            reloaded(service, tmp_path, text_of(*streams.values()))
            assert sorted(runner.stream.name for runner in service.runners) == sorted(streams)
            last = list(service.runners)
            wait_for(lambda: asker.wrong or all(sum(one.decisions.values()) > 5 for one in last), [r.why for r in last])
            wait_for(lambda: asker.wrong or (asker.asked > 300 and asker.read > 5))
        finally:
            for runner in service.runners:
                runner.stop()
            for runner in service.runners:
                assert runner.join()
            asker.close()
    assert asker.wrong == []
    for runner in [*runners, *last]:
        counters = runner.counters
        assert (identity(counters, *KINDS[runner.stream.name]), counters["pending"]) == ("", 0)
    for name in ("door", "yard"):
        dropped = [
            c.get(f"dropped.{why}", 0)
            for c in (r.counters for r in runners if r.stream.name == name)
            for why in ("ring_full", "decimated", "restarted")
        ]
        assert sum(dropped) > 0
