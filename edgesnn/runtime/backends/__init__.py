"""What runs a graph: `native` (the product) and `reference` (plain numpy, the oracle). Start at `base.py`."""
