"""Simulated gestures: sound arms, the right side and direction of motion, the same bytes for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesnn.errors import UsageError
from edgesnn.events.simulator.__main__ import clip_seed, main, mirror
from edgesnn.events.simulator.body import LEFT, RIGHT, Body
from edgesnn.events.simulator.clips import draw_body, simulate_gesture, simulate_session
from edgesnn.events.simulator.gestures import GESTURES, rest
from edgesnn.events.simulator.pixels import CameraParameters
from tests.files import written

CLEAN = CameraParameters(threshold_on=0.15, threshold_off=0.15)
TIMES = np.arange(0.0, 3.0, 0.01)


def motion_of(name: str, seed: int) -> tuple[np.ndarray, Body]:
    """Return (pose [n, 2, 3, 3], body) of one performer."""
    rng = np.random.default_rng(seed)
    body = draw_body(rng)
    return GESTURES.get(name, rest)(rng, body)(TIMES), body


@pytest.mark.parametrize("name", [*GESTURES, "rest"])
@pytest.mark.parametrize("seed", range(4))
def test_arms_keep_their_lengths_and_do_not_jump(name: str, seed: int) -> None:
    pose, body = motion_of(name, seed)
    assert pose.shape == (len(TIMES), 2, 3, 3)
    np.testing.assert_allclose(np.linalg.norm(pose[:, :, 1] - pose[:, :, 0], axis=-1), body.upper_arm, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(pose[:, :, 2] - pose[:, :, 1], axis=-1), body.forearm, atol=1e-6)
    assert np.abs(np.diff(pose, axis=0)).max() < 0.45


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("name", "arm", "turn"),
    [
        ("right_arm_clockwise", RIGHT, -1),
        ("right_arm_counter_clockwise", RIGHT, 1),
        ("left_arm_clockwise", LEFT, -1),
        ("left_arm_counter_clockwise", LEFT, 1),
    ],
)
def test_circles_turn_the_way_their_name_says_from_the_persons_view(name: str, arm: int, turn: int, seed: int) -> None:
    """With y down, a positive swept area is clockwise in the image, which is counter-clockwise for the person."""
    pose, _ = motion_of(name, seed)
    path = pose[:, arm, 2, :2] - pose[:, arm, 2, :2].mean(axis=0)
    swept = path[:-1, 0] * path[1:, 1] - path[:-1, 1] * path[1:, 0]
    assert np.sign(swept.sum()) == turn
    still = pose[:, 1 - arm, 2]
    assert np.ptp(still, axis=0).max() < 0.2 * np.ptp(path, axis=0).max()


@pytest.mark.parametrize(("name", "arm"), [("right_hand_wave", RIGHT), ("left_hand_wave", LEFT)])
def test_a_wave_moves_its_own_hand_above_the_elbow(name: str, arm: int) -> None:
    for seed in range(6):
        pose, _ = motion_of(name, seed)
        assert (pose[:, arm, 2, 1] < pose[:, arm, 1, 1]).mean() > 0.9
        assert np.ptp(pose[:, arm, 2, 0]) > 3 * np.ptp(pose[:, 1 - arm, 2, 0])


def test_a_persons_right_hand_is_at_the_images_left() -> None:
    for seed in range(3):
        right = simulate_gesture("right_hand_wave", seed, 400_000, camera=CLEAN).events
        left = simulate_gesture("left_hand_wave", seed, 400_000, camera=CLEAN).events
        assert np.median(right["x"]) < np.median(left["x"])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = (simulate_gesture("arm_roll", seed, 200_000).events for seed in (11, 11, 12))
    assert len(first) > 500
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_events_are_sorted_and_inside_the_sensor() -> None:
    clip = simulate_gesture("air_drums", 5, 300_000)
    assert (np.diff(clip.events["t"]) >= 0).all()
    assert clip.events["x"].max() < clip.sensor[0]
    assert clip.events["y"].max() < clip.sensor[1]
    assert set(np.unique(clip.events["p"])) == {0, 1}


def test_rest_is_quieter_than_any_gesture() -> None:
    for seed in range(2):
        quiet = len(simulate_gesture("rest", seed, 400_000, camera=CLEAN).events)
        for name in ("hand_clap", "right_arm_clockwise", "air_drums"):
            assert len(simulate_gesture(name, seed, 400_000, camera=CLEAN).events) > 2 * quiet


def test_a_session_says_what_happens_when() -> None:
    clip = simulate_session([("rest", 200_000), ("hand_clap", 300_000)], 4)
    assert clip.labels == ((0, 200_000, "rest"), (200_000, 500_000, "hand_clap"))
    assert clip.duration_us == 500_000


def test_a_still_person_gives_no_event() -> None:
    assert len(simulate_session([("still", 300_000)], 4, camera=CLEAN).events) == 0


def test_a_mirrored_clip_goes_to_the_class_that_it_shows(tmp_path: Path) -> None:
    command = ["--out", str(tmp_path), "--classes", "3,9", "--duration", "60ms", "--mirrored"]
    assert main(command) == 0
    files = sorted(str(path.relative_to(tmp_path / "train")) for path in tmp_path.rglob("*.raw"))
    assert files == [
        "air_guitar/0000.raw",
        "left_arm_counter_clockwise/0000_m.raw",
        "right_arm_clockwise/0000.raw",
    ]
    direct = simulate_gesture("right_arm_clockwise", clip_seed(0, "train", 3, 0), 60_000)
    flipped = mirror(direct).events
    np.testing.assert_array_equal(flipped["x"].astype(int) + direct.events["x"], 127)
    words = written("evt3", flipped, (128, 128), t_end_us=60_000)[1]
    assert len(words) > 1000
    assert (tmp_path / "train" / files[1]).read_bytes().endswith(words)


def test_unknown_gestures_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown gesture"):
        simulate_gesture("moon_walk", 1)


def test_the_command_writes_folders_of_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--out", str(tmp_path), "--classes", "0,air_guitar", "--split", "test", "--duration", "100ms"]
    assert main(arguments) == 0
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.raw"))
    assert files == ["test/air_guitar/0000.raw", "test/hand_clap/0000.raw"]
    assert main([*arguments, "--classes", "17"]) == 2
    assert "unknown class" in capsys.readouterr().err
