"""Blocks painted earlier: what their names depend on, and canvases made of them."""

import numpy as np
import pytest
import torch
from meadow import SMALL, Meadow, tree

from mediagen.canvas.cache import BlockCache, Scene, block_name, known_blocks, place_of, precision_in, setting_of
from mediagen.canvas.paint import paint
from mediagen.canvas.plan import Plan, grid_of
from mediagen.canvas.render import render
from mediagen.canvas.styles import CentreStyle, StretchStyle, UniformStyle
from mediagen.canvas.target import plan_of
from mediagen.core.geometry import Window
from mediagen.core.resample import Resample
from mediagen.core.styles import Centre
from mediagen.errors import UsageError
from mediagen.io.blocks import BlockFiles
from mediagen.io.store import CanvasStore

CPU = torch.device("cpu")
AREA = [(bx, by) for by in range(-1, 2) for bx in range(-3, 9)]


def setting(model: Meadow | None = None, side: int = 64, precision: str = "fp32"):
    model = model or Meadow()
    return setting_of(model, grid_of(model, side, side), precision, CPU)


def names(scene: Scene, where=None) -> dict:
    where = where or setting()
    return {index: block_name(where, scene, index) for index in AREA}


def picture(scene: Scene, index) -> np.ndarray:
    from mediagen.canvas.render import draw_fields

    where = setting()
    window = where.blocks.block(*index)
    fields = draw_fields(where.model, window, scene.seed, scene.structure_seed, scene.resample)
    return where.model.painter(scene.styles, device=CPU, precision="fp32").paint([window], [fields])[0]


PLAIN = Scene(seed=1, styles=StretchStyle(1, 100, 25))
CENTRES = (Centre(-50.0, 0.0, 3), Centre(130.0, 20.0, 4), Centre(420.0, -30.0, 5))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PLAIN, Scene(seed=1, styles=PLAIN.styles, resample=(Resample(140, 0, 12, 12, 9),))),
        (Scene(seed=1, styles=StretchStyle(1, 300, 25)), Scene(seed=1, styles=StretchStyle(1, 300, 60))),
        (Scene(seed=1, styles=CentreStyle(CENTRES, 31)),
         Scene(seed=1, styles=CentreStyle((*CENTRES[:2], Centre(400.0, -30.0, 5)), 31))),
        (Scene(seed=1, styles=CentreStyle(CENTRES, 31)), Scene(seed=1, styles=CentreStyle(CENTRES[:2], 31))),
    ],
    ids=["resample", "blend", "moved", "removed"],
)  # fmt: skip
def test_a_change_renames_the_blocks_it_can_touch_and_no_far_ones(one, other):
    before, after = names(one), names(other)
    kept = [index for index in AREA if before[index] == after[index]]
    assert 0 < len(kept) < len(AREA)
    for index in AREA:
        if index in kept:
            np.testing.assert_array_equal(picture(one, index), picture(other, index))
    changed = [index for index in AREA if index not in kept]
    assert any((picture(one, index) != picture(other, index)).any() for index in changed)


def test_resampling_renames_exactly_the_blocks_whose_latents_it_touches():
    other = Scene(seed=1, styles=PLAIN.styles, resample=(Resample(140, 0, 12, 12, 9),))
    before, after = names(PLAIN), names(other)
    for index in AREA:
        same = (picture(PLAIN, index) == picture(other, index)).all()
        assert same == (before[index] == after[index]), index


def test_whatever_decides_pixels_is_in_the_name():
    every = [
        PLAIN,
        Scene(seed=2, styles=PLAIN.styles),
        Scene(seed=1, styles=PLAIN.styles, structure_seed=5),
        Scene(seed=1, styles=StretchStyle(1, 100, 25, texture_seed=6)),
        Scene(seed=1, styles=UniformStyle(1)),
    ]
    found = [names(scene)[3, 0] for scene in every]
    assert len(set(found)) == len(found)
    wheres = [setting(), setting(Meadow(weights=4)), setting(side=32), setting(precision="bf16")]
    assert len({where.name for where in wheres}) == len(wheres)
    assert len({block_name(where, PLAIN, (3, 0)) for where in wheres}) == len(wheres)
    assert setting().name == setting().name


def test_equal_pixels_share_a_name_where_it_is_easy_to_see():
    assert names(PLAIN)[2, 0] == names(Scene(seed=1, styles=PLAIN.styles, structure_seed=1))[2, 0]
    alone = Scene(seed=1, styles=CentreStyle((Centre(3.0, 4.0, 8),), 31))
    assert names(alone) == names(Scene(seed=1, styles=UniformStyle(8)))


def test_a_name_begins_with_its_place():
    for index, name in names(PLAIN).items():
        assert place_of(name) == index
    far = (-(10**13), 10**13)
    assert place_of(block_name(setting(), PLAIN, far)) == far


ARGUMENTS = {"width": 300, "height": 100, "x": -20, "y": -40, "seed": 1, **SMALL}


def fill(folder, scene: Scene, indices, arguments=SMALL) -> None:
    where = setting()
    cache = BlockCache(BlockFiles(folder, 10**8), where)
    for index in indices:
        cache.write(scene, index, picture(scene, index))


@pytest.mark.parametrize("anew", [(), (Resample(30, 0, 40, 30, 9),)], ids=["plain", "resample"])
def test_a_canvas_made_with_a_cache_is_the_same_canvas(tmp_path, anew):
    plain = paint(Meadow(), tmp_path / "a" / "c.zarr", **ARGUMENTS, resample=anew)
    assert plain.blocks_from_cache == 0
    scene = Scene.of(plan_of(CanvasStore.open(tmp_path / "a" / "c.zarr")))
    assert scene.resample == anew
    grid = setting().blocks
    indices = list(grid.over(Window(-20, -40, 300, 100)))
    fill(tmp_path / "cache", scene, indices[::2])
    cached = paint(Meadow(), tmp_path / "b" / "c.zarr", **ARGUMENTS, resample=anew, cache=tmp_path / "cache")
    assert cached.blocks_from_cache == len(indices[::2])
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_the_cache_s_pixels_are_really_taken_and_damaged_ones_are_not(tmp_path):
    scene = Scene(seed=1, styles=StretchStyle(1, 100, 25))
    cache = BlockCache(BlockFiles(tmp_path / "cache", 10**8), setting())
    for index in ((0, 0), (1, 0)):
        cache.write(scene, index, np.full((64, 64, 3), 77, np.uint8))
    name = block_name(cache.setting, scene, (1, 0))
    path = tmp_path / "cache" / cache.setting.name / name
    path.write_bytes(path.read_bytes()[:-3])
    paint(Meadow(), tmp_path / "c.zarr", width=128, x=0, y=-32, height=64, seed=1, **SMALL, cache=tmp_path / "cache")
    pixels = CanvasStore.open(tmp_path / "c.zarr").read(0, 0, 0, 128, 64)
    assert (pixels[:, :64] == 77).all()
    np.testing.assert_array_equal(pixels[:, 64:], picture(scene, (1, 0)))


def test_blocks_of_another_version_are_not_found(tmp_path, monkeypatch):
    fill(tmp_path / "cache", PLAIN, [(0, 0)])
    plan = plan_of_meadow(tmp_path)
    assert known_blocks(tmp_path / "cache", plan, Meadow(), CPU)((0, 0)) is not None
    monkeypatch.setattr("mediagen.canvas.cache.made_with", lambda *_: {"mediagen": "9.9"})
    assert known_blocks(tmp_path / "cache", plan, Meadow(), CPU)((0, 0)) is None


def plan_of_meadow(tmp_path) -> Plan:
    paint(Meadow(), tmp_path / "p.zarr", width=64, **{**SMALL, "style_every": 100}, seed=1)
    return plan_of(CanvasStore.open(tmp_path / "p.zarr"))


def test_no_cache_at_all_finds_nothing_and_makes_nothing(tmp_path):
    plan = plan_of_meadow(tmp_path)
    assert known_blocks(None, plan, Meadow(), CPU)((0, 0)) is None
    assert known_blocks(tmp_path / "nowhere", plan, Meadow(), CPU)((0, 0)) is None
    assert not (tmp_path / "nowhere").exists()


def test_auto_takes_the_format_of_the_blocks_that_are_there(tmp_path):
    assert precision_in(tmp_path / "cache", Meadow(), CPU) is None
    model = Meadow()
    where = setting_of(model, grid_of(model, 64, 64), "bf16", CPU)
    BlockCache(BlockFiles(tmp_path / "cache", 10**8), where).write(PLAIN, (0, 0), np.zeros((64, 64, 3), np.uint8))
    assert precision_in(tmp_path / "cache", Meadow(), CPU) == "bf16"
    assert precision_in(tmp_path / "cache", Meadow(weights=3), CPU) is None
    report = paint(Meadow(), tmp_path / "c.zarr", width=64, **{**SMALL, "precision": "auto"}, cache=tmp_path / "cache")
    assert report.precision == "bf16"


def test_render_and_paint_agree_on_resampling_and_record_it(tmp_path):
    anew = (Resample(30, 0, 40, 30, 9), Resample(50, -20, 10, 30, 10))
    shared = {"width": 150, "height": 60, "seed": 1, "style_every": 100, "block": (64, 64)}
    paint(Meadow(), tmp_path / "c.zarr", **shared, shard=(64, 64), chunk=32, precision="fp32", resample=anew)
    store = CanvasStore.open(tmp_path / "c.zarr")
    plain, changed = render(Meadow(), **shared), render(Meadow(), **shared, resample=anew)
    np.testing.assert_array_equal(store.read(0, 0, 0, 150, 60), changed)
    assert 0 < (plain != changed).any(axis=2).mean() < 0.9
    assert plan_of(store).resample == anew
    assert "--resample 30,0,40,30,9 --resample 50,-20,10,30,10" in store.attributes["command"]


def test_a_plain_canvas_does_not_speak_of_resampling(tmp_path):
    paint(Meadow(), tmp_path / "c.zarr", width=64, **SMALL)
    record = CanvasStore.open(tmp_path / "c.zarr").attributes
    assert "resample" not in record["plan"]
    assert "resample" not in record["options"]


@pytest.mark.parametrize(
    ("anew", "message"),
    [
        ((Resample(0, 0, 0, 5, 1),), "at least 1"),
        ((Resample(2**62, 0, 5, 5, 1),), "the plane ends"),
        ((Resample(0, 0, 5, 5, 1),) * 1001, "at most 1000"),
    ],
)
def test_bad_rectangles_are_refused(anew, message):
    with pytest.raises(UsageError, match=message):
        render(Meadow(), width=10, resample=anew)


def test_a_model_without_local_latents_cannot_be_resampled():
    class Bare(Meadow):
        cell = None

    with pytest.raises(UsageError, match="no local latents"):
        render(Bare(), width=10, resample=(Resample(0, 0, 5, 5, 1),))
