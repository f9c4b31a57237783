"""The plain numpy backend: read first, slow, the oracle of the native one. One file an operator.

Start at `engine.py`, then `linear.py` and `lif.py`. Every float32 operation is an elementwise ufunc on explicit
np.float32, in the order that docs/arithmetic.md says.
"""
