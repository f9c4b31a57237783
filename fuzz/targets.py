"""The Python targets by name."""

from __future__ import annotations

from fuzz import hdf5_file, model_file, recording_file, snapshot_file
from fuzz.choices import Target

TARGETS: dict[str, Target] = {
    "model_file": model_file.one_input,
    "snapshot_file": snapshot_file.one_input,
    "recording_hdf5": hdf5_file.one_input,
    **recording_file.TARGETS,
}
