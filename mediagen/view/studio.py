"""Opens the plane of a model for looking at: loads it, settles its format and blocks as a canvas would, warms up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from mediagen.canvas.cache import BlockCache, Scene, default_folder, precision_in, setting_of
from mediagen.canvas.memory import as_bytes
from mediagen.canvas.plan import grid_of
from mediagen.canvas.setup import as_model, block_of, lanes, on_rows, resampled, styles_of
from mediagen.canvas.styles import StretchStyle
from mediagen.canvas.warmup import settle_precision
from mediagen.core.geometry import Window
from mediagen.io.blocks import BlockFiles
from mediagen.machine import device_of, whole
from mediagen.models._spec import CanvasModel
from mediagen.view import taken
from mediagen.view.answers import plain
from mediagen.view.asked import PlaneOptions
from mediagen.view.plane import LEVELS, PAINT_LEVELS, Plane
from mediagen.view.scene import Look, from_page, to_page
from mediagen.view.tiles import TILE, Tile
from mediagen.view.window import PictureWish

LOOKS = 16
"""Scenes kept prepared."""

FIRST_LOOK = (1280, 768)
"""Pixels of the plane that a page shows at first: begun before it asks."""

START = 1024
"""Where on the plane looking begins: beyond the change of styles around 0, unless stretches are short."""


class Studio:
    """A plane that is ready, and what it shows unless the page says otherwise."""

    def __init__(self, asked: PlaneOptions, plane: Plane, scene: Scene, files: BlockFiles) -> None:
        self.asked, self.plane, self.files = asked, plane, files
        self.model = plane.setting.model
        self.default = Look.of(scene)
        self.version = plane.setting.name + self.default.name
        styles = scene.styles
        x = min(START, styles.every // 2) if isinstance(styles, StretchStyle) else 0
        self.start = x, self.model.scene.y + self.model.scene.height // 2
        self._looks: OrderedDict[str, Look] = OrderedDict()

    def begin(self) -> None:
        """Paints what a page shows at first, before it asks."""
        width, height = FIRST_LOOK[0], min(FIRST_LOOK[1], self.model.scene.height)
        self.plane.begin(self.default, Window(self.start[0] - width // 2, self.start[1] - height // 2, width, height))

    def look(self, scene: str | None) -> Look:
        """The scene that a request names. Raises UsageError."""
        if not scene:
            return self.default
        if scene not in self._looks:
            self._looks[scene] = Look.of(from_page(scene, self.default.scene, self.model))
        self._looks.move_to_end(scene)
        found = self._looks[scene]
        while len(self._looks) > LOOKS:
            self._looks.popitem(last=False)
        return found

    def describe(self) -> dict[str, Any]:
        """What the page is told at first."""
        rows, name = self.plane.rows, self.plane.setting.record["model"]["name"]
        return {
            "kind": "plane",
            "name": name,
            "model": name,
            "seed": plain(self.default.scene.seed),
            "tile": TILE,
            "levels": LEVELS,
            "paint_levels": PAINT_LEVELS,
            "bounds": None if rows is None else {"x": None, "y": rows.start, "width": None, "height": len(rows)},
            "start": {"x": self.start[0], "y": self.start[1], "zoom": 0},
            "defaults": to_page(self.default.scene),
            "command": taken.view_command(self.asked),
            "can_resample": getattr(self.model, "cell", None) is not None,
            "styles": hasattr(self.model, "mapping"),
            "version": self.version,
            "complete": True,
        }

    def status(self) -> dict[str, Any]:
        """What is going on."""
        jobs = self.plane.jobs
        painting, waiting = jobs.counts()
        return {
            "painting": painting,
            "waiting": waiting,
            "painted_pixels": jobs.made,
            "pixels_per_second": round(jobs.speed(), 1),
            "cached_bytes": self.plane.cached_bytes,
            "ready": True,
            "complete": True,
            "stamp": str(jobs.made),
        }

    def tag(self, scene: str | None) -> str:
        """Another one for whatever shows other pixels. Raises UsageError."""
        return self.plane.setting.name + self.look(scene).name

    async def tile(self, scene: str | None, level: int, i: int, j: int) -> Tile | None:
        return await self.plane.tile(self.look(scene), level, i, j)

    def command(self, scene: str | None, window: Window, *, here: bool) -> str:
        """The command that paints a window. Raises UsageError."""
        return taken.command(self.look(scene).scene, self.asked, self.plane, on_rows(self.model, window), here=here)

    def style_map(self, scene: str | None) -> str:
        """The file of the scene's style centres. Raises UsageError."""
        return taken.style_map(self.look(scene).scene)

    def picture(self, scene: str | None, wish: PictureWish) -> Iterator[bytes]:
        """A PNG or JPEG, to be iterated in a thread. Raises UsageError."""
        return taken.picture(self.plane, self.look(scene), wish, self.asked)

    def close(self) -> None:
        self.plane.close()


def open_studio(options: PlaneOptions) -> Studio:
    """Takes a second or more: run it in a thread. Raises MediagenError."""
    device = device_of(options.device)
    files = BlockFiles(options.cache or default_folder(), as_bytes(options.cache_size))
    model = as_model(options.model)
    scene = scene_of(model, options)
    # The format of the blocks that are there: then they can be shown.
    precision = settle_precision(
        model, scene.styles, device, options.precision, lambda: precision_in(files.folder, model, device)
    )
    grid = grid_of(model, *block_of(model, precision, options.memory, options.block, device))
    setting = setting_of(model, grid, precision, device)
    count = lanes(model, grid.block(0, 0), precision, device, as_bytes(options.memory))
    plane = Plane(setting, device, count, BlockCache(files, setting))
    studio = Studio(options, plane, scene, files)
    studio.begin()
    return studio


def scene_of(model: CanvasModel, options: PlaneOptions) -> Scene:
    """The scene that the command line asks for. Raises UsageError."""
    structure, texture = options.structure_seed, options.texture_seed
    return Scene(
        seed=whole("seed", options.seed),
        styles=styles_of(options.seed, options.style_every, options.style_blend, options.style_map, texture),
        structure_seed=None if structure is None else whole("structure_seed", structure),
        resample=resampled(model, options.resample),
    )
