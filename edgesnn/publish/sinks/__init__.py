"""Destinations of predictions, one file each. The contract that they share is `Sink` in `base.py`."""
