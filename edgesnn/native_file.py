"""The file of the compiled module, looked at before it is loaded: of a cut one the loader would die without a word."""

from __future__ import annotations

import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from struct import Struct

# ELF-64: e_ident's magic, class and byte order; e_phoff, e_shoff; e_phentsize, e_phnum, e_shentsize, e_shnum.
_HEADER = Struct("<6s26xQQ6x4H2x")
_SEGMENT = Struct("<8xQ16xQ16x")  # p_offset, p_filesz
_LITTLE_64 = b"\x7fELF\x02\x01"


def check() -> None:
    """Look at the file that an import of `edgesnn._native` would load; one read of 4 KiB.

    Raises:
        ImportError: it is shorter than it says, as the loader raises it for other damage. What is no such file at all
            is the loader's to refuse.
    """
    for suffix in EXTENSION_SUFFIXES:  # in the order in which Python looks for it
        path = Path(__file__).with_name(f"_native{suffix}")
        try:
            with open(path, "rb", buffering=0) as file:
                size, needed = os.fstat(file.fileno()).st_size, _needed(file.read(4096))
        except FileNotFoundError:
            continue
        except OSError:
            return
        if size < needed:
            raise ImportError(f"{path}: cut, {size} of {needed} bytes", name="edgesnn._native", path=str(path))
        return


def _needed(begin: bytes) -> int:
    """Return how long a module is that begins so: its table of sections and its segments lie inside. 0: not known."""
    if len(begin) < _HEADER.size or not begin.startswith(_LITTLE_64):
        return 0
    _, segments, sections, segment_size, segment_count, section_size, section_count = _HEADER.unpack_from(begin)
    ends: list[int] = [sections + section_size * section_count]
    table = begin[segments : segments + segment_size * segment_count]
    if segment_size == _SEGMENT.size:
        whole = table[: len(table) // segment_size * segment_size]
        ends += [offset + length for offset, length in _SEGMENT.iter_unpack(whole)]
    return max(ends)
