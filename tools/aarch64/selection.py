"""Print which test files run on an emulated processor: those of the arms on both, those of the native core on one.

Usage: selection.py CPU     cortex-a76 or cortex-a72

What is Python alone, or needs torch, a broker, a camera, real time or the memory of a process runs on no emulated one.
"""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "tests"

# What the arms of the kernels compute: on both processors.
ARMS = [
    "attacks/test_native_models.py",
    "attacks/test_snapshots.py",
    "compat/test_*_1.py",
    "conformance/test_loihi.py",
]

# What is the same on every aarch64 (decoders, filters, encoders, the chain): on cortex-a76 too.
ONCE = [
    "attacks/test_encoders.py",
    "attacks/test_executor_inputs.py",
    "attacks/test_graph_files.py",
    "attacks/test_model_files.py",
    "property/test_*_frames.py",
    "property/test_*packets.py",
    "property/test_*pipeline.py",
    "property/test_aedat_streams.py",
    "property/test_ecf_chunks.py",
    "property/test_encoders.py",
    "property/test_filters.py",
    "property/test_table_rows.py",
    "property/test_token_splits.py",
    "unit/test_decide.py",
    "unit/test_decoder_out.py",
    "unit/test_encode_adapt.py",
    "unit/test_encode_native.py",
    "unit/test_encode_spikes.py",
]


def files(cpu: str) -> list[str]:
    """Return the paths for a processor, from the repository; a pattern that names no file is an error."""
    found = []
    for pattern in [*ARMS, *(ONCE if cpu == "cortex-a76" else [])]:
        paths = sorted(TESTS.glob(pattern))
        if not paths:
            raise FileNotFoundError(f"tools/aarch64/selection.py names tests/{pattern}, which is not there")
        found += [f"tests/{path.relative_to(TESTS)}" for path in paths]
    return found


if __name__ == "__main__":
    print("\n".join(files(sys.argv[1])))
