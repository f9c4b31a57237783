"""`edgesnn generate -m MODEL PROMPT`: text that a token model writes after a prompt."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from edgesnn.cli.arguments import add_backend, add_json, print_json
from edgesnn.errors import UsageError

if TYPE_CHECKING:
    from edgesnn.tokens.generation import Generation

HELP = "write text after a prompt, token by token"
EPILOG = """Text goes to standard output as it is made, a summary to standard error (with --json one document instead).

examples:
  edgesnn generate -m ./talk.safetensors "KING:"
  edgesnn generate -m ./talk.safetensors "KING:" --tokens 400 --temperature 0.8 --top-p 0.9 --seed 7
  edgesnn generate -m ./talk.safetensors - --stop '\\n\\n' < prompt.txt"""
MOST_PROMPT = 1 << 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("prompt", metavar="PROMPT", help="text to go on from; - reads it from standard input")
    parser.add_argument("-m", "--model", metavar="MODEL", required=True, help="a model file, or a name in the zoo")
    parser.add_argument("--tokens", metavar="N", type=int, default=256, help="at most so many tokens (default: 256)")
    parser.add_argument(
        "--temperature", metavar="T", type=float, default=1.0, help="logits are divided by it; 0: no draw (default: 1)"
    )
    parser.add_argument("--top-k", metavar="K", type=int, default=0, help="only the K most probable (default: 0, all)")
    parser.add_argument(
        "--top-p", metavar="P", type=float, default=1.0, help="only the most probable that add up to P (default: 1)"
    )
    parser.add_argument(
        "--order",
        choices=("usual", "published"),
        default="usual",
        help="temperature before top-k and top-p, or after them as SpikeGPT's script (default: usual)",
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of the draws (default: 0)")
    parser.add_argument(
        "--stop",
        metavar="TEXT",
        action="append",
        default=[],
        help="end before this text; \\n is a line's end (again for more)",
    )
    add_backend(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the text as it comes."""
    import edgesnn
    from edgesnn.tokens import generate

    prompt = _prompt(args.prompt)
    model = edgesnn.load(args.model, backend=args.backend)
    started_s = time.monotonic()
    generation = generate(
        model.session(),
        prompt,
        tokens=args.tokens,
        temperature=args.temperature,
        top_k=args.top_k,
        top_p=args.top_p,
        order=args.order,
        seed=args.seed,
        stop=[stop.replace("\\n", "\n") for stop in args.stop],
    )
    prompt_s = time.monotonic() - started_s
    if args.json:
        pieces = list(generation)
        facts = {"prompt": prompt, "text": "".join(piece.text for piece in pieces), "tokens": [p.token for p in pieces]}
        print_json({"schema": "edgesnn.generation/1", **facts, **_facts(generation, model, prompt_s, started_s)})
        return 0
    try:
        for piece in generation:
            sys.stdout.write(piece.text)
            sys.stdout.flush()
    finally:
        sys.stdout.write("\n")
        sys.stdout.flush()
    print(_line(generation, prompt_s, started_s), file=sys.stderr)
    return 0


def _prompt(given: str) -> str:
    if given != "-":
        return given
    if sys.stdin is None:
        raise UsageError("the prompt cannot be read", where="standard input", found="it is closed")
    data = sys.stdin.buffer.read(MOST_PROMPT + 1)
    if len(data) > MOST_PROMPT:
        raise UsageError("the prompt is too long", where="standard input", expected=f"at most {MOST_PROMPT} bytes")
    return data.decode("utf-8", "replace")


def _facts(generation: Generation, model: Any, prompt_s: float, started_s: float) -> dict[str, Any]:
    return {
        "why": generation.why,
        "model": {"name": model.name, "sha256": model.identity, "precision": model.precision, "backend": model.backend},
        "prompt_s": prompt_s,
        "wall_s": time.monotonic() - started_s,
    }


def _line(generation: Generation, prompt_s: float, started_s: float) -> str:
    wall_s = time.monotonic() - started_s - prompt_s
    each = f"{1e3 * wall_s / generation.count:.3g} ms a token" if generation.count else "none"
    return f"{generation.count} tokens ({generation.why or 'interrupted'}), {each}; prompt {1e3 * prompt_s:.3g} ms"
