"""`python -m edgesnn.events.simulator`: write a data set of simulated gestures, one folder of EVT3 files per class.

The class "none" is a person at rest and one who does not move at all, in turn: what a model should give no label to.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgesnn.errors import EdgeSnnError, UsageError
from edgesnn.events.simulator.clips import REST, STILL, Clip, simulate_gesture
from edgesnn.events.simulator.gestures import CLASS_NAMES
from edgesnn.events.writing import write
from edgesnn.units import parse_duration_us

GENERATOR = "edgesnn-simulator 1"
NONE = "none"
NUMBERED = (*CLASS_NAMES, NONE)
MIRRORED = {0: 0, 1: 2, 2: 1, 3: 6, 4: 5, 5: 4, 6: 3, 7: 7, 8: 8, 10: 10}
"""The class that a class becomes in a mirror; a mirrored air guitar is a left-handed one, which the data set lacks."""


def clip_seed(seed: int, split: str, number: int, index: int) -> list[int]:
    """Return the seed of one clip: no two splits, classes or indices share one."""
    return [seed, zlib.crc32(split.encode()), number, index]


def mirror(clip: Clip) -> Clip:
    """Return the clip seen in a mirror: the image's left and right change places."""
    events = clip.events.copy()
    events["x"] = clip.sensor[0] - 1 - events["x"]
    return replace(clip, events=events)


def write_clip(path: Path, clip: Clip, seed: Sequence[int], *, view: str = "direct") -> None:
    """Write a clip as EVT3 whose header says how to make it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"generator": GENERATOR, "seed": " ".join(map(str, seed)), "view": view}
    write(path, clip.events, sensor=clip.sensor, format="evt3", t_end_us=clip.duration_us, fields=header)


def write_split(
    out: Path, numbers: Sequence[int], count: int, seed: int, split: str, duration_us: int, *, mirrored: bool = False
) -> int:
    """Write `count` clips of each class into out/split/NAME/INDEX.raw; those that exist stay. Return the events.

    `mirrored` writes each clip a second time, as its mirror image, to the class that it then shows (INDEX_m.raw).
    out/split/seeds.json says how the files were made.
    """
    total = 0
    for index in range(count):
        for number in numbers:
            total += _write_one(
                out / split, number, index, clip_seed(seed, split, number, index), duration_us, mirrored
            )
        _progress(f"{split}: {index + 1} of {count} clips of {len(numbers)} classes")
    about = {"generator": GENERATOR, "seed": seed, "split": split, "count": count, "duration_us": duration_us}
    text = json.dumps({**about, "mirrored": mirrored, "classes": list(numbers)}, indent=1)
    (out / split / "seeds.json").write_text(text + "\n")
    return total


def _write_one(folder: Path, number: int, index: int, seed: Sequence[int], duration_us: int, mirrored: bool) -> int:
    path = folder / NUMBERED[number] / f"{index:04d}.raw"
    if path.exists():
        return 0
    name = (REST, STILL)[index % 2] if NUMBERED[number] == NONE else NUMBERED[number]
    clip = simulate_gesture(name, seed, duration_us)
    if mirrored and number in MIRRORED:
        write_clip(folder / NUMBERED[MIRRORED[number]] / f"{index:04d}_m.raw", mirror(clip), seed, view="mirrored")
    write_clip(path, clip, seed)
    return len(clip.events)


def parse_classes(text: str) -> list[int]:
    """Return class numbers: "all" (the ten), or a list of numbers and names; "none" is number 10."""
    if text == "all":
        return list(range(len(CLASS_NAMES)))
    return [_class_number(word.strip()) for word in text.split(",")]


def _class_number(word: str) -> int:
    if word.isdecimal() and int(word) < len(NUMBERED):
        return int(word)
    if word in NUMBERED:
        return NUMBERED.index(word)
    raise UsageError("unknown class", where="--classes", found=repr(word), expected=", ".join(NUMBERED))


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(text, end="\r", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m edgesnn.events.simulator", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--classes", default="all", help="all, or numbers and names such as 0,air_drums,none")
    parser.add_argument("--count", type=int, default=1, help="clips per class")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", default="train", help="folder under --out; part of every clip's seed")
    parser.add_argument("--mirrored", action="store_true", help="also write each clip's mirror image, to its class")
    parser.add_argument("--duration", default="1.5s", help="length of a clip")
    options = parser.parse_args(arguments)
    try:
        numbers = parse_classes(options.classes)
        duration_us = parse_duration_us(options.duration, where="--duration")
        total = write_split(
            options.out, numbers, options.count, options.seed, options.split, duration_us, mirrored=options.mirrored
        )
    except EdgeSnnError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{options.out / options.split}: {options.count} clips of {len(numbers)} classes, {total} events written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
