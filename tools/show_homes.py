"""Shows what Home Assistant and Grafana get of a service that runs, checked against schemas of their documented fields:
`python -m tools.show_homes --mqtt mqtt://127.0.0.1:1883 --metrics http://127.0.0.1:9469/metrics`.

One JSON document on standard output: Home Assistant's discovery documents with what their templates show now, the
dashboard's queries with their rows. It publishes nothing, and takes as long as the service's `stats` (every 10 s).
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2.sandbox
import jsonschema

from edgesnn.broker_url import Broker
from edgesnn.cli.arguments import add_mqtt, broker_argument, protocol_argument
from edgesnn.errors import EdgeSnnError
from edgesnn.mqtt import Client, Message, make_client_id
from edgesnn.publish.topics import ROOT
from tools import promql

HERE = Path(__file__).resolve().parent
DASHBOARD = HERE.parent / "deploy" / "observability" / "dashboard.json"
LONGEST_S = 60.0
_SANDBOX = jinja2.sandbox.ImmutableSandboxedEnvironment()


def check(document: Any, schema: str) -> None:
    """Raise `jsonschema.ValidationError` where a document is not as `tools/schemas/<schema>.json` says."""
    _validator(schema).validate(document)


@functools.cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    found = json.loads((HERE / "schemas" / f"{schema}.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def render(template: str, payload: bytes) -> str:
    """Return what Home Assistant makes of a payload: a sandbox, the payload as `value_json`."""
    return str(_SANDBOX.from_string(template).render(value_json=json.loads(payload)))


def home_assistant(messages: Mapping[str, bytes], prefix: str) -> list[dict[str, Any]]:
    """Return each discovery document, whether what it describes is available, and what its parts show now.

    A part whose topic has said nothing, such as that of events, shows None.
    """

    def value(topic: str, template: str) -> str | None:
        return render(template, messages[topic]) if topic in messages else None

    shown = []
    for topic, document in documents(messages, prefix).items():
        check(document, "home-assistant")
        there = {value(one["topic"], one["value_template"]) for one in document["availability"]}
        values = {
            name: value(part["state_topic"], part.get("value_template", "{{ value_json | tojson }}"))
            for name, part in document["cmps"].items()
        }
        shown.append({"topic": topic, "available": there == {"online"}, "shows": values, "document": document})
    return shown


def documents(messages: Mapping[str, bytes], prefix: str) -> dict[str, Any]:
    """Return the discovery documents of edgesnn by their topics: other devices may have theirs at the broker."""
    ours = sorted(one for one in messages if one.startswith(f"{prefix}/device/edgesnn-") and messages[one])
    return {topic: json.loads(messages[topic]) for topic in ours}


def grafana(pages: list[promql.Page]) -> list[dict[str, Any]]:
    """Return the queries of the dashboard, for all boards and streams, with the rows that they give now."""
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    check(dashboard, "grafana-dashboard")
    shown = []
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            found = promql.evaluate(promql.everything(target["expr"]), pages)
            rows = {legend(target["legendFormat"], row): value for row, value in found.items()}
            unit = panel["fieldConfig"]["defaults"]["unit"]
            shown.append({"panel": panel["title"], "unit": unit, "query": target["expr"], "rows": rows})
    return shown


def legend(pattern: str, row: promql.Labels) -> str:
    """Return a row's name in a panel."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: dict(row).get(match[1], ""), pattern)


def scrape(url: str) -> promql.Page:
    """Return the page of metrics as it is now."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return time.monotonic(), promql.rows(answer.read().decode(), job="edgesnn", instance=urlsplit(url).netloc)


def listen(broker: Broker, protocol: str, prefix: str) -> dict[str, bytes]:
    """Return the last message of each topic, until all that discovery documents want has come, or `LONGEST_S`."""
    until_s, messages = time.monotonic() + LONGEST_S, dict[str, bytes]()
    client = Client(broker, client_id=make_client_id("homes", "show"), protocol=protocol)
    try:
        client.open()
        for topics in (f"{prefix}/device/#", f"{ROOT}/#"):
            client.subscribe(topics)
        while time.monotonic() < until_s and not complete(messages, prefix):
            messages |= {one.topic: one.payload for one in client.poll(0.2) if isinstance(one, Message)}
    finally:
        client.close()
    return messages


def complete(messages: Mapping[str, bytes], prefix: str) -> bool:
    """Whether there are documents, and their topics, but those of events, have said something."""
    found = documents(messages, prefix).values()
    parts = [part for document in found for part in document["cmps"].values() if part["p"] != "event"]
    topics = {part["state_topic"] for part in parts} | {one["topic"] for d in found for one in d["availability"]}
    return bool(found) and topics <= set(messages)


def main() -> int:
    """Ask the broker and the service, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_mqtt(parser)
    parser.add_argument("--metrics", metavar="URL", required=True, help="the service's page /metrics")
    parser.add_argument("--prefix", default="homeassistant", help="of discovery (default: homeassistant)")
    args = parser.parse_args()
    broker = broker_argument(args)
    if broker is None:
        parser.error("--mqtt is missing")
    pages = [scrape(args.metrics)]
    messages = listen(broker, protocol_argument(args), args.prefix)
    if not documents(messages, args.prefix):
        print(
            f"no discovery documents of edgesnn at {args.prefix}/device/ ([home_assistant] enabled?)", file=sys.stderr
        )
        return 1
    time.sleep(max(0.0, pages[0][0] + 1.0 - time.monotonic()))  # rates need two pages
    pages.append(scrape(args.metrics))
    shown = {"home_assistant": home_assistant(messages, args.prefix), "grafana": grafana(pages)}
    print(json.dumps(shown, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, EdgeSnnError) as error:  # no service, no broker
        sys.exit(f"show_homes: {error}")
