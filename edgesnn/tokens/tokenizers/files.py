"""Other tools' tokenizer files as the model file's object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgesnn.errors import ModelError

_MOST_BYTES = 1 << 24
_UNKNOWN = "\ue083"  # what RWKV's character vocabularies have for the unknown


def describe(source: str) -> dict[str, Any]:
    """Return `input.tokenizer` of a file, or of the word "bytes".

    Args:
        source: a `tokenizer.json` of the package `tokenizers`, a `vocab.json` of characters as SpikeGPT's training
            writes it (number -> character, UTF-16 or UTF-8), or the object itself as JSON (docs/tokens.md).

    Raises:
        ModelError: no such file, or none of these.
    """
    if source == "bytes":
        return {"kind": "bytes"}
    text = _read(source)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(source, f"no JSON: {error}") from None
    if not isinstance(content, dict):
        raise _wrong(source, type(content).__name__)
    if "kind" in content:
        return content
    if isinstance(content.get("model"), dict):
        return {"kind": "huggingface", "json": text}
    table = [content.get(str(number)) for number in range(len(content))]
    if not table or not all(isinstance(one, str) and len(one) == 1 for one in table):
        raise _wrong(source, f"an object of {len(content)} names")
    return {"kind": "characters", "table": "".join(map(str, table)), "unknown": _place(table)}


def _place(table: list[Any]) -> int | None:
    return table.index(_UNKNOWN) if _UNKNOWN in table else None


def _read(source: str) -> str:
    try:
        with Path(source).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except (OSError, ValueError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise ModelError("tokenizer cannot be read", where=source, found=found[:120].lower()) from None
    if len(data) > _MOST_BYTES:
        raise ModelError("tokenizer is too large", where=source, expected=f"at most {_MOST_BYTES} bytes")
    return text


def _wrong(source: str, found: str) -> ModelError:
    expected = "a tokenizer.json, a vocab.json of characters, or bytes"
    return ModelError("not a tokenizer", where=source, found=found[:120], expected=expected)
