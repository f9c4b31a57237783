"""Events as models take them: grouped points (`points.py`; `native.py` is the door to the fast form), spikes of time
steps (`spikes.py`).
"""
