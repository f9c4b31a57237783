"""The operators' rules, one file each: attributes, tensors, shapes, states, synaptic operations.

An operator is three files of one name: here, `edgesnn/runtime/backends/reference/<name>.py` and
`native/executor/ops/<name>.cpp`. Start reading at `base.py`, then `linear.py`.
"""
