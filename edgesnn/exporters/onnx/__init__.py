"""The step graph as ONNX, with explicit states (docs/backends.md).

`model.py` makes the file, `graph.py` collects nodes, `registry.py` says which function adds which operator; the
functions lie in modules by the headings of docs/operators.md. Needs the package `onnx`.
"""
