"""The service at 200 predictions a second while it, its broker and the link between them die: a consumer with a
persistent session sees every prediction that was accepted.

Accepted is what the outbox's file numbered, read with SQLite after each death. Excepted, listed and counted apart: what
a broker acknowledged, as the proxy saw it, and took to its grave.
"""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgesnn
from edgesnn.publish.broker import available
from tests.daemon.test_service import RECORDING, wait_for
from tests.fault_proxy import BROKER, CLIENT, DOWN, UP
from tests.judging import IN_FLIGHT, Id, Scene, id_of, passed_over

STILL = ("window", "sensor", "decision", "label", "class", "confidence", "topk", "spikes", "synops")
BOTH_WAYS = frozenset({UP, DOWN})


def kill_daemon(scene: Scene, rng: random.Random) -> None:
    scene.kill_daemon()
    assert_accounted_for(scene)
    scene.start_daemon()


def kill_broker(scene: Scene, rng: random.Random) -> None:
    away = scene.broker.persistent and rng.random() < 0.5
    if away:
        scene.consumer.leave()
        scene.wait_for_traffic(rng.randint(1, 40))
    scene.kill_broker()
    time.sleep(rng.uniform(0.0, 1.0))
    scene.start_broker()
    if away:
        scene.consumer.come()


def kill_both(scene: Scene, rng: random.Random) -> None:
    for kill in rng.sample((scene.kill_daemon, scene.kill_broker), 2):
        kill()
    assert_accounted_for(scene)
    for start in rng.sample((scene.start_daemon, scene.start_broker), 2):
        start()


def cut_link(scene: Scene, rng: random.Random) -> None:
    """Cut it in one of the ways in which links end, and mend it."""
    how = rng.choice(("reset", "hole", "forgotten", "unanswered", "half-open"))
    if how == "reset":
        scene.disturb(refuse=True)
        scene.proxy.reset()
    elif how == "half-open":
        scene.disturb(untold=frozenset({CLIENT}))
        scene.proxy.reset(BROKER)
    else:
        scene.disturb(hole=frozenset({DOWN}) if how == "unanswered" else BOTH_WAYS)
    time.sleep(rng.uniform(0.1, 1.0))
    if how in ("forgotten", "unanswered", "half-open"):
        scene.proxy.reset()
    scene.disturb()


FAULTS: dict[str, Callable[[Scene, random.Random], None]] = {
    "daemon": kill_daemon,
    "broker": kill_broker,
    "link": cut_link,
    "both": kill_both,
}


def assert_accounted_for(scene: Scene) -> None:
    """Hold that what a dead service had accepted lies in its file, or was acknowledged; and nothing else was sent."""
    ledger = scene.ledger()
    assert ledger.balanced
    assert set(scene.sent()) <= ledger.accepted
    gone = ledger.accepted - ledger.waiting
    wait_for(lambda: gone <= scene.acknowledged(), 5, "neither waiting nor acknowledged")
    assert not passed_over(scene.last_acknowledged(), ledger.waiting), "acknowledged, and others marked instead"


def assert_kept(scene: Scene, faults: int) -> dict[str, Any]:
    """Hold the promises against what the consumer saw, and return the numbers."""
    ledger = scene.end()
    given = scene.predictions()
    records = [record for record, _ in given]
    seen, excepted = scene.seen(), scene.excepted()
    lost = ledger.accepted - seen
    numbers = {
        "accepted": len(ledger.accepted),
        "seen": len(seen),
        "duplicates": scene.duplicates(),
        "late": len({id_of(record) for record in records if record["late"]}),
        "excepted": sorted(excepted),
    }
    assert lost == excepted, numbers
    assert gaps(seen) == excepted, "what is lost shows as a gap in seq"
    assert seen <= ledger.accepted
    assert ledger.accounts["accepted"] == ledger.accounts["acknowledged"] == len(ledger.accepted)
    assert not ledger.waiting
    assert scene.duplicates() <= IN_FLIGHT * faults
    assert sum(not again for _, again in given) - len(seen) <= IN_FLIGHT * faults
    assert len({(*id_of(record), record["boot_id"], record["window"]) for record in records}) == len(seen)
    assert_every_window_is_there(scene)
    assert_as_decided(scene, records)
    for stream in ledger.next_seq:
        prompt = [record["seq"] for record in records if record["stream"] == stream and not record["late"]]
        assert prompt == sorted(set(prompt)), "out of order, or twice, without saying that it is late"
    return numbers


def assert_every_window_is_there(scene: Scene) -> None:
    """Hold that of each life of a stream all windows from the first on were sent: none went before it was numbered."""
    windows: dict[tuple[str, str], set[int]] = defaultdict(set)
    for record in scene.sent_records():
        windows[record["stream"], record["boot_id"]].add(record["window"])
    for found in windows.values():
        assert found == set(range(len(found)))


def assert_as_decided(scene: Scene, records: list[dict[str, Any]]) -> None:
    """Hold that what came says what a pipeline in the caller's thread makes of the recording, up to its first end."""
    with edgesnn.Pipeline(RECORDING, scene.model, adapt="downsample") as pipeline:
        expected = json.loads(json.dumps([prediction.to_dict() for prediction in pipeline]))
    overloaded = {(one["stream"], one["boot_id"]) for one in records if one["sensor"]["dropped"]}
    for record in records:
        if record["window"] < len(expected) - 1 and (record["stream"], record["boot_id"]) not in overloaded:
            one = expected[record["window"]]
            assert {name: record[name] for name in STILL} == {name: one[name] for name in STILL}


def gaps(seen: set[Id]) -> set[Id]:
    """Return the numbers that a consumer misses below those that it has."""
    last = {stream: max(seq for name, seq in seen if name == stream) for stream, _ in seen}
    return {(stream, seq) for stream, most in last.items() for seq in range(most)} - seen


def go_through(scene: Scene, seed: int, faults: tuple[str, ...], most: int) -> dict[str, Any]:
    """Let the faults happen, each after 20 to so many predictions more."""
    rng = random.Random(seed)
    for fault in faults:
        scene.wait_for_traffic(rng.randint(20, most))
        FAULTS[fault](scene, rng)
    scene.wait_for_traffic(20)
    return assert_kept(scene, len(faults))


def judge(kind: str, seed: int, faults: tuple[str, ...], most: int, folder: Path) -> dict[str, Any]:
    if kind not in available():
        pytest.skip(f"{kind} is not installed")
    with Scene(kind, folder, seed) as scene:
        numbers = go_through(scene, seed, faults, most)
    print(kind, seed, *faults, numbers)
    return numbers


@pytest.mark.parametrize(("seed", "faults"), [(0, ("daemon", "link")), (1, ("broker", "both"))])
def test_no_accepted_prediction_is_lost(tmp_path, seed, faults):
    judge("mosquitto", seed, faults, 60, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "seed"), [*(("mosquitto", seed) for seed in range(20)), *(("amqtt", seed) for seed in range(5))]
)
def test_no_accepted_prediction_is_lost_in_full(tmp_path, record_property, kind, seed):
    faults = random.Random(-1 - seed).sample(sorted(FAULTS), len(FAULTS))
    record_property("numbers", judge(kind, seed, tuple(faults), 400, tmp_path))
