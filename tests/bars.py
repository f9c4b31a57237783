"""A task that a tiny network learns in seconds, as a data set and a training configuration."""

from __future__ import annotations

from pathlib import Path

import numpy as np

TINY = """
[data]
train_ids = [1, 24]
validate_ids = [25, 36]
[input]
window = "40ms"
hop = "20ms"
min_events = 10
points = 48
groups = 8
neighbours = 6
[model]
widths = [8, 8, 16, 16]
voters = 2
steps = 2
coding = "direct"
features = "signed"
polarity = true
readout = "currents"
[train]
epochs = 4
batch = 8
windows = 4
evaluate_every = 2
warmup = 2
lr = 1e-2
"""


def write_bars(folder: Path) -> tuple[Path, Path]:
    """Write two classes of 36 recordings, a bar that moves right and one that moves down; return (config, data)."""
    rng = np.random.default_rng(5)
    columns: dict[str, list[np.ndarray]] = {"x": [], "y": [], "p": [], "t_us": []}
    for label in (np.arange(36) % 2).tolist():
        t = np.sort(rng.integers(0, 85_000, 400))
        t[0], t[-1] = 0, 85_000
        along, across = t * 15 // 85_000, rng.integers(4, 12, 400)
        columns["x"].append(across if label else along)
        columns["y"].append(along if label else across)
        columns["p"].append(rng.integers(0, 2, 400))
        columns["t_us"].append(t)
    arrays = {name: np.concatenate(parts) for name, parts in columns.items()}
    sizes = {"offsets": np.arange(37) * 400, "ids": np.arange(1, 37), "labels": np.arange(36) % 2}
    np.savez(folder / "bars.npz", **arrays, **sizes)
    (folder / "tiny.toml").write_text(TINY)
    return folder / "tiny.toml", folder / "bars.npz"
