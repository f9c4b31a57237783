"""What commands do. In the service's main thread; nothing here waits for a stream or the disk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from pydantic import ValidationError

from edgesnn.daemon.commands.desk import Answer
from edgesnn.daemon.commands.parsing import Command
from edgesnn.daemon.commands.pending import Pending
from edgesnn.daemon.reloading import AT_ONCE
from edgesnn.daemon.runner import Runner
from edgesnn.daemon.schema import Log, Stream
from edgesnn.errors import ConfigError, EdgeSnnError, UsageError
from edgesnn.events.formats.base import printable

_log = logging.getLogger("edgesnn.daemon")

Result = dict[str, Any]


class Verbs:
    """Does what commands ask of the streams.

    Args:
        runners: returns the streams of now.
        ping: returns what an answer to `ping` says.
        set_log: takes another `log.level`.
        wake: called, in any thread, when an answer may be there that was waited for.

    Attributes:
        values: what `set` has set, by key ("log.level", "stream door: rate_limit"); a reload clears it.
    """

    def __init__(
        self,
        runners: Callable[[], Sequence[Runner]],
        ping: Callable[[], Result],
        set_log: Callable[[Log], None],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.values: dict[str, Any] = {}
        self._runners, self._ping, self._set_log, self._wake = runners, ping, set_log, wake
        self._pending: list[tuple[Command, Pending]] = []
        self._do: dict[str, Callable[[Mapping[str, Any]], Result | Pending]] = {
            "ping": self._ping_now,
            "pause": lambda args: self._hold(args, True),
            "resume": lambda args: self._hold(args, False),
            "reset": self._reset,
            "snapshot": self._snapshot,
            "set": self._set,
        }

    def obey(self, command: Command) -> Answer | None:
        """Do it and return the answer; None where others do it: `answers` gives it later. Never raises."""
        do = self._do.get(command.verb)
        if do is None:
            return "unsupported", {}, f"{command.verb} is not supported"
        try:
            result = do(command.args)
        except UsageError as error:
            return "malformed", {}, str(error)
        except EdgeSnnError as error:
            return "failed", {}, str(error)
        except Exception as error:
            _log.exception("command %s failed: this is a fault of edgesnn: please report it", command.verb)
            return "failed", {}, f"a fault of edgesnn: {type(error).__name__}"
        if isinstance(result, Pending):
            self._pending.append((command, result))
            return None
        return _told(command, ("done", result, None))

    def answers(self, late: str | None = None) -> Iterator[tuple[Command, Answer]]:
        """Take the answers that are there, or whose time is over; with `late`, until when they were waited for, all."""
        found, self._pending = self._pending, []
        for command, pending in found:
            if late is not None:
                yield command, _told(command, pending.answer(late))
            elif pending.over:
                yield command, _told(command, pending.answer())
            else:
                self._pending.append((command, pending))

    def _ping_now(self, args: Mapping[str, Any]) -> Result:
        _only(args, ())
        return self._ping()

    def _hold(self, args: Mapping[str, Any], paused: bool) -> Result:
        _only(args, ("stream",))
        named = self._named(args)
        for runner in named:
            runner.gate.paused = paused
        return {"streams": [runner.stream.name for runner in named]}

    def _reset(self, args: Mapping[str, Any]) -> Pending:
        _only(args, ("stream",))
        return self._asked(windows={runner.stream.name: runner.reset() for runner in self._running(args)})

    def _snapshot(self, args: Mapping[str, Any]) -> Pending:
        _only(args, ("stream",))
        named = self._running(args)
        flights = {one.stream.name: one.flight for one in named if one.flight is not None and one.flight.on_command}
        bundles = {name: flight.ask() for name, flight in flights.items()}
        saved = {runner.stream.name: future for runner in named if (future := runner.save()) is not None}
        if not saved and not bundles:
            hint = 'recorder.enabled = true, with "command" in recorder.on; or checkpoint = true of a stream'
            raise ConfigError("no such stream has checkpoints or a flight recorder", hint=hint)
        return self._asked(checkpoints=saved, bundles=bundles)

    def _asked(self, **asked: Mapping[str, Future[Any]]) -> Pending:
        for by_stream in asked.values():
            for future in by_stream.values():
                future.add_done_callback(lambda _: self._wake())
        return Pending(asked)

    def _running(self, args: Mapping[str, Any]) -> Sequence[Runner]:
        """Return those of the named streams that predict."""
        named = [runner for runner in self._named(args) if not runner.over]
        if not named:
            raise ConfigError("the stream is over", where="stream")
        return named

    def _set(self, args: Mapping[str, Any]) -> Result:
        _only(args, ("stream", "values"))
        values = args.get("values")
        if not isinstance(values, dict) or not values:
            raise UsageError("values is no object with what to set", where="args")
        known = AT_ONCE if "stream" in args else ("log.level",)
        if unknown := sorted(set(values) - set(known)):
            found = printable(unknown[0][:40])
            raise UsageError("this cannot be set", where="values", found=found, expected=", ".join(known))
        return self._set_stream(args, values) if "stream" in args else self._set_level(values["log.level"])

    def _set_stream(self, args: Mapping[str, Any], values: Mapping[str, Any]) -> Result:
        (runner,) = self._named(args)
        stream = runner.stream
        checked = _checked(Stream, {"name": stream.name, "source": stream.source, "model": stream.model, **values})
        runner.change(stream.model_copy(update={key: getattr(checked, key) for key in values}))
        said = {f"stream {stream.name}: {key}": value for key, value in values.items()}
        self.values.update(said)
        return {"set": said}

    def _set_level(self, level: Any) -> Result:
        self._set_log(_checked(Log, {"level": level}))
        self.values["log.level"] = level
        return {"set": {"log.level": level}}

    def _named(self, args: Mapping[str, Any]) -> Sequence[Runner]:
        """Return the stream that the arguments name; all, where they name none."""
        if "stream" not in args:
            return self._runners()
        found = [runner for runner in self._runners() if runner.stream.name == args["stream"]]
        if not found:
            raise UsageError("no such stream", where="stream", found=printable(repr(args["stream"])[:80]))
        return found


def _told(command: Command, answer: Answer) -> Answer:
    """Log what was done."""
    if answer[0] == "done" and command.verb != "ping":
        _log.info("command %s (%s): done", command.verb, command.id)
    return answer


def _only(args: Mapping[str, Any], known: Sequence[str]) -> None:
    if unknown := sorted(set(args) - set(known)):
        expected = f"nothing but {', '.join(known)}" if known else "none"
        raise UsageError("no such argument", where="args", found=printable(unknown[0][:40]), expected=expected)


def _checked(section: Any, values: Mapping[str, Any]) -> Any:
    try:
        return section.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(
            "not such a value",
            where=".".join(map(str, first["loc"]))[:80],
            found=printable(repr(first["input"])[:80]),
            expected=str(first.get("ctx", {}).get("expected") or first["msg"])[:200],
        ) from None
