"""Windows of events as grouped points. Start at `points.py` (readable); `native.py` is the door to the fast form."""
