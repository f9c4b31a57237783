"""SECURITY.md names tests for what it says: each of them exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_it_names_tests_for_every_threat():
    headings = [part.partition("\n") for part in PAGE.split("\n## ")[1:]]
    without = [title for title, _, text in headings if "::test_" not in text]
    assert without == ["How to report", "What is protected, and from whom", "What does not hold"]
    assert PAGE.count("::test_") == len(re.findall(r"`tests/[\w/]+\.py::\w+`", PAGE)), (
        "one that is not written as a test"
    )


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_it_names_exists(file, name):
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
