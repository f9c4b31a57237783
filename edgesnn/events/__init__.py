"""Event streams: recordings, incremental decoders, the simulator.

Start reading at `recording.py` (`edgesnn.open`). `registry.py` lists the formats, one file each in `formats/`;
`decoder.py` is the incremental decoder under files, pipes and sockets, a thin face of `native/events/decode`. What is
normative (formats, clocks, damaged files, counters) stands in `docs/formats.md`. May import: errors, units, the native
module, `hdf5`.
"""
