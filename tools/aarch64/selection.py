"""Print which test files run on an emulated processor: those of the arms on both, those of the native core on one.

Usage: selection.py CPU     cortex-a76 or cortex-a72

What is Python alone, or needs torch, a broker, a camera, real time or the memory of a process runs on no emulated one,
and some that reach the native core do not for their time alone: docs/aarch64.md names them.
"""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "tests"

# What the arms of the kernels compute: on both processors.
ARMS = [
    "attacks/test_snapshots.py",
    "attacks/test_native_models.py",
    "compat/test_*_1.py",
    "conformance/test_loihi.py",
    "conformance/test_nir.py",
    "property/test_executor_equal.py",
    "property/test_fused_points.py",
    "unit/test_executor_*.py",
    "unit/test_operator_*.py",
    "unit/test_recorder.py",
    "unit/test_session_*.py",
    "unit/test_step_many.py",
]

# What is the same on every aarch64 (decoders, filters, encoders, the chain): on cortex-a76 too.
ONCE = [
    "attacks/test_damaged_files.py",
    "attacks/test_encoders.py",
    "attacks/test_executor_inputs.py",
    "attacks/test_graph_files.py",
    "attacks/test_model_files.py",
    "attacks/test_recordings.py",
    "attacks/test_token_files.py",
    "conformance/test_nir_pipeline.py",
    "conformance/test_recordings.py",
    "property/test_*_frames.py",
    "property/test_*packets.py",
    "property/test_*pipeline.py",
    "property/test_aedat_streams.py",
    "property/test_ecf_chunks.py",
    "property/test_encoders.py",
    "property/test_filters.py",
    "property/test_nir_graphs.py",
    "property/test_table_rows.py",
    "property/test_token_splits.py",
    "unit/test_bundles.py",
    "unit/test_decide.py",
    "unit/test_decoder_out.py",
    "unit/test_encode_adapt.py",
    "unit/test_encode_native.py",
    "unit/test_encode_spikes.py",
    "unit/test_events_*coders.py",
    "unit/test_events_records.py",
    "unit/test_filter_bitmaps.py",
    "unit/test_generation.py",
    "unit/test_graph_head.py",
    "unit/test_parameter_vectors.py",
    "unit/test_pipeline.py",
    "unit/test_pipeline_adapt.py",
    "unit/test_pipeline_filters.py",
    "unit/test_pipeline_reset.py",
    "unit/test_pipeline_spikes.py",
    "unit/test_pipeline_threads.py",
    "unit/test_recorder_ring.py",
    "unit/test_recorder_triggers.py",
    "unit/test_reset_policies.py",
    "unit/test_surprise.py",
    "unit/test_token_bursts.py",
    "unit/test_token_stream.py",
    "unit/test_windows.py",
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
