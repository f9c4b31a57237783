"""`python -m edgesnn` is the `edgesnn` command."""

from __future__ import annotations

import sys

from edgesnn.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
