"""`python -m edgesnn.events.simulator`: write a data set of simulated gestures, one folder of EVT3 files per class."""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

from edgesnn.errors import EdgeSnnError, UsageError
from edgesnn.events.simulator.clips import REST, Clip, simulate_gesture
from edgesnn.events.simulator.gestures import CLASS_NAMES
from edgesnn.events.writers import write_evt3
from edgesnn.units import parse_duration_us

GENERATOR = "edgesnn-simulator 1"
NUMBERED = (*CLASS_NAMES, REST)


def folder_name(number: int) -> str:
    """Return the folder of a class: its number and name, such as 0_hand_clap."""
    return f"{number}_{NUMBERED[number]}"


def clip_seed(seed: int, split: str, number: int, index: int) -> list[int]:
    """Return the seed of one clip: no two splits, classes or indices share one."""
    return [seed, zlib.crc32(split.encode()), number, index]


def write_clip(path: Path, clip: Clip, seed: Sequence[int]) -> None:
    """Write a clip as EVT3 whose header says how to make it again."""
    header = {"generator": GENERATOR, "seed": " ".join(map(str, seed))}
    write_evt3(path, clip.events, clip.sensor, t_end_us=clip.duration_us, header=header)


def write_split(out: Path, numbers: Sequence[int], count: int, seed: int, split: str, duration_us: int) -> int:
    """Write `count` clips of each class into out/split/NUMBER_NAME/INDEX.raw; those that exist stay. Return the events.

    out/split/seeds.json says how the files were made.
    """
    total = 0
    for index in range(count):
        for number in numbers:
            path = out / split / folder_name(number) / f"{index:04d}.raw"
            if path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            key = clip_seed(seed, split, number, index)
            clip = simulate_gesture(NUMBERED[number], key, duration_us)
            write_clip(path, clip, key)
            total += len(clip.events)
        _progress(f"{split}: {index + 1} of {count} clips of {len(numbers)} classes")
    about = {"generator": GENERATOR, "seed": seed, "split": split, "count": count, "duration_us": duration_us}
    (out / split / "seeds.json").write_text(json.dumps(about, indent=1) + "\n")
    return total


def parse_classes(text: str) -> list[int]:
    """Return class numbers: "all" (the ten), or a list of numbers and names; "rest" is number 10."""
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
    parser.add_argument("--classes", default="all", help="all, or numbers and names such as 0,air_drums,rest")
    parser.add_argument("--count", type=int, default=1, help="clips per class")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", default="train", help="folder under --out; part of every clip's seed")
    parser.add_argument("--duration", default="1.5s", help="length of a clip")
    options = parser.parse_args(arguments)
    try:
        numbers = parse_classes(options.classes)
        duration_us = parse_duration_us(options.duration, where="--duration")
        total = write_split(options.out, numbers, options.count, options.seed, options.split, duration_us)
    except EdgeSnnError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{options.out / options.split}: {options.count} clips of {len(numbers)} classes, {total} events written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
