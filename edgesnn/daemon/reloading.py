"""What a new configuration changes while the service runs, and what needs a restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgesnn.daemon.schema import Config, Section, Stream

AT_ONCE = ("publish", "rate_limit", "min_confidence")
"""Keys of a stream that change without a gap in it."""
SECTIONS = (
    *("node", "mqtt", "outbox", "checkpoint", "recorder", "commands", "home_assistant", "telemetry", "http"),
    "process",
)


@dataclass(frozen=True)
class Change:
    """From the configuration that runs to another.

    Attributes:
        running: what runs after it.
        added, adjusted: streams.
        removed: names of streams.
        needs_restart: keys that stay as they were: "mqtt.url", "stream door: filters".
    """

    running: Config
    added: tuple[Stream, ...]
    adjusted: tuple[Stream, ...]
    removed: tuple[str, ...]
    needs_restart: tuple[str, ...]

    def __str__(self) -> str:
        parts = [
            *(f"stream {one.name} added" for one in self.added),
            *(f"stream {one.name} changed" for one in self.adjusted),
            *(f"stream {name} removed" for name in self.removed),
        ]
        return ", ".join(parts) or "no stream has changed"


def changes(running: Config, new: Config) -> Change:
    """Return what is to be done."""
    old = {stream.name: stream for stream in running.stream}
    wanted = {stream.name: stream for stream in new.stream}
    both = [(old[name], wanted[name]) for name in old if name in wanted]
    now = {name: _adjusted(stream, wanted[name]) for name, stream in old.items() if name in wanted}
    added = tuple(stream for name, stream in wanted.items() if name not in old)
    needs = [f"{name}.{key}" for name in SECTIONS for key in _differs(getattr(running, name), getattr(new, name))]
    needs += [f"stream {a.name}: {key}" for a, b in both for key in _differs(a, b) if key not in AT_ONCE]
    return Change(
        running=running.model_copy(update={"log": new.log, "stream": [*now.values(), *added]}),
        added=added,
        adjusted=tuple(stream for name, stream in now.items() if stream != old[name]),
        removed=tuple(name for name in old if name not in wanted),
        needs_restart=tuple(needs),
    )


def _adjusted(stream: Stream, wanted: Stream) -> Stream:
    return stream.model_copy(update={key: getattr(wanted, key) for key in AT_ONCE})


def _differs(one: Section, other: Section) -> Iterator[str]:
    return (name for name in type(one).model_fields if getattr(one, name) != getattr(other, name))
