"""Files of outputs (`edgesnn verify --against`) that unpack to far more than they are."""

from __future__ import annotations

import numpy as np
import pytest

from edgesnn.errors import ModelError
from edgesnn.importers import npz


def test_a_file_that_unpacks_to_too_much_is_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "outputs.npz"
    np.savez_compressed(path, input=np.zeros((1000, 1000), np.float32))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(npz, "MOST_BYTES", 3_000_000)
    with pytest.raises(ModelError, match=r"too large: found 4,000,128 bytes, expected at most 3,000,000"):
        npz.read_npz(path)
    monkeypatch.setattr(npz, "MOST_BYTES", 5_000_000)
    assert npz.read_npz(path)["input"].shape == (1000, 1000)
