"""Point encoding: farthest point sampling and nearest neighbours, native against torch and numpy, one thread.

    python bench/encode.py [--seconds 2]

The answers are compared before anything is timed. 1024 centroids of 2048 points, 24 neighbours each; a window of
100,000 events sampled and grouped. torch's form is the usual one (a loop of broadcast distances and argmax; a distance
matrix and topk), on float32, where these integers are exact up to 2^24 only: its answer is checked on coordinates that
stay below.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from common import interleaved_ms, one_thread, record

one_thread()

import numpy as np  # noqa: E402
import torch  # noqa: E402

from edgesnn import _native  # noqa: E402
from edgesnn.encode import native  # noqa: E402
from edgesnn.encode import points as reference  # noqa: E402
from edgesnn.encode.points import PointEncoding  # noqa: E402
from edgesnn.pipeline.bench import made_up_events  # noqa: E402

ENCODING = PointEncoding(500_000, 250_000, 1, points=2048, groups=1024, neighbours=24, steps=16, seed=3)
GOALS_MS = {"farthest_points": 0.5, "nearest_neighbours": 2.0}
EXACT = 2048  # squared distances of coordinates below this are exact in float32


def torch_farthest(xyz: torch.Tensor, groups: int) -> torch.Tensor:
    """Farthest point sampling as people write it in torch."""
    chosen = torch.zeros(groups, dtype=torch.long)
    distance = torch.full((len(xyz),), float("inf"))
    for i in range(1, groups):
        distance = torch.minimum(distance, ((xyz - xyz[chosen[i - 1]]) ** 2).sum(1))
        chosen[i] = distance.argmax()
    return chosen


def torch_neighbours(xyz: torch.Tensor, centroids: torch.Tensor, k: int) -> torch.Tensor:
    """The k nearest points of each centroid, by a distance matrix and topk."""
    c = xyz[centroids]
    distance = (c * c).sum(1)[:, None] + (xyz * xyz).sum(1)[None, :] - 2 * (c @ xyz.T)
    return distance.topk(k, dim=1, largest=False).indices


def distances(coordinates: np.ndarray[Any, Any], centroids: Any, members: Any) -> np.ndarray[Any, Any]:
    """Return the sorted squared distances of each group: what two answers with ties must share."""
    xyz = coordinates[:, :3].astype(np.int64)
    return np.sort(np.square(xyz[members] - xyz[centroids][:, None]).sum(2), axis=1)


def check(coordinates: np.ndarray[Any, Any]) -> None:
    """Compare native with the numpy reference bit for bit, and with torch where float32 is exact."""
    ours, plain = native.group_points(coordinates, ENCODING), reference.group_points(coordinates, ENCODING)
    assert all(np.array_equal(getattr(ours, f), getattr(plain, f)) for f in ("centroids", "members"))
    assert ours.sd == plain.sd
    small = coordinates % EXACT
    ours = native.group_points(small, ENCODING)
    xyz = torch.from_numpy(small[:, :3].astype(np.float32))
    assert np.array_equal(torch_farthest(xyz, ENCODING.groups).numpy(), ours.centroids)
    theirs = torch_neighbours(xyz, torch.from_numpy(ours.centroids.astype(np.int64)), ENCODING.neighbours).numpy()
    assert np.array_equal(distances(small, ours.centroids, ours.members), distances(small, ours.centroids, theirs))


def main() -> None:
    """Check, time in turns, print the ratios, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    events = made_up_events(100_000, ENCODING.window_us, (128, 128), 1)
    ours, plain = (m.encode_points(events, ENCODING, (128, 128)) for m in (native, reference))
    assert np.array_equal(ours.members, plain.members)
    coordinates = ours.coordinates
    check(coordinates)
    xyz = torch.from_numpy(coordinates[:, :3].astype(np.float32))
    centroids = torch.from_numpy(ours.centroids.astype(np.int64))
    encode = _native.encode
    results = {
        "farthest_points": interleaved_ms(
            {
                "native": lambda: encode.farthest_points(coordinates, ENCODING),
                "torch": lambda: torch_farthest(xyz, ENCODING.groups),
                "numpy": lambda: reference.farthest_points(coordinates[:, :3].astype(np.int64), ENCODING.groups),
            },
            seconds=seconds,
        ),
        "nearest_neighbours": interleaved_ms(
            {
                "native": lambda: encode.nearest_neighbours(coordinates, ours.centroids, ENCODING),
                "torch": lambda: torch_neighbours(xyz, centroids, ENCODING.neighbours),
            },
            seconds=seconds,
        ),
        "window_of_100k_events": interleaved_ms(
            {
                "native": lambda: native.encode_points(events, ENCODING, (128, 128)),
                "numpy": lambda: reference.encode_points(events, ENCODING, (128, 128)),
            },
            seconds=seconds,
        ),
    }
    for name, rows in results.items():
        goal = f", goal {GOALS_MS[name]:g} ms" if name in GOALS_MS else ""
        print(f"{name}: native {rows['native']['best']:.3f} ms (median {rows['native']['median']:.3f}){goal}")
        for peer in rows.keys() - {"native"}:
            ratio = rows[peer]["median"] / rows["native"]["median"]
            print(f"    {peer} {rows[peer]['best']:.2f} ms (median {rows[peer]['median']:.2f}): {ratio:.1f} times")
    print(json.dumps(record("encode", results)))


if __name__ == "__main__":
    main()
