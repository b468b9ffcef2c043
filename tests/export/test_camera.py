"""Where the camera is: smooth, through every key frame, never beyond it, exact far out."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mediagen.errors import UsageError
from mediagen.export.camera import Glide, Key, read_keys, route_through
from mediagen.export.flight import levels_for

KEYS = [Key(0, 100, 50, 1.0), Key(2, 400, 50, 0.25), Key(5, 380, 80, 0.25), Key(6, 380, 200, 4.0)]


def test_a_glide_is_even() -> None:
    poses = Glide(10.5, -3.0, (200.0, 0.0), 1.5).at(np.arange(5) / 30)
    assert np.allclose(np.diff(poses.x), 200 / 30)
    assert (poses.y == -3.0).all()
    assert (poses.zoom == 1.5).all()


def test_a_route_passes_through_its_key_frames() -> None:
    poses = route_through(KEYS, (100, 0), 0.0, 1.0).at(np.array([key.t for key in KEYS], float))
    assert np.allclose(poses.x, [0, 300, 280, 280])
    assert np.allclose(poses.y, [50, 50, 80, 200])
    assert np.allclose(poses.zoom, [1, 0.25, 0.25, 4])


def test_a_route_is_smooth_and_never_beyond_a_turning_point() -> None:
    times = np.linspace(0, 6, 6001)
    poses = route_through(KEYS, (0, 0), 0.0, 1.0).at(times)
    assert poses.x.min() >= 100
    assert poses.x.max() <= 400
    for values in (poses.x, poses.y, np.log(poses.zoom)):
        speed = np.diff(values) / np.diff(times)
        assert np.abs(np.diff(speed)).max() < 0.02 * np.abs(speed).max(), "the speed jumps"
        assert abs(speed[0]) < 0.01 * np.abs(speed).max(), "it starts with a jerk"
        assert abs(speed[-1]) < 0.01 * np.abs(speed).max(), "it stops with a jerk"


def test_it_stands_still_before_and_after() -> None:
    poses = route_through(KEYS, (0, 0), 0.0, 1.0).at(np.array([-1.0, 9.0]))
    assert poses.x.tolist() == [100, 380]


def test_far_out_whole_numbers_are_exact(tmp_path: Path) -> None:
    x = 2**60 + 1
    (tmp_path / "keys.json").write_text(json.dumps([{"t": 0, "x": x}, {"t": 1, "x": x + 2}]))
    poses = route_through(read_keys(tmp_path / "keys.json"), (2**60, 0), -7.0, 2.0).at(np.array([0.0, 1.0]))
    assert poses.x.tolist() == [1.0, 3.0]
    assert poses.y.tolist() == [-7.0, -7.0]
    assert poses.zoom.tolist() == [2.0, 2.0]


def test_csv_and_json_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "keys.csv").write_text("t,x,y,zoom\n0,10,20,\n1.5,30.5,,2\n")
    (tmp_path / "keys.json").write_text('[{"t": 0, "x": 10, "y": 20}, {"t": 1.5, "x": 30.5, "zoom": 2}]')
    assert read_keys(tmp_path / "keys.csv") == read_keys(tmp_path / "keys.json")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.csv", None, "cannot read"),
        ("a.json", "{", "no key frames"),
        ("a.json", "[]", "2 to"),
        ("a.csv", "t,x\n0,1\n", "2 to"),
        ("a.csv", "t,x\n1,1\n2,3\n", "begin at 0"),
        ("a.csv", "t,x\n0,1\n0,3\n", "increase"),
        ("a.csv", "t,y\n0,1\n1,3\n", "must have t and x"),
        ("a.csv", "t,x\n0,here\n1,3\n", "no number"),
        ("a.csv", "t,x\n0,nan\n1,3\n", "no number"),
        ("a.json", '[{"t": 0, "x": 1, "zoom": 0}, {"t": 1, "x": 2}]', "zoom"),
        ("a.csv", f"t,x\n0,{'9' * 400}\n1,3\n", "no number"),
        ("a.json", '[{"t": 0, "x": true}, {"t": 1, "x": 2}]', "no number"),
    ],
)
def test_bad_key_frames(name: str, text: str | None, said: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=said) as error:
        read_keys(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("step", [0.1, 1.0, 1.5, 1.6, 1.99, 2.0, 3.0, 4.0, 100.0])
def test_levels_have_shares_that_sum_to_one(step: float) -> None:
    chosen = levels_for(step, 12)
    assert sum(share for _, share in chosen) == pytest.approx(1)
    assert all(step / 2**level <= 2.0 for level, _ in chosen)
    assert all(level == 0 or step / 2**level >= 0.75 for level, _ in chosen)


def test_shares_do_not_jump() -> None:
    steps = np.exp(np.linspace(0, np.log(64), 4000))
    shares = np.zeros((len(steps), 12))
    for i, step in enumerate(steps):
        for level, share in levels_for(float(step), 12):
            shares[i, level] = share
    assert np.abs(np.diff(shares, axis=0)).max() < 0.01


def test_rates_that_are_no_whole_numbers() -> None:
    """Frame k lies at k / fps, without an error that grows."""
    from mediagen.export.flight import Flight

    flight = Flight(
        scenery=None, camera=Glide(0.0, 0.0, (30000.0, 0.0), 1.0), size=(32, 32), colours="rgb",  # type: ignore[arg-type]
        fps=Fraction(30000, 1001), frames=10**6,
    )  # fmt: skip
    assert flight.poses(999_999, 10**6).x[0] == pytest.approx(999_999 * 1001, abs=1e-3)
