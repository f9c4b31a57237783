"""Every error says what, where, found against expected, and what to do."""

from __future__ import annotations

import doctest

import pytest

from edgesnn import errors

CODES = {
    "EdgeSnnError": 1,
    "UsageError": 2,
    "RecordingError": 3,
    "ModelError": 4,
    "ConfigError": 5,
    "PublishError": 6,
    "BackendError": 7,
}


def test_the_tree_is_whole_and_each_class_has_its_exit_code():
    classes = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert {name: kind.exit_code for name, kind in classes.items()} == CODES
    assert all(issubclass(kind, errors.EdgeSnnError) for kind in classes.values())


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "wrong"),
        ({"where": "a.raw"}, "a.raw: wrong"),
        ({"where": "a.raw", "offset": 0}, "a.raw: byte 0: wrong"),
        ({"found": "1"}, "wrong: found 1"),
        ({"expected": "2"}, "wrong: expected 2"),
        ({"where": "k", "found": "1", "expected": "2", "hint": "do"}, "k: wrong: found 1, expected 2; do"),
    ],
)
def test_the_message_is_made_of_the_parts(parts, text):
    assert str(errors.EdgeSnnError("wrong", **parts)) == text


def test_the_example_runs():
    assert doctest.testmod(errors).failed == 0
