"""Print the requirements of the package and of the extras that are named, one a line, without building anything.

Usage: requirements.py [--build] [EXTRA...]     --build: also what the native module is built with.
"""

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib

BUILD_TOOLS = ["cmake>=3.18", "ninja"]


def main() -> int:
    """Print the list."""
    project: dict[str, Any] = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))
    lines = list(project["project"]["dependencies"])
    if "--build" in sys.argv[1:]:
        lines += project["build-system"]["requires"] + BUILD_TOOLS
    for extra in sys.argv[1:]:
        if not extra.startswith("--"):
            lines += project["project"]["optional-dependencies"][extra]
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
