"""What bags of ROS share: topics, and a pass over the messages of one. docs/formats.md, "ROS bags"."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import (
    NO_COUNTERS,
    Head,
    Header,
    Reader,
    ReaderOptions,
    Result,
    Sensor,
    Step,
    printable,
)
from edgesnn.events.formats.ros_messages import (
    VERIFIED,
    EventMessage,
    MessageError,
    carries_events,
    parse,
    plain_type,
    refuse_encoding,
    sensor_of,
)
from edgesnn.events.formats.ros_packets import Place, RosEvents, place_error
from edgesnn.events.seek import Place as SeekPlace
from edgesnn.events.types import EVENT, TRIGGER

_LOOK = 3  # messages that say what all of them are
_MOST_LOST = 1_000_000  # packets in one gap: beyond it the numbers began anew
_MOST_NAMED = 20


@dataclass(frozen=True)
class Topic:
    """Messages of one name and type.

    Attributes:
        ids: by which the bag's messages name it.
        cdr: serialised as by ROS 2.
    """

    name: str
    type: str
    ids: frozenset[int]
    cdr: bool


@dataclass(frozen=True)
class Damage:
    """What is wrong with the bag here.

    Attributes:
        counter, amount: what is counted where it is passed over.
        error: what is raised where it is not.
    """

    counter: str
    amount: int
    error: RecordingError


class Position(NamedTuple):
    """Where a walk through a bag can go on.

    Attributes:
        offset: bytes of the file; of SQLite, of the messages before.
        number: of the next message.
        flat: there were messages outside of chunks.
        trail: of SQLite: which page of each level, and which row of the last.
    """

    offset: int
    number: int = 0
    flat: bool = False
    trail: tuple[int, ...] = ()


class Found(NamedTuple):
    """A message of the topic, or damage, or neither.

    Attributes:
        taken: bytes of the file since what was found before.
        behind: where a walk can go on behind it, where it can.
    """

    taken: int
    place: Place | None = None
    data: bytes | memoryview = b""
    damage: Damage | None = None
    behind: Position | None = None


def damage(
    what: str, where: str, at: int, counter: str = "bad_words", amount: int = 1, hint: str | None = None
) -> Damage:
    """Make the damage of a bag at this byte."""
    hint = hint or "to go on pass --on-corrupt=skip"
    return Damage(counter, amount, RecordingError(what, where=where, offset=at, hint=hint))


class Bag(Protocol):
    """A bag of messages; every call reads the file anew, in bounded memory."""

    def topics(self) -> list[Topic]:
        """Return all topics; RecordingError where the file is no such bag."""

    def messages(self, topic: Topic, begin: Position | None = None) -> Iterator[Found]:
        """Yield its messages in the file's order, and damage where it stands; from `begin` on after `topics`."""


class RosFormat(ABC):
    """A bag with a magic at its beginning.

    Attributes:
        magic: which bytes.
    """

    name: str
    title: str
    verified: bool
    magic: bytes
    has_magic = True
    native = False
    takes_topic = True

    @abstractmethod
    def bag(self, path: str) -> Bag:
        """Return the bag in this file; nothing is read yet."""

    def matches(self, head: Head) -> bool:
        """Say whether the magic is there."""
        return head.data.startswith(self.magic)

    def header(self, head: Head) -> Header:
        """Read the topics and the first messages."""
        return read_header(self.bag(head.where), head)

    def reader(self, options: ReaderOptions) -> Reader:
        """Begin a pass over the file."""
        return RosReader(self.bag(options.path), options)


def read_header(bag: Bag, head: Head) -> Header:
    """Choose the topic, and read from its first messages what all of them are."""
    topic = choose(bag.topics(), head.topic, head.where)
    said = Counter(one for one in islice(_said(bag, topic), _LOOK) if one is not None)
    fields = {"topic": topic.name, "type": topic.type}
    if not said:
        return Header(0, None, fields, None, topic.name)
    (size, encoding), _ = said.most_common(1)[0]
    refuse_encoding(encoding, head.where)
    sensor, complaint = sensor_of(size)
    fields["encoding"] = encoding
    return Header(0, sensor, fields, complaint, topic.name, encoding in VERIFIED)


def _said(bag: Bag, topic: Topic) -> Iterator[tuple[Sensor, str] | None]:
    """Yield size and encoding of each message, None of one that is damaged."""
    for found in bag.messages(topic):
        if found.place is not None:
            yield _facts(found, topic)
        del found  # a large message is gone before the next is read


def _facts(found: Found, topic: Topic) -> tuple[Sensor, str] | None:
    try:
        message = parse(topic.type, found.data, cdr=topic.cdr)
    except MessageError:
        return None
    return message.size, message.encoding


def choose(topics: list[Topic], wanted: str | None, where: str) -> Topic:
    """Return the topic of this name, or the only one with events; RecordingError lists what there is."""
    events = [topic for topic in topics if carries_events(topic.type)]
    if wanted is not None:
        named = [topic for topic in events if topic.name == wanted]
        if len(named) == 1:
            return named[0]
        what = "no such topic of events"
    elif len(events) == 1:
        return events[0]
    else:
        what = "no topic of events" if not events else "more than one topic of events"
    listed = ", ".join(f"{topic.name} ({plain_type(topic.type)})" for topic in (events or topics)[:_MOST_NAMED])
    raise RecordingError(
        what,
        where=where,
        found=listed or "no topic at all",
        hint="pass one of them as --topic, topic=" if events else None,
    )


class RosReader:
    """A pass over the messages of one topic; see `Reader`."""

    def __init__(self, bag: Bag, options: ReaderOptions) -> None:
        self._bag = bag
        self._options = options
        self._strict = options.on_corrupt == "strict"
        self._size = options.header.sensor
        self._counted = dict(NO_COUNTERS)
        self._events: RosEvents | None = None
        self._next_seq: int | None = None
        if encoding := options.header.fields.get("encoding"):
            self._start(encoding)

    @property
    def t_end_us(self) -> int | None:
        return None if self._events is None else self._events.t_end_us

    @property
    def counters(self) -> dict[str, int]:
        decoded = NO_COUNTERS if self._events is None else self._events.counters
        return {name: count + decoded[name] for name, count in self._counted.items()}

    def triggers(self) -> npt.NDArray[Any]:
        return np.zeros(0, TRIGGER) if self._events is None else self._events.triggers()

    def __iter__(self) -> Iterator[Step]:
        topic = choose(self._bag.topics(), self._options.header.variant, self._options.path)
        taken = 0  # bytes of messages that wait to be decoded
        for found in self._bag.messages(topic, self._resume()):
            taken += found.taken
            for events, _, error in chain(self._take(found, topic), self._keep(found.behind)):
                yield events, taken, error
                taken = 0
                if error is not None:
                    return
            del found  # a large message is gone before the next is read
        yield np.zeros(0, EVENT), taken, None
        if self._events is not None:
            for events, _, error in self._events.finish():
                yield events, 0, error
                if error is not None:
                    return

    def _resume(self) -> Position | None:
        """Go to the last place of the index that will do."""
        start_us = self._options.start_us
        place = None if start_us is None else self._options.index.before(start_us)
        if place is None:
            return None
        encoding, more, counted, self._next_seq, begin = place.more
        self._counted = dict(counted)
        (self._events or self._start(encoding)).load(place.state, more)
        return cast(Position, begin)

    def _keep(self, behind: Position | None) -> Iterator[Result]:
        """Keep this place in the index, where it wants one; messages that wait are decoded first."""
        if behind is None or self._events is None or not self._options.index.wants(behind.offset):
            return
        yield from self._events.flush()
        if (reached_us := self._events.t_end_us) is not None:
            state, more = self._events.save()
            rest = (self._events.encoding, more, dict(self._counted), self._next_seq, behind)
            self._options.index.add(SeekPlace(reached_us, behind.offset, state, rest))

    def _start(self, encoding: str) -> RosEvents:
        refuse_encoding(encoding, printable(self._options.path))
        self._events = RosEvents(encoding, self._options.sensor, self._options.on_corrupt)
        return self._events

    def _take(self, found: Found, topic: Topic) -> Iterator[Result]:
        """Decode a message, or count the damage; what came before an error comes before it."""
        bad = found.damage
        if found.place is not None:
            try:
                message = self._parse(found, topic)
                yield from self._decode(message, found.place)
                return
            except MessageError as error:
                text = f"no {plain_type(topic.type)}: {error}"
                bad = Damage("bad_words", 1, place_error(text, found.place))
        if bad is None:
            return
        if self._events is not None:
            yield from self._events.flush()
        if self._strict:
            yield np.zeros(0, EVENT), self.t_end_us, bad.error
        self._counted[bad.counter] += bad.amount

    def _parse(self, found: Found, topic: Topic) -> EventMessage:
        message = parse(topic.type, found.data, cdr=topic.cdr)
        if self._events is not None and message.encoding != self._events.encoding:
            raise MessageError(f"its encoding is {message.encoding!r}, not {self._events.encoding!r}")
        if self._size is not None and message.size != self._size:
            raise MessageError("its size is {}x{}, not {}x{}".format(*message.size, *self._size))
        return message

    def _decode(self, message: EventMessage, place: Place) -> Iterator[Result]:
        events = self._events or self._start(message.encoding)
        if message.seq is not None:
            missing = 0 if self._next_seq is None else message.seq - self._next_seq
            self._next_seq = message.seq + 1
            if missing:
                self._counted["lost_packets"] += missing if 0 < missing <= _MOST_LOST else 1
                yield from events.lost()
        yield from events.take(message, place)
