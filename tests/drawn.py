"""How many of the cases that a seed draws a test takes: all, or in `make test` a share of them."""

from __future__ import annotations

import os

SHARE = int(os.environ.get("EDGESNN_TEST_SHARE") or 1)  # one in so many cases of each test: under emulation
DRAWN_SHARE = int(os.environ.get("EDGESNN_DRAWN_SHARE") or SHARE)  # the same for what is drawn: in `make test`


def drawn(cases: int, share: int = DRAWN_SHARE) -> int:
    """Return how many of so many drawn cases are taken, one at least."""
    return max(1, cases // share)
