"""Which version of MQTT is spoken: 5 where the broker can, 3.1.1 where it cannot, and never for a passing silence."""

from __future__ import annotations

import pytest

from edgesnn.mqtt.versions import Versions


@pytest.mark.parametrize("reason", [None, 0x81, 0x82, 0x84])
def test_auto_falls_back_once_an_attempt(reason):
    versions = Versions("auto")
    assert versions.may_fall_back
    assert versions.fall_back(reason)
    assert versions.now == "3.1.1"
    assert not versions.may_fall_back
    assert not versions.fall_back(reason)
    assert versions.now == "5"


@pytest.mark.parametrize("reason", [0x80, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x97, 0x9F])
def test_a_broker_that_refuses_in_version_5_speaks_it(reason):
    versions = Versions("auto")
    assert not versions.fall_back(reason)
    assert versions.now == "5"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_version_that_is_asked_for_stays(protocol):
    versions = Versions(protocol)
    assert not versions.may_fall_back
    for reason in (None, 0x84, 0x88):
        assert not versions.fall_back(reason)
        assert versions.now == protocol
    assert versions.accepted()


def test_a_broker_of_3_1_1_is_believed():
    versions = Versions("auto")
    versions.fall_back(None)
    assert versions.accepted()
    assert versions.now == "3.1.1"


def test_one_that_spoke_5_before_is_asked_again_once():
    versions = Versions("auto")
    assert versions.accepted()
    versions.fall_back(None)
    assert not versions.accepted()
    assert versions.now == "5"
    versions.fall_back(None)
    assert versions.accepted(), "it was replaced by an older one"
    assert versions.now == "3.1.1"
