import itertools
import json
import os
import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from meadow import SMALL, Meadow, tree

from mediagen.canvas.paint import paint
from mediagen.canvas.plan import Plan
from mediagen.canvas.render import render
from mediagen.canvas.styles import StretchStyle
from mediagen.errors import StoreError, UsageError
from mediagen.io.store import CanvasStore

ASKED = {"width": 1100, "height": 150, "x": -33, "y": -70, "seed": 3, **SMALL}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A canvas painted without disturbance, and its bytes; two levels, 18 x 3 shards, unaligned with the blocks."""
    folder = tmp_path_factory.mktemp("whole")
    report = paint(Meadow(), folder / "a.zarr", **ASKED)
    return report, tree(folder), folder


def stop_after(count):
    """Arguments that stop a painting once `count` shards are written."""
    written = []
    return {"progress": lambda *_: written.append(1), "should_stop": lambda: len(written) >= count}


def test_the_store_holds_what_render_makes(whole):
    report, _, folder = whole
    store = CanvasStore.open(folder / "a.zarr")
    pixels = store.read(0, 0, 0, 1100, 150)
    expected = render(
        Meadow(), x=-33, y=-70, width=1100, height=150, seed=3, block=(64, 64), styles=StretchStyle(3, 100, 25)
    )
    np.testing.assert_array_equal(pixels, expected)
    assert len(store.levels) == 2
    assert store.origin == (-33, -70)
    assert (folder / "a.png").is_file()
    assert report.pixels == report.pixels_painted == 1100 * 150
    assert report.shards == report.shards_written == 18 * 3
    assert report.shards_skipped == 0
    assert not report.interrupted
    assert report.pixels_computed_per_pixel_kept > 1
    json.dumps(report.to_json())


def test_the_record_says_how_to_make_it_again_and_nothing_volatile(whole):
    record = CanvasStore.open(whole[2] / "a.zarr").attributes
    text = json.dumps(record)
    assert record["command"].startswith(
        "mediagen canvas --width 1100 --height 150 --x -33 --y -70 --model Meadow --seed 3"
    )
    assert record["model"]["sha256"]
    assert {"torch", "numpy", "zarr", "mediagen", "device"} == record["made_with"].keys()
    for volatile in (str(whole[2]), str(Path.home()), os.uname().nodename, str(datetime.now(UTC).year)):
        assert volatile not in text.replace(record["model"]["sha256"], "")


def test_painting_in_pieces_gives_the_same_bytes(whole, tmp_path):
    """Stopped after every few shards and said again, until it is done."""
    runs = 0
    while True:
        report = paint(Meadow(), tmp_path / "a.zarr", **ASKED, **stop_after(7))
        runs += 1
        if not report.interrupted:
            break
        assert 7 <= report.shards_written <= 10  # units in flight are finished
        assert not list(tmp_path.glob("a.png*"))
    assert runs > 5
    assert report.shards_written + report.shards_skipped == report.shards
    assert tree(tmp_path) == whole[1]


def test_any_order_of_shards_gives_the_same_bytes(whole, tmp_path, monkeypatch):
    everything = [(iy, ix) for iy in range(3) for ix in range(18)]
    random.Random(1).shuffle(everything)
    monkeypatch.setattr(Plan, "shards", lambda self: iter(everything))
    assert paint(Meadow(), tmp_path / "a.zarr", **ASKED).shards_written == 54
    assert tree(tmp_path) == whole[1]


def test_aligned_blocks_are_painted_once(tmp_path):
    report = paint(Meadow(), tmp_path / "a.zarr", width=640, **{**SMALL, "shard": (128, 64)})
    block_ratio = Meadow().cost(Meadow.scene) / Meadow().ideal_cost(Meadow.scene)
    assert report.pixels_computed_per_pixel_kept == pytest.approx(block_ratio, abs=1e-3)


@pytest.mark.parametrize(
    "damage", ["deleted", "emptied", "truncated", "longer", "garbage", "partial", "pyramid", "overview"]
)
def test_damaged_canvases_are_mended(whole, tmp_path, damage):
    shutil.copytree(whole[2], tmp_path, dirs_exist_ok=True)
    store = CanvasStore.open(tmp_path / "a.zarr")
    file = store.shard_path(0, 1, 4)
    content = file.read_bytes()
    if damage == "deleted":
        file.unlink()
    elif damage == "partial":
        file.with_name("4.0123456789abcdef.partial").write_bytes(content[:50])
        file.unlink()
    elif damage == "pyramid":
        store.shard_path(1, 0, 3).unlink()
    elif damage == "overview":
        (tmp_path / "a.png").unlink()
        (tmp_path / "a.png.0123456789abcdef.partial").write_bytes(b"half")
    else:
        file.write_bytes(
            {"emptied": b"", "truncated": content[:-9], "longer": content + b"x", "garbage": b"x" * 99}[damage]
        )
    report = paint(Meadow(), tmp_path / "a.zarr", **ASKED)
    assert report.shards_written == (0 if damage in ("pyramid", "overview") else 1)
    assert tree(tmp_path) == whole[1]


def test_a_complete_canvas_asked_for_again_is_left_as_it_is(whole, tmp_path):
    shutil.copytree(whole[2], tmp_path, dirs_exist_ok=True)
    for resume in (False, True):
        report = paint(Meadow(), tmp_path / "a.zarr", resume=resume, **ASKED)
        assert (report.shards_written, report.shards_skipped) == (0, 54)
    assert tree(tmp_path) == whole[1]
    by_itself = paint(Meadow(), tmp_path / "a.zarr", resume=True)
    assert (by_itself.width, by_itself.shards_skipped) == (1100, 54)
    again = paint(Meadow(), tmp_path / "a.zarr", overwrite=True, **ASKED)
    assert again.shards_written == 54
    assert tree(tmp_path) == whole[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 4}, "plan.seed: was 3, now 4"),
        ({"x": -34}, "plan.canvas.x: was -33, now -34"),
        ({"block": (128, 64)}, "plan.blocks.width: was 64, now 128"),
        ({"precision": "bf16"}, "plan.precision: was fp32, now bf16"),
        ({"style_every": 0}, "plan.styles.kind: was stretch, now uniform"),
        ({"shard": (128, 64)}, "plan.shard: was"),
    ],
)
def test_another_canvas_is_neither_continued_nor_lost(whole, tmp_path, change, said):
    shutil.copytree(whole[2], tmp_path, dirs_exist_ok=True)
    CanvasStore.open(tmp_path / "a.zarr").shard_path(0, 0, 0).unlink()
    before = tree(tmp_path)
    with pytest.raises(UsageError, match=said) as caught:
        paint(Meadow(), tmp_path / "a.zarr", **{**ASKED, **change}, resume=True)
    assert "--overwrite" in str(caught.value)
    with pytest.raises(UsageError, match=said) as caught:
        paint(Meadow(), tmp_path / "a.zarr", **{**ASKED, **change})
    assert "--overwrite" in str(caught.value)
    assert "--resume" in str(caught.value)
    assert tree(tmp_path) == before


def test_another_model_is_noticed(whole, tmp_path):
    shutil.copytree(whole[2], tmp_path, dirs_exist_ok=True)
    with pytest.raises(UsageError, match=r"model\.sha256"):
        paint(Meadow(weights=1), tmp_path / "a.zarr", **ASKED, resume=True)


def test_other_versions_are_noticed(whole, tmp_path):
    shutil.copytree(whole[2], tmp_path, dirs_exist_ok=True)
    meta = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())
    meta["attributes"]["mediagen"]["made_with"]["torch"] = "1.0"
    (tmp_path / "a.zarr" / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(UsageError, match=r"made_with\.torch: was 1\.0"):
        paint(Meadow(), tmp_path / "a.zarr", **ASKED, resume=True)


def test_auto_precision_is_measured_once_and_then_read_from_the_canvas(tmp_path):
    asked = {**ASKED, "precision": "auto"}
    first = paint(Meadow(), tmp_path / "a.zarr", **asked, **stop_after(3))
    meta = tmp_path / "a.zarr" / "zarr.json"
    other = {"bf16": "fp32", "fp32": "bf16"}[first.precision]
    meta.write_text(meta.read_text().replace(f'"precision": "{first.precision}"', f'"precision": "{other}"'))
    assert paint(Meadow(), tmp_path / "a.zarr", **asked).precision == other


@pytest.mark.parametrize("kind", ["file", "folder", "link", "picture"])
def test_what_is_not_ours_is_left_alone(tmp_path, kind):
    path = tmp_path / "a.zarr"
    if kind == "file":
        path.write_text("a novel")
    elif kind == "folder":
        path.mkdir()
        (path / "novel.txt").write_text("a novel")
    elif kind == "link":
        path.symlink_to(tmp_path / "nowhere")
    else:
        (tmp_path / "a.png").write_bytes(b"a picture of mine")
    before = tree(tmp_path)
    for flags in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(StoreError, match="left alone"):
            paint(Meadow(), path, **ASKED, **flags)
    assert tree(tmp_path) == before


def test_an_empty_folder_may_become_the_canvas(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    assert paint(Meadow(), tmp_path / "a.zarr", width=64, **SMALL).shards_written == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": None}, "give a width"),
        ({"width": 0}, "width must be at least 1"),
        ({"resume": True, "overwrite": True}, "--resume .* --overwrite"),
        ({"x": 2**62 - 2000}, "the plane ends"),
        ({"seed": "seven"}, "seed must be a whole number"),
        ({"precision": "fp8"}, "there is no precision"),
        ({"workers": -1}, "workers must be at least 0"),
        ({"workers": 1, "scheduler": "tcp://x:1"}, "--workers .* --scheduler"),
        ({"style_blend": 500}, "styles that change"),
        ({"chunk": 48}, "a chunk must be even and divide"),
        ({"style_map": "nowhere.csv", "style_every": None}, "cannot read the style map"),
        ({"style_map": "nowhere.csv"}, "--style-map or --style-every"),
    ],
)
def test_requests_that_make_no_sense_leave_nothing_behind(tmp_path, changes, said):
    with pytest.raises(UsageError, match=said):
        paint(Meadow(), tmp_path / "a.zarr", **{**ASKED, **changes})
    assert tree(tmp_path) == {}


def test_a_canvas_beyond_the_disk_is_refused_before_it_is_begun(tmp_path):
    with pytest.raises(StoreError, match=r"can take up to \d.* free"):
        paint(Meadow(), tmp_path / "a.zarr", width=10**12, **SMALL)
    assert tree(tmp_path) == {}


def test_a_dry_run_writes_nothing_and_says_what_it_would_take(whole, tmp_path):
    report = paint(Meadow(), tmp_path / "a.zarr", dry_run=True, **ASKED)
    assert tree(tmp_path) == {}
    assert report.dry_run
    assert (report.pixels, report.shards, report.shards_written) == (1100 * 150, 54, 0)
    assert report.bytes_free > 0
    assert report.estimated_seconds >= 0
    used = sum(file.stat().st_size for file in whole[2].rglob("*") if file.is_file())
    assert used < report.bytes_upper_bound < 3 * 4 / 3 * 1.5 * report.pixels + 3 * report.pixels + 2**20


def test_progress_counts_pixels_up_to_all_of_them(whole, tmp_path):
    seen = []
    paint(Meadow(), tmp_path / "a.zarr", **ASKED, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (1100 * 150, 1100 * 150)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_what_a_resumed_painting_finds_is_no_measure_of_its_speed(tmp_path):
    """The first thing the meter hears is all that is there; then only what is painted."""
    first = paint(Meadow(), tmp_path / "a.zarr", **ASKED, **stop_after(30))
    seen = []
    report = paint(Meadow(), tmp_path / "a.zarr", **ASKED, progress=lambda done, total: seen.append(done))
    assert report.shards_skipped == first.shards_written >= 30
    assert seen[0] == first.pixels_painted
    assert max(b - a for a, b in itertools.pairwise(seen)) <= 64 * 64


def test_the_overview_comes_about_while_the_canvas_is_painted(tmp_path):
    """A wide canvas: bands of its picture are drawn before the last shard is painted, and none of it stays when stopped."""
    drawn, sizes = [], []

    def watch(*_):
        drawn.extend(tmp_path.glob("a.png.*.partial"))
        sizes.extend(file.stat().st_size for file in tmp_path.glob("a.png.*.partial"))

    asked = {**SMALL, "width": 1500, "height": 64, "chunk": 64}
    paint(Meadow(), tmp_path / "a.zarr", **asked, progress=watch)
    assert len(set(drawn)) == 1
    assert min(sizes) < max(sizes)
    assert [file.name for file in tmp_path.glob("*.p*")] == ["a.png"]


def test_two_processes_do_not_paint_one_canvas(tmp_path):
    paint(Meadow(), tmp_path / "a.zarr", **ASKED, **stop_after(3))
    with CanvasStore.open(tmp_path / "a.zarr", "r+").only_writer(), pytest.raises(StoreError, match="another process"):
        paint(Meadow(), tmp_path / "a.zarr", **ASKED)


def test_a_style_map_is_recorded_whole(tmp_path):
    (tmp_path / "map.csv").write_text("0,0,1\n200,0,2\n")
    asked = {**ASKED, "style_every": None, "style_map": tmp_path / "map.csv"}
    first = paint(Meadow(), tmp_path / "a.zarr", **asked, **stop_after(20))
    (tmp_path / "map.csv").write_text("0,0,1\n200,0,3\n")
    with pytest.raises(UsageError, match=r"plan\.styles\.points"):
        paint(Meadow(), tmp_path / "a.zarr", **asked)
    assert paint(Meadow(), tmp_path / "a.zarr", resume=True).shards_skipped == first.shards_written >= 20
    assert "--style-map map.csv" in CanvasStore.open(tmp_path / "a.zarr").attributes["command"]


def test_a_url_is_no_place_for_a_canvas():
    with pytest.raises(StoreError, match="local folders"):
        paint(Meadow(), "s3://bucket/a.zarr", **ASKED)
