"""Payloads of commands, whatever they hold; what is done of them, once; how many are looked at."""

from __future__ import annotations

import json
import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.broker_url import Broker
from edgesnn.daemon.commands import desk as desks
from edgesnn.daemon.commands import pending
from edgesnn.daemon.commands.desk import Desk
from edgesnn.daemon.commands.parsing import MOST_BYTES, VERBS, NoCommandError, late, parse
from edgesnn.daemon.commands.verbs import Verbs
from edgesnn.daemon.gate import Gate
from edgesnn.errors import ModelError, PublishError
from edgesnn.mqtt import Lost, Message, Refused
from edgesnn.schemas import load_schema
from tests.predictions import make_prediction

COMMAND = jsonschema.Draft202012Validator(load_schema("command-1"))
RESPONSE = jsonschema.Draft202012Validator(load_schema("response-1"))


def at(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def payload(name: str = "a", *, expires: Any = None, **fields: Any) -> bytes:
    record = {"schema": "edgesnn.command/1", "id": name, "expires": at(60) if expires is None else expires, **fields}
    return json.dumps(record).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"id": 5}',
        b'{"id": ""}',
        b'{"id": "a b"}',
        b'{"id": "' + b"x" * 65 + b'"}',
        b'{"id": "a", "x": NaN}',
        b'{"id": "a", "x": ' + b"1" * 5000 + b"}",
        b"[" * 5000,
        b'{"id": "a", "x": "' + b" " * MOST_BYTES + b'"}',
    ],
)
def test_bytes_without_an_id_are_no_command(data):
    with pytest.raises(NoCommandError):
        parse("ping", data)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"schema": "edgesnn.command/2"}, "schema"),
        ({"more": 1}, "no such field: 'more'"),
        ({"expires": "tomorrow"}, "expires"),
        ({"expires": "2026-13-31T00:00:00Z"}, "expires"),
        ({"expires": 5}, "expires"),
        ({"args": []}, "args"),
    ],
)
def test_what_is_wrong_is_said_to_who_gave_an_id(fields, word):
    assert word in parse("ping", payload(**fields)).wrong


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "schema": st.just("edgesnn.command/1") | JSON,
        "id": st.text(st.sampled_from("ab:.-_"), max_size=4) | JSON,
        "expires": st.sampled_from([at(100), at(-100), "2026-02-30T00:00:00Z", "0000-00-00T00:00:00Z"]) | JSON,
        "args": st.fixed_dictionaries({}, optional={"stream": JSON, "values": JSON}) | JSON,
        "x": JSON,
    },
)


@settings(max_examples=150)
@given(st.binary(max_size=300) | RECORDS.map(lambda record: json.dumps(record).encode()), st.sampled_from(VERBS))
def test_any_payload_is_answered_validly_or_not_at_all(data, verb):
    desk = make_desk()
    verbs = Verbs(lambda: [], lambda: {}, lambda log: None)
    desk._arrived(Message(f"edgesnn/n/cmd/{verb}", data, False))
    command = desk.take()
    if command is not None:
        assert COMMAND.is_valid(json.loads(data))
        answer = verbs.obey(command)
        assert answer is not None, "there is no stream to wait for"
        desk.answer(command, answer)
    answers = responses(desk)
    assert len(answers) <= 1
    counts = desk.stats()
    assert counts["received"] == 1 == sum(count for name, count in counts.items() if name != "received")
    desk.close()


def test_a_command_s_time_is_between_now_and_five_minutes():
    command = parse("ping", payload(expires="2026-01-31T12:00:00Z"))
    noon = command.expires_s
    assert late(command, noon - 1) is None
    assert late(command, noon) == "expired"
    assert late(command, noon - 300) is None
    assert "2026-01-31T11:54:59Z here" in str(late(command, noon - 301))
    assert "1970" in str(late(command, 5.0)), "a board that does not know the time"


def make_desk(**options: Any) -> Desk:
    allow = options.pop("allow", VERBS)
    broker = Broker("127.0.0.1", 9)
    return Desk(
        broker, node="n", boot_id="0" * 16, protocol="5", client_id=None, allow=allow, wake=lambda: None, **options
    )


def responses(desk: Desk) -> list[dict[str, Any]]:
    records = [json.loads(data) for _, data, _ in desk._answers]
    for record in records:
        RESPONSE.validate(record)
    return records


def arrive(desk: Desk, verb: str, data: bytes, *, retained: bool = False, **fields: Any) -> None:
    desk._arrived(Message(f"edgesnn/n/cmd/{verb}", data, retained, **fields))


def test_each_id_is_answered_once_whatever_it_is():
    desk = make_desk(allow=("ping",))
    for _ in range(3):
        arrive(desk, "ping", payload("a"))
        arrive(desk, "pause", payload("b"))
        arrive(desk, "ping", payload("c", expires=at(-1)))
        arrive(desk, "ping", payload("d", expires=at(1000)))
        arrive(desk, "ping", payload("e", more=1))
    command = desk.take()
    assert command is not None
    assert command.id == "a"
    desk.answer(command, ("done", {}, None))
    assert desk.take() is None
    found = {record["id"]: record["outcome"] for record in responses(desk)}
    assert found == {"a": "done", "b": "not_allowed", "c": "expired", "d": "malformed", "e": "malformed"}
    assert len(responses(desk)) == 5
    assert desk.stats()["duplicate"] == 10


def test_a_retained_command_and_an_unknown_verb_are_neither_done_nor_answered():
    desk = make_desk()
    arrive(desk, "ping", payload("a"), retained=True)
    arrive(desk, "reboot", payload("b"))
    arrive(desk, "", payload("c"))
    assert desk.take() is None
    assert responses(desk) == []
    assert (desk.stats()["retained"], desk.stats()["malformed"]) == (1, 2)


def test_what_expires_while_it_waits_is_not_done(monkeypatch):
    desk = make_desk()
    arrive(desk, "ping", payload("a", expires=at(30)))
    now = time.time()
    monkeypatch.setattr(desks.time, "time", lambda: now + 31)
    assert desk.take() is None
    assert responses(desk)[0]["outcome"] == "expired"


def test_what_waits_at_the_end_is_answered():
    desk = make_desk()
    arrive(desk, "reset", payload("a"))
    desk.close()
    (answer,) = responses(desk)
    assert (answer["outcome"], answer["error"]) == ("failed", "the service ends")


def test_of_a_flood_a_bounded_number_is_looked_at_and_the_rest_is_counted(monkeypatch):
    monkeypatch.setattr(desks, "PAUSE_S", 0.0)
    now = [0.0]
    monkeypatch.setattr(desks.time, "monotonic", lambda: now[0])
    desk = make_desk()
    for number in range(20_000):
        now[0] += 0.001
        arrive(desk, "ping", payload(str(number)))
        if number % 3 == 0 and (command := desk.take()) is not None:
            desk.answer(command, ("done", {}, None))
            desk._answers.clear()
    counts = desk.stats()
    looked_at = counts["received"] - counts["flooded"]
    assert 400 <= looked_at <= 40 + 20 * 20 + 1
    assert len(desk._known) <= 6041
    assert desk.waiting <= desks.MOST_WAITING
    now[0] += 301
    arrive(desk, "ping", payload("x"))
    assert len(desk._known) == 1


def test_commands_that_nobody_takes_fill_a_bounded_queue(monkeypatch):
    monkeypatch.setattr(desks, "PAUSE_S", 0.0)
    now = [0.0]
    monkeypatch.setattr(desks.time, "monotonic", lambda: now[0])
    desk = make_desk()
    for number in range(1000):
        now[0] += 0.1
        arrive(desk, "ping", payload(str(number)))
    assert desk.waiting == desks.MOST_WAITING
    assert desk.stats()["flooded"] == 1000 - desks.MOST_WAITING


def test_answers_that_the_broker_does_not_take_are_bounded_and_counted(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(desks.time, "monotonic", lambda: now[0])
    desk = make_desk()
    all_of_them = desks.MOST_WAITING + 5
    for number in range(all_of_them):
        now[0] += 0.1
        arrive(desk, "ping", payload(str(number)))
        command = desk.take()
        assert command is not None
        desk.answer(command, ("done", {}, None))
        if number == 39:
            desk._sent = dict(enumerate(desk._answers))
            desk._answers.clear()
    monkeypatch.setattr(desk._client, "poll", lambda _: [Lost(PublishError("lost"), False)])
    desk._turn(0.0)
    assert [record["id"] for record in responses(desk)] == [str(number) for number in range(5, all_of_them)]
    assert desk.stats()["unanswered"] == 5
    monkeypatch.setattr(type(desk._client), "connected", True)
    now[0] += desks.ANSWER_S
    desk._send()
    assert desk.stats()["unanswered"] == all_of_them == desk.stats()["done"]
    assert desk.stats()["waiting"] == 0


def test_an_answer_that_is_refused_goes_to_our_own_topic_and_is_counted_where_that_is_refused_too():
    desk = make_desk()
    arrive(desk, "ping", payload(), response_topic="app/1")
    command = desk.take()
    assert command is not None
    refusal = PublishError("refused")
    desk._sent[1] = (command, b"", 60.0)
    desk._refused(Refused(1, refusal, True))
    again, *_ = desk._answers[0]
    assert (again.response_topic, desk.stats()["unanswered"]) == (None, 0)
    desk._sent[2] = desk._answers.popleft()
    desk._refused(Refused(2, refusal, True))
    assert (len(desk._answers), desk.stats()["unanswered"]) == (0, 1)


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ("app/answers/1", True),
        (None, False),
        ("", False),
        ("a/+/b", False),
        ("a/#", False),
        ("$SYS/x", False),
        ("edgesnn/n/door/prediction", False),
        ("edgesnn/other/status", False),
        ("homeassistant/light/config", False),
        ("a\nb", False),
        ("x" * 1025, False),
    ],
)
def test_an_answer_goes_where_it_is_wanted_unless_others_would_take_it_for_something_else(wanted, there):
    desk = make_desk()
    arrive(desk, "ping", payload(), response_topic=wanted, correlation=b"7")
    command = desk.take()
    assert command is not None
    assert command.correlation == b"7"
    assert desks._answer_topic(command, "n") == (wanted if there else "edgesnn/n/cmd/ping/response")


class FakeRunner:
    def __init__(self, name: str) -> None:
        from edgesnn.daemon.schema import Stream

        self.stream = Stream(name=name, source="x", model="gestures")
        self.gate = Gate("window", None)
        self.over = False
        self.flight: Any = None
        self.asked: Future[Any] = Future()

    def reset(self) -> Future[Any]:
        return self.asked

    def save(self) -> Future[Any]:
        return self.asked

    def change(self, stream: Any) -> None:
        self.stream = stream


def verbs_of(*names: str) -> tuple[Verbs, dict[str, FakeRunner], list[Any]]:
    runners = {name: FakeRunner(name) for name in names}
    levels: list[Any] = []
    return Verbs(lambda: list(runners.values()), lambda: {"uptime_s": 1.0}, levels.append), runners, levels


def test_pause_holds_predictions_back_and_resume_lets_them_go():
    verbs, runners, _ = verbs_of("door", "yard")
    assert verbs.obey(parse("pause", payload(args={"stream": "door"}))) == ("done", {"streams": ["door"]}, None)
    assert [runners[name].gate.passes(make_prediction(0)) for name in ("door", "yard")] == [False, True]
    assert runners["door"].gate.held_back["paused"] == 1
    assert verbs.obey(parse("pause", payload()))[1] == {"streams": ["door", "yard"]}
    assert not runners["yard"].gate.passes(make_prediction(0))
    verbs.obey(parse("resume", payload()))
    assert all(runner.gate.passes(make_prediction(0)) for runner in runners.values())


def test_set_changes_what_a_reload_can_change_without_a_gap():
    verbs, runners, levels = verbs_of("door")
    values = {"publish": "change", "rate_limit": "10Hz", "min_confidence": 0.75}
    outcome, result, error = verbs.obey(parse("set", payload(args={"stream": "door", "values": values})))
    assert (outcome, error) == ("done", None)
    stream = runners["door"].stream
    assert (stream.publish, stream.rate_limit, stream.min_confidence) == ("change", 10, 0.75)
    assert result["set"] == verbs.values == {f"stream door: {name}": value for name, value in values.items()}
    assert verbs.obey(parse("set", payload(args={"values": {"log.level": "debug"}})))[0] == "done"
    assert [level.level for level in levels] == ["debug"]


@pytest.mark.parametrize(
    ("verb", "args", "word"),
    [
        ("ping", {"x": 1}, "no such argument"),
        ("pause", {"stream": "cellar"}, "no such stream"),
        ("pause", {"stream": {"a": "\ud800"}}, "no such stream"),
        ("pause", {"streams": []}, "no such argument"),
        ("set", {}, "values"),
        ("set", {"values": {}}, "values"),
        ("set", {"values": []}, "values"),
        ("set", {"values": {"mqtt.url": "mqtt://evil"}}, "cannot be set"),
        ("set", {"values": {"log.level": "loud"}}, "level"),
        ("set", {"values": {"log.level": None}}, "not such a value"),
        ("set", {"stream": "door", "values": {"model": "/etc/passwd"}}, "cannot be set"),
        ("set", {"stream": "door", "values": {"rate_limit": 10}}, "rate_limit"),
        ("set", {"stream": "door", "values": {"publish": "never"}}, "publish"),
        ("set", {"stream": "door", "values": {"min_confidence": 1.5}}, "min_confidence"),
        ("set", {"stream": "door", "values": {"min_confidence": "0.5"}}, "min_confidence"),
        ("set", {"stream": "cellar", "values": {"publish": "change"}}, "no such stream"),
    ],
)
def test_wrong_arguments_change_nothing_and_are_named(verb, args, word):
    verbs, runners, levels = verbs_of("door")
    before = runners["door"].stream
    outcome, result, error = verbs.obey(parse(verb, payload(args=args)))
    assert (outcome, result) == ("malformed", {})
    assert word in str(error)
    json.dumps(error).encode()
    assert (runners["door"].stream, runners["door"].gate.paused, verbs.values, levels) == (before, False, {}, [])


@pytest.mark.parametrize(("verb", "name", "given"), [("reset", "windows", 7), ("snapshot", "checkpoints", "/f/door")])
def test_what_others_do_is_answered_when_they_have_done_it(verb, name, given):
    verbs, runners, _ = verbs_of("door", "yard")
    assert verbs.obey(parse(verb, payload())) is None
    assert list(verbs.answers()) == []
    runners["door"].asked.set_result(given)
    assert list(verbs.answers()) == []
    runners["yard"].asked.set_exception(OSError(28, "No space left on device"))
    ((command, (outcome, result, error)),) = verbs.answers()
    assert (command.verb, outcome, result[name]) == (verb, "failed", {"door": given})
    assert error == "stream yard: No space left on device"
    assert list(verbs.answers()) == []


def test_a_bundle_that_was_asked_for_is_named_in_the_answer():
    verbs, runners, _ = verbs_of("door")
    bundle: Future[Any] = Future()
    runners["door"].flight = SimpleNamespace(on_command=True, ask=lambda: bundle)
    verbs.obey(parse("snapshot", payload()))
    bundle.set_result(Path("/b/000001-door-command.bundle"))
    assert list(verbs.answers()) == []
    runners["door"].asked.set_result(Path("/c/door.checkpoint"))
    ((_, answer),) = verbs.answers()
    result = {"checkpoints": {"door": "/c/door.checkpoint"}, "bundles": {"door": "/b/000001-door-command.bundle"}}
    assert answer == ("done", result, None)


@pytest.mark.parametrize(("begun", "word"), [(False, "not done any more"), (True, "not finished within 10 s")])
def test_what_takes_too_long_is_answered_in_time_and_not_begun_afterwards(monkeypatch, begun, word):
    verbs, runners, _ = verbs_of("door")
    verbs.obey(parse("reset", payload()))
    asked = runners["door"].asked
    if begun:
        asked.set_running_or_notify_cancel()
    now_s = time.monotonic()
    monkeypatch.setattr(pending.time, "monotonic", lambda: now_s + pending.WITHIN_S + 1)
    ((_, (outcome, result, error)),) = verbs.answers()
    assert (outcome, result) == ("failed", {"windows": {}})
    assert word in error
    assert asked.cancelled() is not begun


def test_the_service_ends_before_it_is_done_and_a_command_that_waits_is_counted_as_such():
    desk = make_desk()
    verbs, _, _ = verbs_of("door")
    arrive(desk, "reset", payload("a"))
    command = desk.take()
    assert command is not None
    assert verbs.obey(command) is None
    assert desk.stats()["waiting"] == 1
    for done, answer in verbs.answers("before the service ended"):
        desk.answer(done, answer)
    assert "before the service ended" in responses(desk)[0]["error"]
    assert (desk.stats()["waiting"], desk.stats()["failed"]) == (0, 1)


def test_a_verb_that_fails_is_an_answer_not_a_crash():
    def fail(error: Exception) -> Any:
        def raising() -> Any:
            raise error

        return raising

    for error, word in ((ModelError("broken"), "broken"), (KeyError("x"), "a fault of edgesnn: KeyError")):
        verbs = Verbs(lambda: [], fail(error), lambda log: None)
        outcome, result, said = verbs.obey(parse("ping", payload()))
        assert (outcome, result) == ("failed", {})
        assert word in str(said)
