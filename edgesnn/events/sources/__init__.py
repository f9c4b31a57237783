"""Live sources: sockets, pipes and cameras, one file a scheme. Start at README.md, then `base.py` and `live.py`."""
