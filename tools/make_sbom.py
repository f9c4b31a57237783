"""Writes what the installed edgesnn consists of and needs, as a CycloneDX 1.6 document: `make wheels`.

Usage: PYTHON tools/make_sbom.py OUT     OUT: a folder; PYTHON: of an environment with the wheel and what it requires

What is compiled in stands in the wheel's own document (`native/bindings/sbom.cdx.json.in`); what it requires is added
as it is installed. There is neither time nor serial number, so that the same versions give the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGE = "edgesnn"


def main() -> int:
    """Write the file."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        raise SystemExit(
            "usage: make_sbom.py OUT     OUT: a folder; run by the Python of an environment with the wheel"
        )
    if not installed(PACKAGE):
        raise SystemExit(
            f"make_sbom.py: {PACKAGE} is not installed for {sys.executable}: run it by the environment's Python"
        )
    (own,) = (path for path in metadata.files(PACKAGE) or [] if path.match(f"*.dist-info/sboms/{PACKAGE}.cdx.json"))
    document = sbom(json.loads(own.read_text()), requirements(PACKAGE))
    path = Path(sys.argv[1]) / f"{PACKAGE}-{metadata.version(PACKAGE)}.cdx.json"
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    return 0


def sbom(own: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """Return the wheel's own document and, as they are installed here, the packages required, and what they require."""
    needs: dict[str, list[str]] = {}
    todo = list(required)
    while todo:
        name = todo.pop()
        if name not in needs:
            needs[name] = requirements(name)
            todo += needs[name]
    built_in = [component["bom-ref"] for component in own["components"]]
    graph = [{"ref": PACKAGE, "dependsOn": sorted([*built_in, *required])}]
    graph += [{"ref": name} for name in built_in]
    graph += [{"ref": name, "dependsOn": sorted(needs[name])} for name in sorted(needs)]
    components = [*own["components"], *(component(name) for name in sorted(needs))]
    return {**own, "components": components, "dependencies": graph}


def component(name: str) -> dict[str, Any]:
    """Return an installed package."""
    version = metadata.version(name)
    return {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "licenses": [licence(name)],
    }


def licence(name: str) -> dict[str, Any]:
    """Return the licence that a package states, in its own words."""
    about = metadata.metadata(name)
    if "License-Expression" in about:
        return {"expression": about["License-Expression"]}
    classifiers = [text.split(" :: ")[-1] for text in about.get_all("Classifier") or [] if text.startswith("License")]
    if classifiers:
        return {"license": {"name": " or ".join(classifiers)}}
    # a whole licence begins with its name
    return {"license": {"name": (about.get_all("License") or ["unknown"])[0].split("\n")[0]}}


def requirements(name: str) -> list[str]:
    """Return the names of what a package requires and what is installed of it, without its extras."""
    needed = []
    for line in metadata.requires(name) or []:
        match = re.match(r"[A-Za-z0-9._-]+", line)
        assert match is not None
        if not re.search(r"\bextra\b", line) and installed(match[0]):
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
