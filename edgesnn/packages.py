"""Whether a package that a backend or a format of export needs is there, new enough, and can be imported."""

from __future__ import annotations

import re
from importlib import import_module, metadata


def missing(name: str, least: tuple[int, ...], install: str) -> str | None:
    """Return why a package cannot be used, in one line, or None.

    Args:
        name: the package, which is the module too.
        least: its oldest version, (major, minor).
        install: what to do where it is not there or too old.
    """
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = None
    try:
        module = import_module(name)
    except Exception as error:  # a build for another numpy or processor fails with more than ImportError
        if version is None:
            return f"{name} is not installed; {install}"
        return f"{name} {version} cannot be imported: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    version = version or str(getattr(module, "__version__", "0"))
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < least:
        return f"{name} {version} is too old, at least {'.'.join(map(str, least))} is needed; {install}"
    return None
