"""Discovery documents, against Home Assistant's documented fields and templates rendered as it renders them."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesnn.errors import ConfigError
from edgesnn.publish.discovery import check_prefix, discovery_topic, encode, node_document, stream_document
from tools.show_homes import check
from tools.show_homes import render as shown

NAMES = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="/+#"), min_size=1, max_size=20)


def render(template: str, value: Any) -> str:
    return shown(template, json.dumps(value).encode())


def documents(node: str, stream: str, labels: list[str]) -> list[dict[str, Any]]:
    both = node_document(node, power=True, temperature=True), stream_document(node, stream, labels)
    return [json.loads(encode(one)) for one in both]


@given(NAMES, NAMES, st.lists(NAMES, max_size=5))
def test_documents_have_the_documented_fields_alone(node: str, stream: str, labels: list[str]) -> None:
    seen: set[str] = set()
    for document in documents(node, stream, labels):
        check(document, "home-assistant")
        for key, part in document["cmps"].items():
            assert part["unique_id"] == key
            assert key not in seen
            seen.add(key)
            if part.get("device_class") == "enum":
                assert {*labels, "none", "idle"} == set(part["options"])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("power", {"unit_of_measurement": "w"}),
        ("temperature", {"unit_of_measurement": "C"}),
        ("power", {"device_class": "watts"}),
        ("power", {"unit_of_measurement": None}),
        ("memory", {"options": ["a"]}),
        ("memory", {"state_class": "mean"}),
        ("memory", {"state_topic": "edgesnn/+/stats"}),
        ("problem", {"state_class": "measurement"}),
        ("waiting", {"expires_after": 3}),
    ],
)
def test_a_document_that_home_assistant_would_not_take_is_refused(name: str, change: dict[str, Any]) -> None:
    document, _ = documents("gate", "door", [])
    check(document, "home-assistant")
    document["cmps"][f"edgesnn-gate.{name}"] |= change
    with pytest.raises(jsonschema.ValidationError):
        check(document, "home-assistant")


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_other_names_have_other_topics(one: tuple[str, str], other: tuple[str, str]) -> None:
    def topics(names: tuple[str, str]) -> set[str]:
        return {discovery_topic("homeassistant", names[0]), discovery_topic("homeassistant", *names)}

    if one[0] != other[0]:
        assert not topics(one) & topics(other)
    elif one != other:
        assert len(topics(one) & topics(other)) == 1
    for topic in topics(one):
        levels = topic.split("/")
        assert levels[:2] == ["homeassistant", "device"]
        assert levels[-1] == "config"
        assert all(re.fullmatch(r"[A-Za-z0-9_-]+", level) for level in levels)  # as Home Assistant has it


@pytest.mark.parametrize(("one", "other"), [(("a", "b-c"), ("a-b", "c")), (("a b", "c"), ("a_b", "c"))])
def test_names_that_look_alike(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert discovery_topic("p", *one) != discovery_topic("p", *other)
    assert not set(stream_document(*one, [])["cmps"]) & set(stream_document(*other, [])["cmps"])


@given(NAMES, st.sampled_from(["live", "dead"]), st.floats(0.1, 999), st.floats(0.01, 99))
def test_templates_find_their_values(stream: str, state: str, rate: float, latency: float) -> None:
    _, document = documents("gate", stream, ["left", "right"])
    parts = {key.rsplit(".", 1)[1]: part for key, part in document["cmps"].items()}
    stats = {"streams": {stream: {"rate_hz": rate, "latency_ms": {"p99": latency}}}}
    assert float(render(parts["rate"]["value_template"], stats)) == rate
    assert float(render(parts["latency"]["value_template"], stats)) == latency
    unknown = {"streams": {stream: {"rate_hz": None, "latency_ms": None}}}
    assert [render(parts[name]["value_template"], unknown) for name in ("rate", "latency")] == ["None", "None"]
    health = {"streams": {stream: {"state": state}}}
    there = [render(one["value_template"], {"status": "online", **health}) for one in document["availability"]]
    assert there == ["online", "online" if state == "live" else "offline"]


@pytest.mark.parametrize(
    ("decision", "label", "confidence", "shown", "percent"),
    [
        ("label", "left", 0.5, "left", "50.0"),
        ("none", None, 0.25, "none", "25.0"),
        ("idle", None, None, "idle", "None"),
    ],
)
def test_state_of_a_stream(
    decision: str, label: str | None, confidence: float | None, shown: str, percent: str
) -> None:
    parts = documents("gate", "door", ["left"])[1]["cmps"]
    value = {"decision": decision, "label": label, "confidence": confidence}
    template = {
        key.rsplit(".", 1)[1]: part["value_template"] for key, part in parts.items() if "value_template" in part
    }
    assert render(template["label"], value) == shown
    assert shown in parts["edgesnn-gate.door.label"]["options"]
    assert render(template["confidence"], value) == percent  # "None" is what Home Assistant calls unknown


def test_the_node() -> None:
    document, _ = documents("gate", "door", [])
    parts = {key.rsplit(".", 1)[1]: part for key, part in document["cmps"].items()}
    assert render(parts["problem"]["value_template"], {"health": "ok"}) == "OFF"
    assert render(parts["problem"]["value_template"], {"health": "degraded"}) == "ON"
    reasons = render(parts["problem"]["json_attributes_template"], {"reasons": ["no broker"]})
    assert json.loads(reasons) == {"reasons": ["no broker"]}
    assert float(render(parts["memory"]["value_template"], {"resident_bytes": 64_000_000})) == 64
    assert render(parts["memory"]["value_template"], {"resident_bytes": None}) == "None"
    assert render(parts["waiting"]["value_template"], {"outbox": {"pending": 3}}) == "3"


@pytest.mark.parametrize(
    ("board", "power", "temperature"),
    [
        ({"total_w": 7.5, "temperature_c": {"cpu": 48.5, "a b": -1.0, "gpu": 51.25}}, "7.5", "51.25"),
        ({"total_w": 0.0, "temperature_c": {"cpu": 0.0}}, "0.0", "0.0"),
        ({"total_w": None, "temperature_c": {}}, "None", "None"),
        (None, "None", "None"),
    ],
)
def test_the_board_of_the_node(board: Any, power: str, temperature: str) -> None:
    document, _ = documents("gate", "door", [])
    parts = {key.rsplit(".", 1)[1]: part for key, part in document["cmps"].items()}
    shown = [render(parts[name]["value_template"], {"board": board}) for name in ("power", "temperature")]
    assert shown == [power, temperature]  # "None" is unknown; what is empty Home Assistant would pass over


@given(NAMES)
def test_what_one_name_becomes_is_not_what_another_becomes(name: str) -> None:
    becomes = discovery_topic("p", name).split("/")[2].removeprefix("edgesnn-")
    assert becomes == name or discovery_topic("p", becomes) != discovery_topic("p", name)


def test_many_labels_are_no_list() -> None:
    part = stream_document("gate", "door", [str(i) for i in range(101)])["cmps"]["edgesnn-gate.door.label"]
    assert not {"options", "device_class"} & set(part)


@pytest.mark.parametrize("prefix", ["", "/", "a//b", "a/", "home+", "#", "$SYS", "a\nb", "x" * 201, "a\u202eb"])
def test_odd_prefixes_are_refused(prefix: str) -> None:
    with pytest.raises(ConfigError, match="not a discovery prefix"):
        check_prefix(prefix)


def test_why_a_prefix_is_refused_is_said() -> None:
    with pytest.raises(ConfigError, match=r"found '\$SYS/ha'.*not with \$ first"):
        check_prefix("$SYS/ha")


@pytest.mark.parametrize("prefix", ["homeassistant", "site/ha", "häuser"])
def test_prefixes(prefix: str) -> None:
    assert discovery_topic(check_prefix(prefix), "gate", "door") == f"{prefix}/device/edgesnn-gate/door/config"
