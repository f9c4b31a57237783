"""The README's examples are run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgesnn.cli.main import COMMANDS
from edgesnn.publish.broker import LocalBroker

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)( broker)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def blocks(language: str, *, broker: bool = False) -> list[str]:
    text = (ROOT / "README.md").read_text("utf-8")
    return [body for name, needs, body in BLOCK.findall(text) if name == language and bool(needs) == broker]


def commands(*, broker: bool = False) -> list[str]:
    lines = [line for block in blocks("sh", broker=broker) for line in block.splitlines()]
    return [line for line in lines if line.startswith("edgesnn ")]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples_run_and_print(code):
    done = run([sys.executable, "-c", code])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("command", commands())
def test_commands_run_as_they_stand(command):
    done = run([sys.executable, "-m", *command.split()])
    assert done.returncode == 0, done.stderr
    assert "edgesnn: " not in done.stderr, "no warning, no error"
    assert done.stdout


@pytest.mark.parametrize("command", commands(broker=True))
def test_commands_with_a_broker_run(command):
    with LocalBroker() as local:
        done = run([sys.executable, "-m", *command.replace("mqtt://127.0.0.1:1883", local.url).split()])
    assert done.returncode == 0, done.stderr


def test_the_example_of_replay_shows_labels():
    command = next(line for line in commands() if line.startswith("edgesnn replay") and line.endswith("--json"))
    records = [json.loads(line) for line in run([sys.executable, "-m", *command.split()]).stdout.splitlines()]
    assert any(record["decision"] == "label" for record in records)


def test_there_is_something_to_run():
    assert len(blocks("python")) >= 2
    assert len(commands()) >= 4
    assert commands(broker=True)


def test_the_page_of_the_command_line_names_every_command():
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    for name in COMMANDS:
        assert f"| `{name}" in page
    assert set(re.findall(r"^\| `(\w+)[ `]", page.split("## Exit codes")[0], re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
