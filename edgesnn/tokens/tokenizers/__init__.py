"""Tokenizers, one file each: bytes in any split to token ids, and ids back to text. The contract is in `base.py`."""
