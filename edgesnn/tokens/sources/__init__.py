"""Where lines come from, one file each; the contract is in `base.py`, the list in `registry.py`."""
