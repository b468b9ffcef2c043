"""Saves a window of a stored canvas as one picture that other programs open: decides, checks, writes, and reports. No torch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mediagen.canvas.memory import size_text
from mediagen.core.geometry import Window
from mediagen.core.provenance import command_line, versions
from mediagen.errors import StoreError, UsageError
from mediagen.execute.memory import peak_memory
from mediagen.export import dzi, tiff
from mediagen.export.ahead import in_order
from mediagen.export.pixels import Picture, WindowWish, how_to_finish, picture_of, unpainted, window_of
from mediagen.export.streams import QUALITY, check_quality, check_size, write_picture
from mediagen.io.files import free_bytes, make_folder, storing
from mediagen.io.overview import overview_path
from mediagen.io.store import CanvasStore
from mediagen.io.video_place import only_writer, put_in_place

Kind = Literal["tif", "dzi", "png", "jpg"]
ENDINGS: dict[str, Kind] = {".tif": "tif", ".tiff": "tif", ".dzi": "dzi", ".png": "png", ".jpg": "jpg", ".jpeg": "jpg"}
BAND = 2**24
"""Bytes of pixels that are read at once for a PNG or JPEG, if that is a row at all."""
PIECE = 2**21
"""Bytes of pixels that its encoder, which makes copies, is given at once."""
ACROSS = 4096
"""Pixels of a band that are read in one go."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """`x` to `height` are the window in pixels of the plane, `pixels_wide` and `pixels_high` those of the picture.

    `levels` are those in the file, `missing_shards` those left black. `interrupted`: nothing was written.
    """

    path: str
    kind: Kind
    x: int
    y: int
    width: int
    height: int
    level: int
    pixels_wide: int
    pixels_high: int
    levels: int
    missing_shards: int
    bytes: int
    seconds: float
    pixels_per_second: int
    peak_memory_bytes: int
    interrupted: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class _Stopped(Exception):
    """The caller asked for a stop."""


def export(
    canvas: CanvasStore | str | Path,
    out: str | Path,
    *,
    x: int | None = None,
    y: int | None = None,
    width: int | None = None,
    height: int | None = None,
    level: int = 0,
    quality: int = QUALITY,
    tiles: dzi.Tiles = "jpg",
    overlap: int = 1,
    partial: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Report:
    """Saves a window of a canvas as .tif, .dzi, .png or .jpg; memory does not grow with it.

    The window is in pixels of the plane, whatever the `level`; the picture is 2**level times smaller, and covers the window
    widened to whole pixels of that level. `partial` leaves black what is not painted. The file appears when it is whole.
    `progress(done, total)` counts pixels. Raises MediagenError.
    """
    begun, out = time.monotonic(), Path(out).absolute()
    kind = kind_of(out)
    store = canvas if isinstance(canvas, CanvasStore) else CanvasStore.open(canvas)
    picture = picture_of(
        store, window_of(store, WindowWish(x=x, y=y, width=width, height=height, level=level)), level
    )  # fmt: skip
    covered = covered_window(picture)
    _check(picture, kind, quality, overlap)
    _refuse_taken(out, store, overwrite)
    missing, shards = unpainted(store, covered)
    if missing and not partial:
        raise StoreError(
            f"{store.path.name}: {missing:,} of {shards:,} shards of this window are not painted yet; "
            f"finish it with `{how_to_finish(store)}`, or leave them black with --partial"
        )
    require_room(out, picture, kind, quality)
    steps = _Steps(picture, kind, progress or (lambda *_: None), should_stop or (lambda: False))
    record = make_record(
        picture, out, quality=quality if kind in ("jpg", "dzi") else None, tiles=tiles, overlap=overlap
    )
    stopped = False
    try:
        with only_writer(out):
            _write(out, picture, kind, record, steps, quality=quality, tiles=tiles, overlap=overlap)
    except _Stopped:
        stopped = True
    seconds, (wide, high) = time.monotonic() - begun, picture.size()
    return Report(
        path=str(out), kind=kind, x=covered.x, y=covered.y, width=covered.width, height=covered.height, level=level,
        pixels_wide=wide, pixels_high=high, levels=_levels(picture, kind), missing_shards=missing,
        bytes=0 if stopped else _bytes(out, kind), seconds=round(seconds, 3),
        pixels_per_second=round(wide * high / max(seconds, 1e-9)), peak_memory_bytes=peak_memory(), interrupted=stopped,
    )  # fmt: skip


def kind_of(out: Path) -> Kind:
    """What a name's ending asks for. Raises UsageError."""
    kind = ENDINGS.get(out.suffix.lower())
    if kind is None:
        raise UsageError(f"{out.name}: the ending says what to make: .tif, .dzi, .png or .jpg")
    return kind


def covered_window(picture: Picture) -> Window:
    """What a picture shows of the plane; at its canvas's far end a level's last pixel may reach beyond it and is cut."""
    store, step, part = picture.store, 2**picture.base, picture.part
    right, bottom = min(part.right * step, store.levels[0].width), min(part.bottom * step, store.levels[0].height)
    x, y = part.x * step, part.y * step
    return Window(x + store.origin[0], y + store.origin[1], right - x, bottom - y)


def make_record(
    picture: Picture, out: Path, *, quality: int | None, tiles: dzi.Tiles = "jpg", overlap: int = 1
) -> dict[str, Any]:
    """What an exported picture says of itself, the canvas's own record in it. No paths but two names."""
    window = asdict(covered_window(picture))
    deep = {"tiles": tiles, "overlap": overlap} if out.suffix.lower() == ".dzi" else {}
    options = {**window, "level": picture.base or None, "quality": quality, **deep}
    return {
        "kind": "picture",
        "command": command_line("export", options, picture.store.path.name, out.name),
        "window": window,
        "level": picture.base,
        "made_with": versions("mediagen", "numpy", "pillow", "tifffile"),
        "canvas": picture.store.attributes,
    }


def rows_of(picture: Picture) -> Iterator[np.ndarray]:
    """The picture's rows (n, width, 3) from the top down, the next band read while one is used.

    A row of chunks is read in as few bands as BAND allows, for each of them decodes every chunk of it again.
    """
    width, height = picture.size()
    chunk = picture.store.levels[0].chunk
    count = -(-chunk // -(-3 * chunk * width // BAND))

    def bands() -> Iterator[range]:
        top = 0
        while top < height:
            to_next_chunk = chunk - (picture.part.y + top) % chunk
            yield range(top, min(height, top + min(count, to_next_chunk)))
            top += min(count, to_next_chunk)

    def band(of: range) -> np.ndarray:
        rows = np.empty((len(of), width, 3), np.uint8)
        left = 0
        while left < width:
            right = min(width, left + max(ACROSS, chunk) - (picture.part.x + left) % chunk)
            part = Window(left, of.start, right - left, len(of))
            rows[:, left:right] = picture.read(0, part).transpose(1, 2, 0)
            left = right
        return rows

    few = max(1, PIECE // (3 * width))
    for rows in in_order(band, bands(), 1, ahead=1):
        for top in range(0, len(rows), few):
            yield rows[top : top + few]


class _Steps:
    """Counts pixels for the caller's meter, and stops where the caller asks for it."""

    def __init__(
        self, picture: Picture, kind: Kind, progress: Callable[[int, int], None], should_stop: Callable[[], bool]
    ) -> None:
        sizes = [picture.size(k) for k in range(_levels(picture, kind))]
        self.total, self.done = sum(width * height for width, height in sizes), 0
        self.progress, self.should_stop = progress, should_stop

    def told(self, pixels: int) -> None:
        self.done = min(self.total, self.done + pixels)
        self.progress(self.done, self.total)
        if self.should_stop():
            raise _Stopped

    def through(self, rows: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for band in rows:
            yield band
            self.told(band.shape[0] * band.shape[1])


def _write(
    out: Path, picture: Picture, kind: Kind, record: dict[str, Any], steps: _Steps,
    *, quality: int, tiles: dzi.Tiles, overlap: int,
) -> None:  # fmt: skip
    with storing(out):
        if kind == "dzi":
            dzi.write_dzi(out, picture, record, steps.told, tiles=tiles, overlap=overlap, quality=quality)
            return
        with put_in_place(out) as draft:
            if kind == "tif":
                tiff.write_tiff(draft, picture, record, steps.told)
                return
            width, height = picture.size()
            with draft.open("xb") as file:
                write_picture(file, width, height, steps.through(rows_of(picture)), kind, record, quality)


def _check(picture: Picture, kind: Kind, quality: int, overlap: int) -> None:
    if kind == "tif":
        tiff.check_installed()
    elif kind != "dzi":
        check_size(*picture.size(), kind)
    check_quality(quality)
    if overlap not in (0, 1):
        raise UsageError(f"tiles overlap by 0 or 1 px (--overlap), not {overlap}")


def _refuse_taken(out: Path, store: CanvasStore, overwrite: bool) -> None:
    """Raises StoreError unless a picture may be put at `out`."""
    if out.is_dir() or out.resolve().is_relative_to(store.path):
        raise StoreError(f"{out}: a picture cannot be put there; choose another name")
    if out.resolve() == overview_path(store.path):
        raise StoreError(f"{out}: is the name of that canvas's overview; choose another one")
    if out.suffix.lower() == ".dzi":
        dzi.refuse_foreign(out)
        taken = os.path.lexists(out) or dzi.files_of(out).exists()
    else:
        taken = os.path.lexists(out)
    if taken and not overwrite:
        raise StoreError(f"{out}: is there already; replace it with --overwrite or choose another name")
    with storing(out):
        make_folder(out.parent)


def require_room(out: Path, picture: Picture, kind: Kind, quality: int) -> None:
    """Raises StoreError when the picture might not fit on its disk."""
    sizes = (picture.size(k) for k in range(_levels(picture, kind)))
    raw = sum(3 * width * height + 2**12 for width, height in sizes)
    if kind == "tif":
        needed = tiff.tiles_of(picture) * (3 * tiff.tile_side(picture) ** 2 * 129 // 128 + 64)
    else:
        needed = raw // 2 if kind != "png" and quality <= 95 else raw + raw // 64
    with storing(out):
        free = free_bytes(out)
    if needed > free:
        raise StoreError(
            f"{out}: this picture can take up to {size_text(needed)}, and that disk has {size_text(free)} free; "
            "ask for a smaller window, free some space or choose another disk"
        )


def _levels(picture: Picture, kind: Kind) -> int:
    return {"tif": tiff.levels_of, "dzi": dzi.levels_of}.get(kind, lambda _: 1)(picture)


def _bytes(out: Path, kind: Kind) -> int:
    return dzi.bytes_of(out) if kind == "dzi" else out.stat().st_size
