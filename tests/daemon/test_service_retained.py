"""What the service leaves retained at the broker, and takes away again; what it says of its connection."""

from __future__ import annotations

import json
import re
import signal
import urllib.request

from edgesnn.publish.broker import free_port
from tests.brokers import KillableBroker
from tests.daemon.test_service import RECORDING, configuration, one_broker, run, stream, subscribed, wait_for
from tests.predictions import validated

__all__ = ["one_broker", "run"]  # fixtures


def retained_states(broker: KillableBroker) -> set[str]:
    """Return the streams whose state is retained, as one who comes now is told."""
    with subscribed(broker) as late:
        late.wait_for(1, "/status", 20)
        late.wait_for(1, "/config", 20)
        wait_for(lambda: late.of("/health"))
        return {message.topic.split("/")[2] for message in late.of("/state") if message.retain}


def test_the_state_of_a_stream_that_a_reload_takes_away_or_renames_goes(one_broker, run, tmp_path):
    door, yard = (stream(name, f"replay:{RECORDING}?loop") for name in ("door", "yard"))
    with subscribed(one_broker) as subscriber:
        daemon = run(configuration(one_broker, door, yard))
        wait_for(lambda: {m.topic.split("/")[2] for m in subscriber.of("/state")} == {"door", "yard"}, what=daemon.log)
        (tmp_path / "config.toml").write_text(configuration(one_broker, door, yard.replace("yard", "court")))
        daemon.tell(signal.SIGHUP)
        wait_for(lambda: any(m.payload == b"" for m in subscriber.of("/yard/state")), what=daemon.log)
        subscriber.wait_for(1, "/court/state", 20)
        wait_for(lambda: retained_states(one_broker) == {"door", "court"}, what=daemon.log)
        (tmp_path / "config.toml").write_text(configuration(one_broker, door, yard))
        daemon.tell(signal.SIGHUP)
        wait_for(lambda: subscriber.of("/yard/state")[-1].payload != b"", what=daemon.log)
        assert daemon.end() == 0, daemon.log
    wait_for(lambda: retained_states(one_broker) == {"door", "yard"})


def test_the_state_of_a_stream_that_was_taken_away_meanwhile_goes_at_the_start(one_broker, run):
    door, yard = (stream(name, f"replay:{RECORDING}?loop") for name in ("door", "yard"))
    with subscribed(one_broker) as subscriber:
        daemon = run(configuration(one_broker, door, yard))
        wait_for(lambda: {m.topic.split("/")[2] for m in subscriber.of("/state")} == {"door", "yard"}, what=daemon.log)
        assert daemon.end() == 0, daemon.log
        daemon = run(configuration(one_broker, door))
        wait_for(lambda: subscriber.of("/yard/state")[-1].payload == b"", what=daemon.log)
        assert daemon.end() == 0, daemon.log
    assert retained_states(one_broker) == {"door"}


def test_health_status_and_metrics_say_since_when_and_what_was_before(one_broker, run):
    port = free_port()

    def page(name: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=5) as answer:
            return answer.read().decode()

    def metric(name: str) -> float:
        found = re.search(rf"^edgesnn_{name} (\S+)$", page("metrics"), re.MULTILINE)
        assert found, name
        return float(found[1])

    with subscribed(one_broker) as subscriber:
        text = configuration(one_broker, stream("door", f"replay:{RECORDING}?loop"), more=f"[http]\nport = {port}\n")
        daemon = run(text)
        subscriber.wait_for(1, timeout_s=30)
        wait_for(lambda: any(validated(m)["broker"]["since"] for m in subscriber.of("/health")), what=daemon.log)
        first = validated(subscriber.of("/health")[-1])["broker"]
        assert first["last_error"] is None
        since = metric("broker_since_timestamp_seconds")
        one_broker.kill()
        wait_for(lambda: metric("broker_since_timestamp_seconds") == 0, what=daemon.log)
        assert json.loads(page("healthz"))["broker"]["last_error"] is not None
        wait_for(lambda: json.loads(page("healthz"))["oldest_s"] > 0)
        one_broker.start()
        wait_for(lambda: metric("broker_since_timestamp_seconds") > since, 40, what=daemon.log)
        assert "# TYPE edgesnn_outbox_size_bytes gauge" in page("metrics")
        assert "# TYPE edgesnn_outbox_in_memory gauge" in page("metrics")
        assert metric("outbox_size_bytes") > 0
    with subscribed(one_broker) as late:
        status = validated(late.wait_for(1, "/status")[0])
    assert status["last_error"] == json.loads(page("healthz"))["broker"]["last_error"]
    assert daemon.end() == 0, daemon.log
