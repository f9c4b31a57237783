"""The zoo's text model and its card, from a training run."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgesnn.models.spikegpt import SpikeGPT
from edgesnn.quantize import quantize
from edgesnn.train.checkpoint import CHECKPOINT, load_weights, read_checkpoint
from edgesnn.train.config import as_document
from edgesnn.train.text.command import document_of
from edgesnn.train.text.config import parse_text_config
from edgesnn.train.text.corpus import Corpus, load_corpus
from edgesnn.train.text.loop import FIELDS, PARTS
from edgesnn.train.text.measure import measure
from edgesnn.train.zoo import common, words

HELP = "build the text model (tiny Shakespeare) and its card"
NAME = "shakespeare"
DATA = "datasets/tinyshakespeare.txt"
LICENCE = "weights Apache-2.0; trained on tiny Shakespeare, text in the public domain"
COMMANDS = """edgesnn train spikegpt --config examples/text/shakespeare.toml \\
    --data ../shared/datasets/tinyshakespeare.txt --out {run}
python -m edgesnn.train.zoo shakespeare --run {run}
edgesnn generate -m shakespeare 'ROMEO:'"""


def build(run: Path, data: Path, out: Path) -> dict[str, Any]:
    """Write out/shakespeare.safetensors (int8), out/shakespeare-float32.safetensors and out/shakespeare.md.

    Args:
        run: folder of a run of examples/text/shakespeare.toml.
        data: the text.
        out: the zoo.

    Returns:
        What `edgesnn.train.text.measure` found on the part of the text that did not train.
    """
    path = run / CHECKPOINT
    state = read_checkpoint(path, FIELDS, PARTS)
    config = parse_text_config(state["config"], where=str(path))
    corpus = load_corpus(replace(config.data, source=str(data)))
    network = SpikeGPT(config.model.network(corpus.vocab))
    load_weights(network, state["model"], path)
    config = replace(config, data=replace(config.data, source=corpus.source))
    provenance = {
        "source": f"SpikeGPT (arXiv 2302.13939), trained by examples/text/{NAME}.toml",
        "licence": LICENCE,
        "training": as_document(config),
    }
    document = document_of(network, corpus, provenance)
    documents = {"float32": document, "int8": quantize(document, "int8")}
    figures: dict[str, Any] = {**measure({**documents, "int4": quantize(document, "int4")}, corpus)}
    for precision, own in documents.items():
        metrics = {"test": {"bits_per_character": figures[precision]}}
        documents[precision] = replace(own, provenance={**own.provenance, "metrics": metrics})
    figures["parameters"] = sum(p.numel() for p in network.parameters())
    figures["seconds"] = sum(row["seconds"] for row in state["metrics"])
    common.save(documents, card(documents["int8"].identity, figures, corpus, run), NAME, out)
    return figures


def card(identity: str, figures: dict[str, Any], corpus: Corpus, run: Path) -> str:
    """Return the card, Markdown."""
    rows = [
        ("SpikeGPT float32", figures["float32"]),
        ("SpikeGPT int8 (this file)", figures["int8"]),
        ("SpikeGPT int4, groups of 32", figures["int4"]),
        (f"{figures['ngram_order']}-gram, interpolated back-off (Witten and Bell)", figures["ngram"]),
    ]
    table = "\n".join(f"| {name} | {bits:.3f} |" for name, bits in rows)
    return f"""# shakespeare

An int8 SpikeGPT (Zhu et al., arXiv 2302.13939) of {figures["parameters"]:,} parameters that writes on,
character by character, and says how surprising a text is. {words.written_by(f"shakespeare --run {run}")}

| | |
|---|---|
| identity | {identity} |
| tokens | {corpus.vocab} characters, one of them for all others |
| licence | {LICENCE}; none of it is in this repository |
| float32 twin of this file | `shakespeare-float32` (not quantised, for comparison) |

## Bits per character

Of the last tenth of the lines ({corpus.test_characters:,} characters), which trained nothing and chose nothing but the
order of the n-gram (the best of 1 to 8 on them); as one stream through the runtime. The n-gram counted the same
{corpus.train_characters:,} characters that the network trained on.

| | bits per character |
|---|---|
{table}

int8 costs {figures["int8"] - figures["float32"]:+.4f} bits (goal 0.02),
int4 {figures["int4"] - figures["float32"]:+.4f} (goal 0.05).

## Training

{figures["seconds"] / 60:.0f} minutes on {words.machine()};
the weights are those of the last step of a number fixed beforehand.

{words.made_by(COMMANDS.format(run=run))}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--run", type=Path, default=Path("runs/shakespeare"), help="of shakespeare.toml")
    parser.add_argument("--data", type=Path, help="default: the shared folder's text")
    parser.add_argument("--out", type=Path, default=common.ZOO)


def run(options: argparse.Namespace) -> str:
    """Build the model and its card; return the bits per character as JSON."""
    return json.dumps(build(options.run, options.data or common.shared_folder() / DATA, options.out))
