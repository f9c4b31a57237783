"""One file a format: how to tell it, its header, its decoder. `base.py` is the contract; `registry.py` the list."""
