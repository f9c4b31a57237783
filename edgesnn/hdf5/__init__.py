"""HDF5 files are read in a process of their own: libhdf5 is a large C library that other people's files are fed to, and
its crash, hang or flood of memory must not be the caller's.

`process.py` is the caller's side: `Job(module, request)`. `server.py` is the process behind it, started once; it forks
a worker for each file, so that none meets what another one left behind. A job is a module with a function
`work(link, request)` (`events/formats/hdf5_child.py`, `importers/nir/child.py`); `wire.py` is what the two sides say to
each other. May import: numpy; h5py in that process alone.
"""

from edgesnn.hdf5.process import Job, JobError

__all__ = ["Job", "JobError"]
