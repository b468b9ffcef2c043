"""What can be flown over, before the first frame: its extent, what it says of its making, and how it becomes scenery."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import Any

from mediagen.canvas import styles as style_maps
from mediagen.canvas.cache import known_blocks, precision_in
from mediagen.canvas.memory import as_bytes
from mediagen.canvas.paint import resolved_options
from mediagen.canvas.plan import CHUNK, Plan, choose_shard, grid_of
from mediagen.canvas.render import BlockSource
from mediagen.canvas.setup import LIBRARIES, MARGIN, MEMORY, as_model, block_of, lanes, resampled, styles_of
from mediagen.canvas.warmup import settle_precision
from mediagen.core.geometry import PLANE_LIMIT, Window
from mediagen.core.resample import Resample
from mediagen.export.scenery import CanvasScenery, PlaneScenery, Scenery, anchor_near
from mediagen.io.store import CanvasStore
from mediagen.machine import device_of, identity, made_with, whole

DEFAULT_MODEL = "infinitygan"


@dataclass(frozen=True)
class Extent:
    """What a flight sees of the plane in all, in pixels, and the most that a single frame sees."""

    left: float
    top: float
    right: float
    bottom: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Ground:
    """`home` is what a camera starts at and should fit into a frame; `limits` is all that there is.

    `over` is what decides the pixels, `about` what else is recorded, `options` the command's own. `open` makes the scenery.
    """

    name: str
    stored: bool
    home: Window
    limits: Window
    anchor: tuple[int, int]
    model: dict[str, str]
    over: dict[str, Any]
    about: dict[str, Any]
    options: dict[str, Any]
    made_with: dict[str, str]
    open: Callable[[Extent], AbstractContextManager[Scenery]]


@dataclass(frozen=True, kw_only=True)
class PlaneWish:
    """Which plane, as the command line says it, and how to paint it."""

    model: Any = None
    seed: int = 0
    structure_seed: int | None = None
    texture_seed: int | None = None
    style_every: int | None = None
    style_blend: int | None = None
    style_map: str | Path | None = None
    resample: tuple[Resample, ...] = ()
    memory: str | int = MEMORY
    block: tuple[int, int] | None = None
    precision: str = "auto"
    device: str | None = "auto"
    cache: str | Path | None = None


def canvas_ground(store: CanvasStore) -> Ground:
    """A stored canvas."""

    @contextmanager
    def open_(extent: Extent) -> Iterator[Scenery]:
        yield CanvasScenery(store)

    digest = sha256(dumps(store.attributes, sort_keys=True).encode()).hexdigest()
    return Ground(
        name=store.path.name, stored=True, home=store.area, limits=store.area, anchor=store.origin,
        model=dict(store.attributes.get("model", {})), over={"canvas": digest}, about={"canvas": store.attributes},
        options={}, made_with=made_with(device_of("cpu"), "numpy", "av", "pillow"), open=open_,
    )  # fmt: skip


def plane_ground(wish: PlaneWish, x: int, recorded: str | None) -> Ground:
    """The plane near `x`; `recorded` is the number format of a clip that is gone on with. Raises MediagenError."""
    named = DEFAULT_MODEL if wish.model is None else wish.model
    model, where = as_model(named), device_of(wish.device)
    seed, structure, texture = (
        None if value is None else whole(name, value)
        for name, value in (
            ("seed", wish.seed), ("structure_seed", wish.structure_seed), ("texture_seed", wish.texture_seed)
        )
    )  # fmt: skip
    assert seed is not None
    styles = styles_of(seed, wish.style_every, wish.style_blend, wish.style_map, texture)
    folder, rectangles = None if wish.cache is None else Path(wish.cache), resampled(model, wish.resample)

    def there() -> str | None:
        return recorded or (None if folder is None else precision_in(folder, model, where))

    precision = settle_precision(model, styles, where, wish.precision, there)
    sides = block_of(model, precision, wish.memory, wish.block, where)
    grid, scene = grid_of(model, *sides), model.scene
    # The plan of a canvas has all that decides the plane's pixels, and a canvas besides, which is left out again.
    plan = Plan(
        canvas=scene, blocks=grid, shard=choose_shard(sides, CHUNK), chunk=CHUNK, levels=1, precision=precision,
        compiled=False, seed=seed, structure_seed=structure, styles=style_maps.to_json(styles), resample=rectangles,
    )  # fmt: skip
    decisive = ("blocks", "precision", "seed", "structure_seed", "styles", "resample")
    budget = as_bytes(wish.memory)
    anchor = anchor_near(x, scene.y)

    @contextmanager
    def open_(extent: Extent) -> Iterator[Scenery]:
        count = lanes(model, grid.block(0, 0), precision, where, budget)
        painters = [model.painter(styles, device=where, precision=precision) for _ in range(count)]
        across, down = int(extent.width) // sides[0] + 4, int(extent.height) // sides[1] + 4
        source = BlockSource(
            model, painters, grid, seed=seed, structure_seed=structure, resample=rectangles, keep=across * down,
            known=known_blocks(folder, plan, model, where),
        )  # fmt: skip
        with source:
            yield PlaneScenery(source, anchor, _seen(extent, scene, _limits(model)))

    return Ground(
        name=identity(model)["name"], stored=False, home=Window(0, scene.y, scene.width, scene.height),
        limits=_limits(model), anchor=anchor, model=identity(model),
        over={key: value for key, value in plan.to_json().items() if key in decisive}, about={},
        options={"model": identity(model)["name"], **resolved_options(plan, wish.style_map, wish.memory, wish.block)},
        made_with=made_with(where, *LIBRARIES, "av", "pillow"), open=open_,
    )  # fmt: skip


def _limits(model: Any) -> Window:
    """All of a model's plane: a photograph's has only some rows."""
    end, rows = PLANE_LIMIT - MARGIN, getattr(model, "rows", None)
    return Window(-end, -end, 2 * end, 2 * end) if rows is None else Window(-end, rows.start, 2 * end, len(rows))


def _seen(extent: Extent, scene: Window, limits: Window) -> Window:
    """What of the plane is painted: a flight within the scene's rows does not ask for the blocks above and below them."""
    inside = scene.y <= extent.top + 1e-3 and extent.bottom - 1e-3 <= scene.bottom
    return Window(limits.x, scene.y, limits.width, scene.height) if inside else limits
