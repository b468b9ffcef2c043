import json
from dataclasses import replace

import pytest
from meadow import Meadow

from mediagen.canvas.plan import BlockGrid, Plan, block_sizes, choose_block, choose_shard, grid_of
from mediagen.core.geometry import Lattice, Window


def a_plan(**changes):
    plan = Plan(
        canvas=Window(-5, -40, 1000, 90), blocks=BlockGrid(0, -32, 64, 64), shard=(128, 64), chunk=32, levels=2,
        precision="fp32", compiled=False, seed=1, structure_seed=None,
        styles={"kind": "uniform", "seed": 1, "texture_seed": None},
    )  # fmt: skip
    return replace(plan, **changes)


def test_shards_cover_the_canvas_once():
    plan = a_plan(canvas=Window(-5, -40, 1000, 1300))
    shards = list(plan.shards())
    rows, columns = plan.grid
    assert sorted(shards) == [(iy, ix) for iy in range(rows) for ix in range(columns)]
    windows = [plan.shard_window(*shard) for shard in shards]
    assert sum(window.area for window in windows) == plan.canvas.area
    assert all(plan.canvas.contains(window) for window in windows)


def test_walking_through_a_huge_plan_needs_no_list():
    plan = a_plan(canvas=Window(0, 0, 10**12, 10**12))
    assert next(plan.shards()) == (0, 0)


@pytest.mark.parametrize("window", [Window(0, -32, 64, 64), Window(1, -33, 64, 64), Window(-(10**14) + 3, 5, 200, 300)])
def test_blocks_over_a_window(window):
    grid = BlockGrid(0, -32, 64, 64)
    indices = list(grid.over(window))
    assert len(indices) == len(set(indices)) == grid.count(window)
    pieces = [grid.block(*index).meet(window) for index in indices]
    assert sum(piece.area for piece in pieces) == window.area


def test_a_plan_survives_json():
    plan = a_plan()
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_aligned_canvases_keep_no_blocks():
    assert a_plan(canvas=Window(128, -32, 640, 64)).blocks_kept() == 0
    assert a_plan(canvas=Window(130, -32, 640, 64)).blocks_kept() > 0
    huge = a_plan(canvas=Window(130, -32, 10**9, 10**9)).blocks_kept()
    assert huge == a_plan(canvas=Window(130, -32, 10**6, 10**6)).blocks_kept() < 100


def test_blocks_lie_on_the_lattice_and_begin_with_the_scene():
    model = Meadow()
    grid = grid_of(model, 64, 32)
    assert (grid.x, grid.y) == (0, -32)
    model.lattice, model.scene = Lattice(16, 3, 5), Window(0, -30, 64, 64)
    grid = grid_of(model, 64, 32)
    assert (grid.x - 3) % 16 == 0
    assert (grid.y - 5) % 16 == 0
    assert grid.y <= -30 < grid.y + 16
    for width, height in block_sizes(model):
        assert width % 16 == height % 16 == 0
    # The tallest block covers the scene in one row.
    tallest = max(height for _, height in block_sizes(model))
    assert grid_of(model, 64, tallest).block(0, 0).bottom >= -30 + 64


def test_more_memory_wastes_less():
    model = Meadow()
    assert choose_block(model, "fp32", 1000) is None
    little = choose_block(model, "fp32", 2 * model.memory(Window(0, 0, 128, 64), "fp32"))
    much = choose_block(model, "fp32", 10**10)
    assert little == (128, 64)
    assert much == (2048, 64)
    assert model.memory(Window(0, 0, *little), "fp32") < model.memory(Window(0, 0, *much), "fp32")


@pytest.mark.parametrize("block", [(2048, 512), (1024, 256), (64, 64), (272, 272), (4096, 1024)])
def test_shards_hold_whole_chunks(block):
    width, height = choose_shard(block, 256)
    assert width % 256 == height % 256 == 0
    if block == (2048, 512):
        assert (width, height) == block
