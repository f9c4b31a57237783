"""The flight recorder: what a stream took in lately, as one file that gives its predictions again (docs/recorder.md).

`ring.py` holds it in memory, `bundle.py` is the file, `check.py` compares what it gives with what was published;
`sealed.py` writes files that are whole or not there. Imports pipeline and what is below it.
"""
