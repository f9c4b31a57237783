"""A broker that is absent, stopped, slow, refuses or cannot be reached: one status, a clear line, no hammering, memory
flat, and when the cause goes everything is delivered by itself.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgesnn.mqtt import Client, Connected
from edgesnn.publish.broker import available, find_mosquitto
from tests.brokers import KillableBroker
from tests.daemon.test_service import wait_for
from tests.fault_proxy import BROKER, CLIENT, DOWN, UP, FaultProxy
from tests.judging import Scene

KINDS = available()
BOTH_WAYS = frozenset({UP, DOWN})
LASTS_S = 25.0
MEMORY_BYTES = 6_000_000  # a prediction that is kept in memory takes some 3 kB: 200 a second show
needs_mosquitto = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
BEHIND = "predictions wait: the broker acknowledges too few"  # a busy machine is, after an outage
RESET = "refused the connection: found Connection reset"  # an attempt was on its way
Act = Callable[[Scene], None]


def footprint(scene: Scene) -> tuple[int, int, int]:
    """Return resident bytes, threads and descriptors of the service."""
    assert scene.daemon is not None
    process = Path(f"/proc/{scene.daemon.process.pid}")
    resident = re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())
    assert resident is not None
    return int(resident[1]) * 1024, len(os.listdir(process / "task")), len(os.listdir(process / "fd"))


def warnings(log: str) -> list[str]:
    return [line for line in log.splitlines() if re.match(r"edgesnn: (warning|error): ", line)]


def goes_through(scene: Scene, impose: Act, mend: Act, reason: str, errors: str, lasts_s: float = LASTS_S) -> None:
    """Let a cause come and go, and hold what the service is to do meanwhile and afterwards.

    `reason`: how the one of health begins; `errors`: a pattern of the other warnings, each said once.
    """
    scene.wait_for_traffic(100)
    wait_for(lambda: scene.health()["reasons"] == [], what=scene.log)
    said = len(scene.log)
    impose(scene)
    reasons = wait_for(lambda: scene.health()["reasons"], 120, scene.log)
    assert len(reasons) == 1, reasons
    assert reasons[0].startswith(reason)
    resident, threads, descriptors = footprint(scene)
    attempts, end_s = scene.proxy.accepted, time.monotonic() + lasts_s
    while time.monotonic() < end_s:
        time.sleep(0.5)
        assert scene.health()["reasons"] == reasons
        assert footprint(scene)[0] <= resident + MEMORY_BYTES
        assert footprint(scene)[1] <= threads + 4  # of /healthz
        assert footprint(scene)[2] <= descriptors + 4  # connections come and go
    assert scene.proxy.accepted - attempts <= 2 * 2 * 10, "two connections, at most two versions, and back-off"
    mend(scene)
    wait_for(lambda: scene.health()["reasons"] == [], 300, scene.log)
    lines = warnings(scene.log[said:])
    assert len(lines) == len(set(lines)), "said again and again"
    assert {line.split("degraded: ")[1] for line in lines if "degraded: " in line} <= {reasons[0], BEHIND}
    others = [line for line in lines if "degraded: " not in line]
    assert all(re.search(errors, line) for line in others), others


def is_well_and_complete(scene: Scene) -> None:
    """Hold that the service says that all is well, has said one thing that was not, and has lost nothing."""
    wait_for(lambda: "all is well again" in scene.log, 300, scene.log)
    assert_kept(scene)
    assert scene.log.count("all is well again") == 1
    assert 1 <= scene.log.count("degraded: ") <= 1 + scene.log.count(BEHIND)


def assert_kept(scene: Scene) -> None:
    """Hold that everything that was accepted has arrived, save what a killed broker had acknowledged."""
    ledger = scene.end()
    assert scene.seen() == ledger.accepted - scene.excepted()
    assert scene.dead_eras or not scene.excepted()


def refuse_connections(scene: Scene) -> None:
    scene.disturb(connack=0x88 if scene.broker.kind == "mosquitto" else 3)
    scene.proxy.reset()


def make_hole(scene: Scene) -> None:
    scene.disturb(hole=BOTH_WAYS)


def forget(scene: Scene) -> None:
    """Mend a link whose ends no longer know each other."""
    scene.proxy.reset()
    scene.disturb()


CAUSES: dict[str, tuple[Act, Act, str, str]] = {
    "absent": (
        lambda scene: scene.kill_broker(),
        lambda scene: scene.start_broker(),
        "no broker",
        "connection to the broker was lost|cannot reach|closed before it answered|" + RESET,
    ),
    "stopped": (
        lambda scene: scene.broker.signal(signal.SIGSTOP),
        lambda scene: scene.broker.signal(signal.SIGCONT),
        "no broker",
        "connection to the broker was lost|no answer from the broker",
    ),
    "refusing": (
        refuse_connections,
        lambda scene: scene.disturb(),
        "no broker",
        "connection to the broker was lost|refused the connection: found Server unavailable",
    ),
    "hole": (
        make_hole,
        forget,
        "no broker",
        "connection to the broker was lost|no answer from the broker|closed before it answered|" + RESET,
    ),
    "slow": (
        lambda scene: scene.disturb(rate_bytes_s=20_000),
        lambda scene: scene.disturb(),
        BEHIND,
        "nothing else",
    ),
}


def test_a_broker_that_refuses_connections_for_a_while(tmp_path):
    with Scene(KINDS[0], tmp_path, link={}) as scene:
        goes_through(scene, *CAUSES["refusing"], lasts_s=0.5)
        assert_kept(scene)


@pytest.mark.full
@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_cause_comes_and_goes(tmp_path, kind, cause):
    if (kind, cause) == ("amqtt", "stopped"):
        pytest.skip("amqtt that goes on acknowledges what it never gives to a consumer that was away meanwhile")
    with Scene(kind, tmp_path, link={}) as scene:
        goes_through(scene, *CAUSES[cause])
        is_well_and_complete(scene)


@pytest.mark.full
@needs_mosquitto
def test_a_broker_that_refuses_what_is_published(tmp_path):
    def allow(scene: Scene, right: str) -> None:
        (scene.folder / "access").write_text(f"topic {right} edgesnn/#\n")
        scene.broker.signal(signal.SIGHUP)

    with Scene("mosquitto", tmp_path, link={}, access="topic readwrite edgesnn/#\n") as scene:
        goes_through(
            scene,
            lambda scene: allow(scene, "read"),
            lambda scene: allow(scene, "readwrite"),
            f"predictions wait: {scene.proxy.url}: the broker refuses what is published: found Not authorized",
            "the broker refuses what is published: found Not authorized; does its access control",
        )
        is_well_and_complete(scene)


@pytest.mark.full
@needs_mosquitto
def test_a_link_of_which_the_service_is_not_told_that_it_has_ended(tmp_path):
    with Scene("mosquitto", tmp_path, link={}) as scene:
        scene.wait_for_traffic(200)
        scene.disturb(untold=frozenset({CLIENT}))
        scene.proxy.reset(BROKER)
        attempts = scene.proxy.accepted
        wait_for(lambda: scene.proxy.accepted == attempts + 2, 90, "the end of the link is not noticed")
        scene.wait_for_traffic(200)
        wait_for(lambda: scene.health()["reasons"] == [], 60)
        assert len([line for line in warnings(scene.log) if "connection to the broker was lost" in line]) == 1
        assert_kept(scene)
        assert scene.proxy.accepted == attempts + 2


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], stderr=subprocess.PIPE, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.full
@needs_mosquitto
def test_a_broker_whose_disk_is_full_is_one_that_works(tmp_path, small_disk):
    """mosquitto goes on in memory; what the consumer has not taken then dies with it, which seq would show."""
    with Scene("mosquitto", tmp_path, link={}) as scene:
        scene.broker.kill()
        scene.broker.store = small_disk
        scene.broker.start()
        scene.consumer.wait()
        scene.consumer.leave()
        (small_disk / "ballast").write_bytes(b"x" * 200_000)
        scene.wait_for_traffic(300)
        scene.broker.signal(signal.SIGUSR1)
        wait_for(lambda: shutil.disk_usage(small_disk).free == 0, what="the disk is not full")
        scene.wait_for_traffic(100)
        assert scene.health()["reasons"] == []
        scene.consumer.come()
        assert_kept(scene)


@pytest.fixture
def namespace() -> Iterator[tuple[str, str, str]]:
    """Give the name of a network namespace, the name of our end of its only link, and our address on it."""
    name, ours = f"edgesnn-{os.getpid()}", f"edge{os.getpid() % 100_000}"
    if shutil.which("ip") is None:
        pytest.skip("no `ip` here: apt install iproute2")
    made = subprocess.run(["ip", "netns", "add", name], stderr=subprocess.PIPE, text=True)
    if made.returncode:
        pytest.skip(f"no network namespace can be made here: {made.stderr.strip()}")
    try:
        for command in (
            f"ip link add {ours} type veth peer name there netns {name}",
            f"ip address add 198.18.77.1/30 dev {ours}",
            f"ip link set {ours} up",
            f"ip -n {name} link set lo up",
            f"ip -n {name} address add 198.18.77.2/30 dev there",
            f"ip -n {name} link set there up",
        ):
            subprocess.run(command.split(), check=True)
        yield name, ours, "198.18.77.1"
    finally:
        subprocess.run(["ip", "link", "delete", ours])  # with the namespace alone it goes later, and its name is taken
        subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.mark.full
@needs_mosquitto
@pytest.mark.parametrize("lasts_s", [5.0, 40.0])
def test_a_cable_that_is_pulled_and_put_back(tmp_path, namespace, lasts_s):
    """The service lives in a namespace of its own, whose only link goes down: no end is told anything."""
    name, ours, address = namespace
    with Scene("mosquitto", tmp_path, link={}, address=address, prefix=("ip", "netns", "exec", name)) as scene:
        scene.wait_for_traffic(200)
        subprocess.run(["ip", "link", "set", ours, "down"], check=True)
        time.sleep(lasts_s)
        assert ("degraded: no broker" in scene.log) == (lasts_s > 30)
        subprocess.run(["ip", "link", "set", ours, "up"], check=True)
        scene.wait_for_traffic(200)
        assert_kept(scene)
        assert scene.log.count("degraded: ") <= 1 + scene.log.count(BEHIND)


@needs_mosquitto
def test_a_broker_of_version_5_is_spoken_5_to_after_a_silence(tmp_path):
    with KillableBroker("mosquitto", tmp_path) as broker, FaultProxy(broker.broker) as proxy:
        client = Client(proxy.broker, client_id="edgesnn-test")
        client.open()
        proxy.set(hole=BOTH_WAYS)
        proxy.reset()
        while client.protocol == "5" or len(proxy.watches) < 3:  # 5 met silence, and 3.1.1 is on its way
            client.poll(0.1)
        proxy.set()
        events = [event for _ in range(200) if not client.connected for event in client.poll(0.1)]
        assert [event.protocol for event in events if isinstance(event, Connected)] == ["5"]
        client.close()
    assert [watch.version for watch in proxy.watches] == [5, 5, 4, 5]


@pytest.mark.parametrize("kind", KINDS)
def test_a_broker_that_takes_us_and_drops_us_at_once_is_not_hammered(tmp_path, kind):
    with KillableBroker(kind, tmp_path) as broker, FaultProxy(broker.broker) as proxy:
        client = Client(proxy.broker, client_id="edgesnn-test", protocol="5" if kind == "mosquitto" else "3.1.1")
        end_s, taken = time.monotonic() + 2.5, 0
        while time.monotonic() < end_s:
            client.poll(0.05)
            if client.connected:
                taken += 1
                proxy.reset()
                while client.connected:
                    client.poll(0.05)
        client.close()
    assert 1 <= taken <= proxy.accepted <= 6, "0.1, 0.2, 0.4, 0.8, 1.6 s apart at least"
