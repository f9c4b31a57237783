"""Text that a model writes: what it depends on, when it stops, that it goes on from where it was saved."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesnn.cli.main import main
from edgesnn.errors import ModelError, UsageError
from edgesnn.graph import Builder
from edgesnn.runtime import Model
from edgesnn.tokens import decode, encode, generate, make_tokenizer
from tests.one_operator import document as one
from tests.small_graphs import language
from tests.token_models import TABLE, TOKENIZER, chain, writer

WORDS = {"\n": "a", "a": "b", "b": "c", "c": " ", " ": "d", "d": "\n"}


@pytest.fixture(params=["native", "reference"])
def model(request: pytest.FixtureRequest) -> Model:
    return Model(writer(), backend=request.param)


@pytest.fixture
def path(tmp_path: Path) -> str:
    chain(WORDS).save(tmp_path / "words.safetensors")
    return str(tmp_path / "words.safetensors")


def text_of(made: Any) -> str:
    return "".join(piece.text for piece in made)


def test_a_model_that_knows_what_follows_writes_it() -> None:
    session = Model(chain(WORDS)).session()
    made = generate(session, "xa", tokens=12, temperature=0)
    assert text_of(made) == "bc d\nabc d\na"
    assert (made.why, made.count) == ("tokens", 12)


def test_tokens_are_those_of_steps_by_hand(model: Model) -> None:
    tokenizer = make_tokenizer(TOKENIZER)
    session, ids = model.session(), encode(tokenizer, "hello ")
    for token in ids:
        logits = session.step(token)
    wanted = []
    for _ in range(20):
        wanted.append(int(np.argmax(logits)))
        logits = session.step(wanted[-1])
    made = list(generate(model.session(), "hello ", tokens=20, temperature=0))
    assert [piece.token for piece in made] == wanted
    assert text_of(made) == decode(tokenizer, wanted)


def test_the_same_seed_writes_the_same_and_backends_agree() -> None:
    texts = [
        text_of(generate(Model(writer(), backend=b).session(), "abc", tokens=60, seed=seed, top_p=0.9))
        for b, seed in (("native", 5), ("reference", 5), ("native", 6))
    ]
    assert texts[0] == texts[1] != texts[2]


def test_the_prompt_as_ids_is_the_prompt(model: Model) -> None:
    ids = encode(make_tokenizer(TOKENIZER), "abc")
    assert text_of(generate(model.session(), ids, seed=1)) == text_of(generate(model.session(), "abc", seed=1))


@pytest.mark.parametrize(
    ("stop", "text"), [("c d", "b"), (["zz", "d\nab"], "bc "), (["bc", "c"], ""), ("d\na\n", None)]
)
def test_it_ends_before_a_stop_string(stop: Any, text: str | None) -> None:
    made = generate(Model(chain(WORDS)).session(), "a", tokens=12, temperature=0, stop=stop)
    pieces = [piece.text for piece in made]
    assert "".join(pieces) == ("bc d\nabc d\na" if text is None else text)
    assert made.why == ("tokens" if text is None else "stop")


def test_a_callback_sees_every_piece_and_may_stop_it() -> None:
    seen: list[str] = []

    def look(piece: Any) -> bool:
        seen.append(piece.text)
        return piece.text == "d"

    made = generate(Model(chain(WORDS)).session(), "a", temperature=0, on_piece=look)
    assert text_of(made) == "".join(seen) == "bc d"
    assert made.why == "callback"


@pytest.mark.parametrize("cut", [0, 1, 7, 19])
def test_saved_and_restored_it_goes_on_byte_for_byte(model: Model, cut: int) -> None:
    options: dict[str, Any] = {"tokens": 20, "seed": 3, "stop": "zzzz", "top_k": 9}
    whole = [piece.text for piece in generate(model.session(), "one ", **options)]
    session = model.session()
    first = generate(session, "one ", **options)
    begun = [next(first).text for _ in range(cut)]
    blob, saved = session.snapshot(), first.save()
    other = model.session()
    second = generate(other, "x", **options)
    other.restore(blob)
    second.load(saved)
    assert begun + [piece.text for piece in second] == whole


@pytest.mark.parametrize(
    ("options", "why"),
    [({"stop": "d"}, "stop"), ({"on_piece": lambda piece: piece.text == "c"}, "callback"), ({"tokens": 2}, "tokens")],
)
def test_what_ended_stays_ended_when_it_is_restored(options: dict[str, Any], why: str) -> None:
    session = Model(chain(WORDS)).session()
    first = generate(session, "a", temperature=0, **options)
    assert text_of(first)
    second = generate(session, "a", temperature=0, **options)
    second.load(first.save())
    assert second.why == first.why == why
    assert text_of(second) == ""


def test_a_character_of_several_bytes_is_one_piece() -> None:
    size = 256
    b = Builder(input={"kind": "tokens", "vocab": size + 4, "tokenizer": {"kind": "bytes"}})
    x = b.add("embedding", "input", name="one", tensors={"weight": np.eye(size + 4, dtype=np.float32)})
    weight = np.zeros((size + 4, size + 4), np.float32)
    for before, after in zip(b"\n\xe2\x82\xac", b"\xe2\x82\xac\n", strict=True):
        weight[after, before] = 9
    weight[size:] = 99  # ids that no text has are never written
    tensors = {"weight": weight, "scale": np.ones(size + 4), "bias": np.zeros(size + 4)}
    made = b.document(outputs=b.add("linear", x, name="head", attributes={"activations": "float32"}, tensors=tensors))
    pieces = [p.text for p in generate(Model(made).session(), "\n", tokens=6, temperature=0)]
    assert pieces == ["", "", "€", "\n", "", "\ufffd"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"prompt": ""}, "the prompt is empty"),
    ({"tokens": -1}, "not a number of tokens"),
    ({"stop": ["a", ""]}, "not a stop string"),
    ({"temperature": -1}, "temperature: not a usable number"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_cannot_be_is_refused_and_the_session_stays(change: dict[str, Any], message: str) -> None:
    session = Model(writer()).session()
    before = session.snapshot()
    with pytest.raises(UsageError, match=message):
        generate(session, **{"prompt": "a", **change})
    assert session.snapshot() == before


@pytest.mark.parametrize("prompt", [[3, 99], [-1], ["a"], [1.5]])
def test_ids_that_are_not_in_the_vocabulary_are_refused_and_the_session_stays(prompt: Any) -> None:
    session = Model(writer()).session()
    before = session.snapshot()
    with pytest.raises(ModelError, match=r"token is out of range|input is not tokens"):
        generate(session, prompt)
    assert session.snapshot() == before


def test_models_that_write_no_text_are_refused() -> None:
    with pytest.raises(
        ModelError, match="the model reads no tokens: found input of kind 'dense', expected kind 'tokens'"
    ):
        generate(Model(one("accumulate", [3])).session(), "a")
    with pytest.raises(ModelError, match="the model predicts no tokens: found mean float32"):
        generate(Model(language()).session(), "a")
    plain = writer({"tokenizer": None})
    with pytest.raises(ModelError, match="the model has no tokenizer"):
        generate(Model(plain).session(), "a")


@pytest.mark.parametrize("counts", [None, [1, 2], [999, 0, 0, 0], [1, 0, 0, 3]])
def test_what_is_no_saved_generation_is_refused(counts: list[int] | None) -> None:
    nothing = np.zeros(0, np.uint8)
    saved = {} if counts is None else {"counts": np.array(counts)}
    with pytest.raises(ModelError, match="not a saved generation"):
        generate(Model(writer()).session(), "a").load({"held": nothing, "decoder": nothing, **saved})


def test_the_command_writes_text(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "-m", path, "a", "--tokens", "6", "--temperature", "0"]) == 0
    out, err = capsys.readouterr()
    assert out == "bc d\na\n"
    assert err.startswith("6 tokens (tokens), ")


def test_the_command_prints_json_and_reads_a_prompt(
    path: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x\xffa")))
    assert main(["generate", "-m", path, "-", "--temperature", "0", "--stop", "d\\n", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["schema"], said["prompt"], said["text"], said["why"]) == (
        "edgesnn.generation/1",
        "x\ufffda",
        "bc ",
        "stop",
    )
    assert said["tokens"] == [TABLE.index(one) for one in "bc d\n"]


def test_a_prompt_from_a_closed_input_is_refused(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert main(["generate", "-m", path, "-"]) == 2
    assert "standard input: the prompt cannot be read: found it is closed" in capsys.readouterr().err


def test_the_command_names_what_is_wrong(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "-m", path, "a", "--top-p", "2"]) == 2
    assert "top_p: not a usable number: found 2.0" in capsys.readouterr().err
    assert main(["generate", "-m", "digits", "a"]) == 4
    assert "the model reads no tokens" in capsys.readouterr().err
