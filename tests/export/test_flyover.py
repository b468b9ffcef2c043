"""Flights: the same pixels stored or not, in constant memory, smooth where levels change, and gone on with after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from export_parts import scene, stored
from flights import SMALL, frames_in, network

from mediagen.canvas.paint import paint
from mediagen.core.geometry import Window
from mediagen.core.resample import Resample
from mediagen.errors import StoreError, UsageError
from mediagen.export.flyover import flyover
from mediagen.inspection import inspect
from mediagen.io.store import CanvasStore
from mediagen.io.video_file import read_record

STYLES = {key: SMALL[key] for key in ("block", "precision", "style_every")}
VIEW = {key: SMALL[key] for key in ("size", "fps")}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model() -> Any:
    return network()


@pytest.fixture(scope="module")
def painted(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("painted") / "a.zarr"
    paint(model, path, width=700, x=-64, seed=3, **STYLES)
    return path


@pytest.mark.parametrize(
    "flight",
    [
        {"speed": 50},
        {"speed": 33, "direction": "left", "zoom": 1.4},
        {"speed": 7, "direction": "down", "zoom": 3.0, "y": -9},
    ],
    ids=["right", "left", "down"],
)
def test_stored_or_not_the_frames_are_the_same(flight, model, painted: Path, tmp_path: Path) -> None:
    common = {**VIEW, "seconds": 2, "x": 200, "y": 0, **flight}
    flyover(painted, tmp_path / "stored", **common)
    flyover(None, tmp_path / "plane", model=model, seed=3, **STYLES, **common)
    one, other = frames_in(tmp_path / "stored"), frames_in(tmp_path / "plane")
    assert len(one) == 20
    assert np.array_equal(one, other)
    assert np.abs(np.diff(one.astype(int), axis=0)).mean() > 0.5, "it moves"


def test_drawn_anew_as_a_canvas_is(model, painted: Path, tmp_path: Path) -> None:
    anew = (Resample(150, -20, 60, 40, 5),)
    paint(model, tmp_path / "a.zarr", width=700, x=-64, seed=3, resample=anew, **STYLES)
    common = {**VIEW, "seconds": 1, "x": 200, "y": 0, "speed": 30}
    flyover(tmp_path / "a.zarr", tmp_path / "stored", **common)
    flyover(None, tmp_path / "plane", model=model, seed=3, resample=anew, **STYLES, **common)
    flyover(painted, tmp_path / "before", **common)
    one, other, before = (frames_in(tmp_path / name) for name in ("stored", "plane", "before"))
    assert np.array_equal(one, other)
    assert (one != before).any()


def test_blocks_that_were_looked_at_are_taken_from_their_cache(model, tmp_path: Path) -> None:
    from mediagen.canvas.cache import BlockCache, Scene, setting_of
    from mediagen.canvas.plan import grid_of
    from mediagen.canvas.setup import styles_of
    from mediagen.io.blocks import BlockFiles

    grid, red = grid_of(model, *STYLES["block"]), np.array([200, 30, 30], np.uint8)
    cache = BlockCache(BlockFiles(tmp_path / "cache", 10**8), setting_of(model, grid, "fp32", torch.device("cpu")))
    scene = Scene(seed=3, styles=styles_of(3, STYLES["style_every"], None, None, None))
    home = Window(100, model.scene.y, 200, model.scene.height)
    for index in grid.over(home):
        cache.write(scene, index, np.broadcast_to(red, (grid.height, grid.width, 3)).copy())
    assert STYLES["precision"] == "fp32"
    flyover(None, tmp_path / "a", model=model, seed=3, cache=tmp_path / "cache", seconds=1, x=200, y=0, speed=10,
            **STYLES, **VIEW)  # fmt: skip
    assert (frames_in(tmp_path / "a") == red).all()


def test_zoomed_out_too(model, tmp_path: Path) -> None:
    """The pyramid of the store and the halved plane agree where they lie on one lattice."""
    wide = {"width": 1100, "x": 0, "y": -64, "height": 128, "seed": 3}
    paint(model, tmp_path / "a.zarr", **wide, **STYLES)
    common = {**VIEW, "seconds": 1, "x": 500, "y": 0, "zoom": 0.42, "speed": 60}
    flyover(tmp_path / "a.zarr", tmp_path / "stored", **common)
    flyover(None, tmp_path / "plane", model=model, seed=3, **STYLES, **common)
    assert np.array_equal(frames_in(tmp_path / "stored"), frames_in(tmp_path / "plane"))


def test_a_frame_is_the_canvas_where_pixels_meet(painted: Path, tmp_path: Path) -> None:
    """At zoom 1 and whole pixels the filter leaves the picture almost as it is, and in place."""
    flyover(painted, tmp_path / "a", size=(64, 32), fps=10, seconds=0.3, speed=10, x=100, y=0, zoom=1.0)
    store = CanvasStore.open(painted)
    y = -16 - store.origin[1]
    for k, frame in enumerate(frames_in(tmp_path / "a")):
        there = store.read(0, 100 - 32 + k + 64, y, 64, 32).astype(int)
        errors = [np.abs(np.roll(there, dx, axis=1)[:, 4:-4] - frame[:, 4:-4]).mean() for dx in (-1, 0, 1)]
        assert int(np.argmin(errors)) == 1


def test_an_mp4_is_as_it_was_asked_for(model, tmp_path: Path) -> None:
    report = flyover(None, tmp_path / "a.mp4", model=model, seconds=3.5, x=10**12, **SMALL)
    with av.open(str(tmp_path / "a.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.width, stream.height, float(stream.average_rate)) == (64, 32, 10.0)
        assert sum(1 for _ in file.decode(stream)) == 35 == report.frames
    said = inspect(tmp_path / "a.mp4", deep=True)
    assert said["healthy"]
    assert said["complete"]
    assert "--x 1000000000000" in said["made"]["command"]


def test_planes_and_pixels_make_the_same_clip(model, tmp_path: Path) -> None:
    """What is handed to the coder as its own planes looks like what it would have made of pixels itself."""
    common = {**SMALL, "model": model, "seconds": 1, "speed": 20}
    flyover(None, tmp_path / "planes.mp4", crf=0, **common)
    flyover(None, tmp_path / "pixels", **common)
    with av.open(str(tmp_path / "planes.mp4")) as file:
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
    luma = np.array([0.2126, 0.7152, 0.0722])
    assert np.abs((decoded - frames_in(tmp_path / "pixels").astype(float)) @ luma).mean() < 2.5


def test_a_zoom_through_the_levels_has_no_jump(tmp_path: Path) -> None:
    """Zooming out at an even pace over a still picture, no frame differs more from the next than its neighbours do."""
    store = stored(tmp_path / "a.zarr", scene(2600, 1400), origin=(0, 0))
    keys = [{"t": 0, "x": 1300, "y": 700, "zoom": 0.9}, {"t": 6, "x": 1300, "y": 700, "zoom": 0.15}]
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    report = flyover(store, tmp_path / "a", size=(256, 160), fps=30, keys=tmp_path / "keys.json")
    frames = frames_in(tmp_path / "a").astype(float)
    assert report.frames == len(frames) == 181
    change = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
    around = np.array([np.median(change[max(0, i - 6) : i + 7]) for i in range(len(change))])
    assert (change[10:-10] < 1.25 * around[10:-10]).all()


def content(path: Path) -> bytes:
    return path.read_bytes()


def test_stopped_and_gone_on_with(model, tmp_path: Path) -> None:
    common = {**SMALL, "model": model, "seconds": 20, "speed": 40}
    flyover(None, tmp_path / "whole" / "a.mp4", **common)
    told: list[int] = []
    report = flyover(None, tmp_path / "a.mp4", progress=lambda done, _: told.append(done), should_stop=lambda: len(told) > 3,
                     **common)  # fmt: skip
    assert report.interrupted
    assert 0 < report.frames_made < 200
    report = flyover(None, tmp_path / "a.mp4", **common)
    assert report.frames_kept > 0
    assert content(tmp_path / "a.mp4") == content(tmp_path / "whole" / "a.mp4")
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "whole"}


def test_killed_and_gone_on_with(tmp_path: Path) -> None:
    words = [sys.executable, str(Path(__file__).with_name("flights.py")), str(tmp_path / "a.mp4")]
    child = subprocess.Popen([*words, "0.3"])
    part, deadline = tmp_path / "a.part.mp4", time.monotonic() + 100
    while (not part.exists() or part.stat().st_size < 12_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    assert part.exists(), "there was nothing to kill"
    with av.open(str(part)) as file:
        assert sum(1 for _ in file.decode(video=0)) > 0
    subprocess.run([*words, "0"], check=True, timeout=120)
    subprocess.run([*words[:2], str(tmp_path / "whole" / "a.mp4"), "0"], check=True, timeout=120)
    assert content(tmp_path / "a.mp4") == content(tmp_path / "whole" / "a.mp4")


def test_memory_does_not_grow_with_the_length(model, tmp_path: Path) -> None:
    """Blocks behind the camera are let go: as many are kept after a long flight as after a short one."""
    from mediagen.canvas.render import BlockSource

    kept: list[int] = []
    before = BlockSource.window

    def watched(self, *arguments):
        out = before(self, *arguments)
        kept.append(len(self._finished) + len(self._started))
        return out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BlockSource, "window", watched)
        flyover(None, tmp_path / "a.mp4", model=model, seconds=60, speed=400, **SMALL)
    assert max(kept) < 30
    assert max(kept[len(kept) // 2 :]) <= max(kept[: len(kept) // 2])


def test_blocks_are_painted_once(model, tmp_path: Path) -> None:
    from mediagen.canvas.render import BlockSource

    painted = []
    before = BlockSource._start

    def watched(self, index):
        if index not in self._started:
            painted.append(index)
        before(self, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BlockSource, "_start", watched)
        flyover(None, tmp_path / "a.mp4", model=model, seconds=20, speed=100, **SMALL)
    assert len(painted) == len(set(painted)) > 20


WRONG = {
    "too long": ({"seconds": 20}, UsageError, r"12\.1 seconds fit"),
    "too much": ({"zoom": 0.5, "seconds": 1}, UsageError, "raise the zoom to 0.97"),
    "elsewhere": ({"x": 9, "y": 400, "seconds": 1}, UsageError, r"start elsewhere \(--x, --y\)"),
    "no speed": ({"speed": 0}, UsageError, "--speed"),
    "no zoom": ({"zoom": -1}, UsageError, "--zoom"),
    "no time": ({"seconds": 0}, UsageError, "--seconds"),
    "small": ({"size": (1, 1)}, UsageError, "at least 16"),
    "a rate": ({"fps": 0}, UsageError, "--fps"),
    "two sources": ({"model": "infinitygan"}, UsageError, "not both"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_what_is_refused(wrong, painted: Path, tmp_path: Path) -> None:
    options, kind, said = wrong
    with pytest.raises(kind, match=said) as error:
        flyover(painted, tmp_path / "a.mp4", **{**VIEW, "speed": 53, **options})
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_as_long_as_the_canvas_goes_on(painted: Path, tmp_path: Path) -> None:
    report = flyover(painted, tmp_path / "a.mp4", speed=53, **VIEW)
    assert report.duration == pytest.approx(636 / 53, abs=0.11)


def test_too_much_of_an_unpainted_plane(model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="paint a canvas first"):
        flyover(None, tmp_path / "a.mp4", model=model, **{**SMALL, "size": (1280, 720), "zoom": 0.1})


def test_an_unpainted_canvas(tmp_path: Path) -> None:
    store = stored(tmp_path / "half.zarr", scene(1500, 300), leave_out=((0, 1),), origin=(0, 0))
    with pytest.raises(StoreError, match=r"near x = 512, y = 0; finish it with `mediagen canvas half.zarr --resume`"):
        flyover(store, tmp_path / "a.mp4", size=(64, 32))
    flyover(store, tmp_path / "a.mp4", size=(64, 32), x=1200, seconds=0.5)


def test_the_record_is_enough(painted: Path, tmp_path: Path) -> None:
    flyover(painted, tmp_path / "a.mp4", seconds=1, **VIEW)
    record = read_record(tmp_path / "a.mp4")
    assert record is not None
    assert record["canvas"]["plan"]["seed"] == 3
    assert record["command"].startswith(
        "mediagen flyover a.zarr a.mp4 --speed 200 --direction right --zoom 1 --seconds 1"
    )
    assert str(tmp_path) not in json.dumps(record)
