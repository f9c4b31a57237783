"""Our models for other engines: one package a format, by name in `registry.py`. Start at `onnx/model.py`.

Imports graph and the ground floor; what a format needs besides is imported when a model is exported.
"""
