"""Writes what the installed edgesnn consists of and needs, as a CycloneDX 1.6 document: `make wheels`.

Usage: python tools/make_sbom.py OUT     OUT: a folder; python: of an environment with the package and its requirements

The document has neither time nor serial number, so that the same versions give the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BUILT_IN = {"pybind11": "BSD-3-Clause"}
"""Headers that are compiled into the native module."""


def main() -> int:
    """Write the file."""
    document = sbom("edgesnn", (ROOT / "pyproject.toml").read_text("utf-8"))
    version = document["metadata"]["component"]["version"]
    path = Path(sys.argv[1]) / f"edgesnn-{version}.cdx.json"
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    return 0


def sbom(package: str, project: str) -> dict[str, Any]:
    """Return the document of a package as it is installed here, with what it requires, without extras."""
    found: dict[str, dict[str, Any]] = {}
    needs: dict[str, list[str]] = {}
    todo = [package]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found[name] = component(name)
        needs[name] = requirements(name)
        todo += needs[name]
    own = found.pop(package)
    parts = [*found.values(), *(built_in(name, licence, project) for name, licence in BUILT_IN.items())]
    graph = [{"ref": package, "dependsOn": sorted([*needs[package], *BUILT_IN])}]
    graph += [{"ref": name, "dependsOn": sorted(needs[name])} for name in sorted(found)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**own, "type": "application"}},
        "components": sorted(parts, key=lambda part: part["bom-ref"]),
        "dependencies": graph,
    }


def component(name: str) -> dict[str, Any]:
    """Return an installed package."""
    about = metadata.metadata(name)
    version = metadata.version(name)
    return {
        "type": "library",
        "bom-ref": name,
        "name": about["Name"],
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "scope": "required",
        "licenses": [{"license": {"name": licence(name)}}],
    }


def built_in(name: str, licence: str, project: str) -> dict[str, Any]:
    """Return what is compiled in; its version is the one that the project asks for."""
    wanted = re.search(rf'"{name}([^"]*)"', project)
    assert wanted is not None
    return {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "version": wanted[1],
        "purl": f"pkg:pypi/{name}",
        "scope": "required",
        "licenses": [{"license": {"id": licence}}],
        "description": "headers, compiled into the native module",
    }


def licence(name: str) -> str:
    """Return the licence that a package states, in its own words."""
    about = metadata.metadata(name)
    classifiers = [text.split(" :: ")[-1] for text in about.get_all("Classifier") or [] if text.startswith("License")]
    # a long text of a licence begins with its name
    return (
        about.get("License-Expression")
        or " or ".join(classifiers)
        or (about.get("License") or "unknown").split("\n")[0]
    )


def requirements(name: str) -> list[str]:
    """Return the names of what a package requires here, without its extras."""
    needed = []
    for line in metadata.requires(name) or []:
        match = re.match(r"[A-Za-z0-9._-]+", line)
        assert match is not None
        if "extra ==" not in line and installed(match[0]):
            needed.append(re.sub(r"[-_.]+", "-", match[0]).lower())
    return needed


def installed(name: str) -> bool:
    """Return whether a package is there: one for another system is not."""
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
