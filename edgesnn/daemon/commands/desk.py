"""Where commands come in and answers go out: a connection of its own, so that a flood of them delays nothing else.

The thread here reads, checks and counts; what is to be done waits in a queue until the main thread takes it.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgesnn.broker_url import Broker
from edgesnn.daemon.commands.parsing import LONGEST_S, VERBS, Command, NoCommandError, late, parse
from edgesnn.errors import PublishError
from edgesnn.mqtt import Acknowledged, Client, Connected, Lost, Message, Refused, make_client_id
from edgesnn.publish.publisher import utc_now
from edgesnn.publish.sinks.mqtt import PATIENCE_S
from edgesnn.publish.topics import ROOT, command_topic
from edgesnn.version import __version__

RATE_HZ, BURST = 20.0, 40
"""So many commands are looked at: the others are counted, and not parsed."""
PAUSE_S = 0.002  # after one that is not looked at, so that a flood takes no processor
MOST_WAITING = 64
ANSWER_S = 60.0  # an answer that the broker has not taken by then is dropped
OUTCOMES = ("done", "failed", "malformed", "expired", "not_allowed", "unsupported")
IGNORED = ("duplicate", "retained", "flooded")
_log = logging.getLogger("edgesnn.daemon")

Answer = tuple[str, dict[str, Any], str | None]
"""Outcome, what was done, error."""


class Desk:
    """Takes commands and gives answers. `take` and `answer` belong to one thread, `close` too; any may read the rest.

    Args:
        broker, protocol: as the sink has them.
        client_id: this connection's; None: a random one.
        node, boot_id: ours.
        allow: the verbs that are done.
        wake: called, in this thread, when a command waits.

    Attributes:
        why: what keeps commands from coming; None: nothing.
        counts: commands by what became of them; "received" is the sum of all, with `waiting`.
        unanswered: those of them whose answer was dropped: the broker did not take it.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        node: str,
        boot_id: str,
        protocol: str,
        client_id: str | None,
        allow: tuple[str, ...],
        wake: Callable[[], None],
    ) -> None:
        self.why: str | None = None
        self.counts = dict.fromkeys(("received", *OUTCOMES, *IGNORED), 0)
        self.unanswered = 0
        self._node, self._boot_id, self._allow, self._wake = node, boot_id, allow, wake
        client_id = client_id or make_client_id(node, "cmd")
        self._client = Client(broker, client_id=client_id, protocol=protocol, patience_s=PATIENCE_S)
        self._waiting: deque[Command] = deque()
        self._answers: deque[tuple[Command, bytes, float]] = deque()
        self._sent: dict[int, tuple[Command, bytes, float]] = {}
        self._known: OrderedDict[str, float] = OrderedDict()  # id -> until when it is known (monotonic)
        self._budget, self._budget_s = float(BURST), time.monotonic()
        self._told_retained = False
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="edgesnn-commands", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread is there."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How many have not been answered yet."""
        return self.stats()["waiting"]

    def take(self) -> Command | None:
        """Return the next command to do, whose time is now; it is to be answered. None: there is none."""
        while self._waiting:
            command = self._waiting.popleft()
            if (found := late(command, time.time())) is None:
                return command
            self.answer(command, ("expired", {}, found))
        return None

    def answer(self, command: Command, answer: Answer) -> None:
        """Say what became of a command."""
        outcome, result, error = answer
        record = {
            "schema": "edgesnn.response/1",
            "node": self._node,
            "boot_id": self._boot_id,
            "version": __version__,
            "ts": utc_now(),
            "id": command.id,
            "verb": command.verb,
            "outcome": outcome,
            "error": error,
            "result": result,
        }
        self._count(outcome)
        payload = json.dumps(record, allow_nan=False, separators=(",", ":")).encode()
        self._answers.append((command, payload, time.monotonic() + ANSWER_S))
        self._client.wake()

    def stats(self) -> dict[str, int]:
        """Return the counts, and how many wait to be done or answered."""
        with self._lock:
            settled = sum(count for what, count in self.counts.items() if what != "received")
            waiting = self.counts["received"] - settled
            return {**self.counts, "unanswered": self.unanswered, "waiting": waiting}

    def close(self, timeout_s: float = 7.0) -> None:
        """Answer what nobody has taken, send the answers where the broker is there, and leave; of who takes."""
        while (command := self.take()) is not None:
            self.answer(command, ("failed", {}, "the service ends"))
        self._closing.set()
        self._client.wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        elif not self._thread.ident:
            self._client.close()

    # --- the thread ----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._closing.is_set():
            self._try_turn(0.5)
        self._try_turn(0.0)
        self._client.close()

    def _try_turn(self, wait_s: float) -> None:
        """Do a turn; after what should not happen make a new connection, with the client's back-off."""
        try:
            self._turn(wait_s)
        except Exception as error:
            _log.exception("commands failed: this is a fault of edgesnn: please report it; trying again")
            self._client.abandon(PublishError("commands failed", where=self._client.broker.url, found=repr(error)))

    def _turn(self, wait_s: float) -> None:
        for event in self._client.poll(wait_s):
            if isinstance(event, Message):
                self._arrived(event)
            elif isinstance(event, Connected):
                self._greet()
            elif isinstance(event, Refused):
                self._refused(event)
            elif isinstance(event, Acknowledged):
                self._sent.pop(event.mid, None)
            elif isinstance(event, Lost):
                self.why = str(event.error)
                self._answers.extendleft(reversed(self._sent.values()))
                self._sent.clear()
        self._send()

    def _greet(self) -> None:
        self.why = None
        self._told_retained = False
        self._client.subscribe(command_topic(self._node, "+"))

    def _refused(self, event: Refused) -> None:
        """Send an answer that may not go where it is wanted to our own topic; else nothing may come, or go."""
        command, payload, until_s = self._sent.pop(event.mid, (None, b"", 0.0))
        if command is not None and command.response_topic is not None:
            self._answers.append((replace(command, response_topic=None), payload, until_s))
            return
        self.unanswered += command is not None
        if event.final and self.why is None:
            self.why = str(event.error)
            _log.warning("commands: %s", event.error)

    def _send(self) -> None:
        while self._answers and self._client.connected:
            command, payload, until_s = self._answers.popleft()
            if time.monotonic() >= until_s:
                self.unanswered += 1
                continue
            topic = _answer_topic(command, self._node)
            mid = self._client.publish(topic, payload, expiry_s=int(ANSWER_S), correlation=command.correlation)
            self._sent[mid] = (command, payload, until_s)
        while len(self._answers) > MOST_WAITING:
            self._answers.popleft()
            self.unanswered += 1

    def _arrived(self, message: Message) -> None:
        self._count("received")
        if not self._may_look():
            self._count("flooded")
            self._closing.wait(PAUSE_S)
        elif message.retained:
            self._count("retained")
            self._tell_retained()
        else:
            self._look(message)

    def _tell_retained(self) -> None:
        """Warn, once in a connection."""
        if not self._told_retained:
            self._told_retained = True
            _log.warning("commands: a retained one is not done: publish it without retain, and remove it")

    def _may_look(self) -> bool:
        """Take one off the budget, if there is one, and room for what it brings."""
        now_s = time.monotonic()
        self._budget = min(BURST, self._budget + RATE_HZ * (now_s - self._budget_s))
        self._budget_s = now_s
        waits = max(self.waiting, len(self._answers), len(self._sent))  # this one is among them
        if self._budget < 1 or waits > MOST_WAITING:
            return False
        self._budget -= 1
        return True

    def _look(self, message: Message) -> None:
        verb = message.topic.rpartition("/")[2]
        if verb not in VERBS:
            self._count("malformed")
            return
        try:
            command = parse(verb, message.payload)
        except NoCommandError:
            self._count("malformed")
            return
        if self._seen(command.id):
            self._count("duplicate")
            return
        command = _addressed(command, message)
        if verb not in self._allow:
            self.answer(command, ("not_allowed", {}, f"{verb} is not in commands.allow"))
        elif command.wrong:
            self.answer(command, ("malformed", {}, command.wrong))
        elif (found := late(command, time.time())) is not None:
            self.answer(command, ("expired" if found == "expired" else "malformed", {}, found))
        else:
            self._waiting.append(command)
            self._wake()

    def _seen(self, name: str) -> bool:
        """Say whether a command of this id has come; it is known now, for longer than any command may take to expire.

        At `RATE_HZ` there are at most 6040 of them.
        """
        now_s = time.monotonic()
        while self._known and next(iter(self._known.values())) <= now_s:
            self._known.popitem(last=False)
        if name in self._known:
            return True
        self._known[name] = now_s + LONGEST_S
        return False

    def _count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1


def _addressed(command: Command, message: Message) -> Command:
    """Return the command with where its answer is to go."""
    return replace(command, response_topic=message.response_topic, correlation=message.correlation)


def _answer_topic(command: Command, node: str) -> str:
    """Return where the answer goes: where its sender wants it, unless others take what is there for something else."""
    wanted = command.response_topic
    own = f"{command_topic(node, command.verb)}/response"
    if not wanted or len(wanted) > 1024 or any(letter in "+#\0" or not letter.isprintable() for letter in wanted):
        return own
    return own if wanted.startswith((f"{ROOT}/", "$", "homeassistant/")) else wanted
