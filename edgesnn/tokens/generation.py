"""`edgesnn.tokens.generate`: text that a model writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError, UsageError
from edgesnn.tokens.sampling import Order, Sampler, Sampling
from edgesnn.tokens.stepping import TokenSession, need_logits, output, tokenizer_of
from edgesnn.tokens.tokenizers.base import encode

Saved = dict[str, npt.NDArray[Any]]
_ENDS = (None, "stop", "callback")  # what a count of tokens does not say


class Piece(NamedTuple):
    """A token and the text that is sure with it: "" inside a character, or where a stop string may have begun."""

    token: int
    text: str


def generate(
    session: TokenSession,
    prompt: str | bytes | Sequence[int],
    *,
    tokens: int | None = 256,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    order: Order = "usual",
    seed: int = 0,
    stop: str | Iterable[str] = (),
    on_piece: Callable[[Piece], Any] | None = None,
) -> Generation:
    """Return an iterator of what the model writes after a prompt.

    Args:
        session: of a model with a tokenizer and an output of logits. It goes on from where it stands; `reset` it first
            for a text of its own. Nobody else uses it meanwhile.
        prompt: text, or token ids; not empty.
        tokens: at most so many; None: until something else stops it.
        temperature, top_k, top_p, order, seed: see `edgesnn.tokens.Sampling`.
        stop: texts before which it ends; they are not given.
        on_piece: called with each piece; what it returns stops the generation where it is true.

    Raises:
        ModelError: a model without tokenizer or logits; while iterating: logits that are no numbers.
        UsageError: an empty prompt, an empty stop string, a number out of range.

    Example:
        for piece in generate(edgesnn.load("talk.safetensors").session(), "Once upon", stop="\\n\\n"):
            print(piece.text, end="", flush=True)
    """
    sampling = Sampling(temperature, top_k, top_p, order, seed)
    return Generation(session, prompt, sampling, tokens=tokens, stop=stop, on_piece=on_piece)


class Generation:
    """An iterator of `Piece`; made by `generate`.

    Between two pieces the session has seen the prompt and all tokens but the last. `save` and the session's snapshot
    are the whole state.

    Attributes:
        why: "stop" (a stop string), "tokens" (enough of them), "callback", or None while it goes on.
        count: tokens given.
    """

    def __init__(
        self,
        session: TokenSession,
        prompt: str | bytes | Sequence[int],
        sampling: Sampling,
        *,
        tokens: int | None,
        stop: str | Iterable[str],
        on_piece: Callable[[Piece], Any] | None,
    ) -> None:
        self._name = need_logits(session.model)
        tokenizer = tokenizer_of(session.model)
        self._stops = (stop,) if isinstance(stop, str) else tuple(stop)
        _check(tokens, self._stops)
        ids = encode(tokenizer, prompt) if isinstance(prompt, (str, bytes)) else _ids(prompt, session.model)
        if not ids:
            raise UsageError("the prompt is empty", where="prompt", hint="begin with a line's end at least")
        session.run(ids[:-1], keep="none")
        self._session, self._next = session, ids[-1]
        self._known = tokenizer.size
        self._sampler, self._decoder = Sampler(sampling), tokenizer.decoder()
        self._most, self._on_piece = tokens, on_piece
        self._held = ""
        self.count = 0
        self.why: str | None = None if tokens != 0 else "tokens"

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        """Return the next token and what of its text is sure."""
        if self.why is not None:
            raise StopIteration
        logits = output(self._session.step(self._next), self._name)
        token = self._sampler.pick(logits[: self._known])
        self._next = token
        self.count += 1
        text = self._decoder.feed(token)
        if self.count == self._most:
            self.why = "tokens"
            text += self._decoder.finish()
        piece = Piece(token, self._sure(text))
        if self._on_piece is not None and self._on_piece(piece):
            self.why = self.why or "callback"
        return piece

    def save(self) -> Saved:
        """Return what goes on besides the session: arrays by name."""
        return {
            "counts": np.array([self._next, self._sampler.draws, self.count, self._end()], dtype=np.int64),
            "held": np.frombuffer(self._held.encode(), dtype=np.uint8),
            "decoder": np.frombuffer(self._decoder.save(), dtype=np.uint8),
        }

    def load(self, saved: Saved) -> None:
        """Go on from what `save` gave, with the session restored; the rest must have been made the same way.

        Raises:
            ModelError: it is none.
        """
        try:
            token, draws, count, end = (int(number) for number in saved["counts"])
            held, decoder = saved["held"].tobytes().decode(), saved["decoder"].tobytes()
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise ModelError("not a saved generation", where="load", found=repr(error)[:120]) from None
        if not 0 <= token < self._session.model.input["vocab"] or min(draws, count) < 0 or end not in range(len(_ENDS)):
            raise ModelError("not a saved generation", where="counts", found=str([token, draws, count, end]))
        self._decoder.load(decoder)
        self._next, self._sampler.draws, self.count, self._held = token, draws, count, held
        self.why = _ENDS[end] or ("tokens" if count == self._most else None)

    def _end(self) -> int:
        return _ENDS.index(self.why) if self.why in _ENDS else 0

    def _sure(self, text: str) -> str:
        """Return what no stop string can take back any more; end before a whole one."""
        held = self._held + text
        found = [at for at in (held.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self.why, self._held = "stop", ""
            return held[: min(found)]
        keep = 0 if self.why is not None else max((_begun(held, stop) for stop in self._stops), default=0)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]


def _ids(prompt: Sequence[int], model: Any) -> list[int]:
    checked: list[int] = model.inputs.run(np.asarray(prompt), None).tolist()
    return checked


def _begun(text: str, stop: str) -> int:
    """Return how many characters at the end of a text begin a stop string."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if stop.startswith(text[-n:])), 0)


def _check(tokens: Any, stops: tuple[Any, ...]) -> None:
    if tokens is not None and (type(tokens) is not int or tokens < 0):
        raise UsageError("not a number of tokens", where="tokens", found=repr(tokens), expected="0 or more, or None")
    if not all(isinstance(stop, str) and stop for stop in stops):
        raise UsageError(
            "not a stop string", where="stop", found=repr(stops)[:120], expected="texts that are not empty"
        )
