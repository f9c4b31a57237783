"""Events as models take them: grouped points (`points.py`) and spikes of time steps (`spikes.py`, on the bins of
`grid.py`); `native.py` is the door to the fast forms.
"""
