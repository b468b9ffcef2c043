"""Exports and flights: the speed of each against that of its parts alone, measured in the same run, and memory against size.

python benchmarks/export.py [--quick] [--model NAME|FILE|RUN]
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import common
import numpy as np

from mediagen.canvas.paint import paint
from mediagen.canvas.setup import as_model
from mediagen.execute.heap import steady_heap
from mediagen.export import export, tiff
from mediagen.export.ahead import cores, in_order
from mediagen.export.camera import Glide
from mediagen.export.fit import check
from mediagen.export.flight import LOOK_AHEAD, Flight, frames_from, groups
from mediagen.export.flyover import flyover
from mediagen.export.ground import Ground, PlaneWish, canvas_ground, plane_ground
from mediagen.export.pixels import Picture, picture_of
from mediagen.io.store import CanvasStore
from mediagen.io.video_codecs import layout_of
from mediagen.io.video_file import open_clip, remove_clip

SIZE, RATE, SPEED = (1280, 720), Fraction(30), 200.0
CHILD = """
import json, sys
from mediagen.export import export
print(json.dumps(export(sys.argv[1], sys.argv[2], overwrite=True).to_json()))
"""


def timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def codec_alone(picture: Picture) -> list[bytes]:
    """Every tile of every level read, decompressed and deflated as `export` does, and nothing written."""
    side, found = tiff.tile_side(picture), []
    for k in range(tiff.levels_of(picture)):
        make = lambda tile, k=k: tiff.deflated(picture.read(k, tile), side)  # noqa: E731
        found += list(in_order(make, list(tiff._tiles(picture, k)), cores()))
    return found


def disk_alone(tiles: list[bytes], path: Path) -> None:
    """The same bytes, one after the other, into a file that is then on the disk."""
    with path.open("wb") as file:
        for tile in tiles:
            file.write(tile)
        file.flush()
        os.fsync(file.fileno())


def tiff_speed(store: CanvasStore, rounds: int, folder: Path) -> common.Row:
    """`export` to a BigTIFF against its parts, in turn; the ratio is taken in each round, and its median shown."""
    picture, turns = picture_of(store, store.area, 0), []
    for _ in range(rounds):
        tiles: list[bytes] = []
        codec = timed(lambda tiles=tiles: tiles.extend(codec_alone(picture)))
        disk = timed(lambda tiles=tiles: disk_alone(tiles, folder / "plain.bin"))
        whole = timed(lambda: export(store, folder / "a.tif", overwrite=True))
        turns.append((codec, disk, whole, max(codec, disk) / whole))
    codec, disk, whole, ratio = (statistics.median(column) for column in zip(*turns, strict=True))
    width, height = picture.size()
    return {
        "canvas": f"{width:,} x {height}", "file MB": (folder / "a.tif").stat().st_size / 1e6, "read and deflate s": codec,
        "write s": disk, "export s": whole, "Mpx/s": width * height / whole / 1e6, "of the slower part": ratio,
    }  # fmt: skip


def formats(store: CanvasStore, folder: Path) -> list[common.Row]:
    """Every format once, in this process."""
    rows = []
    for name in ("a.tif", "a.dzi", "a.png", "a.jpg"):
        width = min(store.levels[0].width, 65_500) if name == "a.jpg" else store.levels[0].width
        report = export(store, folder / name, width=width, overwrite=True)
        rows.append({
            "format": name[2:], "width": width, "s": report.seconds, "Mpx/s": report.pixels_per_second / 1e6,
            "MB": report.bytes / 1e6, "levels": report.levels,
        })  # fmt: skip
    return rows


def memory(stores: list[CanvasStore], folder: Path) -> list[common.Row]:
    """Peak memory (VmHWM) of processes that export canvases of two widths."""
    rows = []
    for ending in ("tif", "dzi", "png"):
        peaks = []
        for store in stores:
            ran = common.run([sys.executable, "-c", CHILD, str(store.path), str(folder / f"m.{ending}")])
            if ran.code:
                raise SystemExit(ran.err)
            peaks.append(json.loads(ran.out)["peak_memory_bytes"] / 1e6)
        widths = [store.levels[0].width for store in stores]
        rows.append({"format": ending, **{f"{w:,} px MB": peak for w, peak in zip(widths, peaks, strict=True)},
                     "ratio": peaks[1] / peaks[0]})  # fmt: skip
    return rows


def scenery_alone(flight: Flight) -> float:
    """Seconds in which the scenery of a whole flight is read or painted, in lanes, ahead, and not looked at."""
    whole = list(groups(flight, 0))

    def go() -> None:
        for i, group in enumerate(whole):
            then = [wanted for later in whole[i + 1 : i + 1 + LOOK_AHEAD] for wanted in later.wanted]
            for level, window in group.wanted:
                flight.scenery.read(level, window, then)

    return timed(go)


class AtHand:
    """Scenery that has been read once: what the camera's filters are timed on."""

    def __init__(self, flight: Flight) -> None:
        self.anchor, self.levels, self._bounds = flight.scenery.anchor, flight.scenery.levels, flight.scenery.bounds
        self._kept = {(k, w): np.array(flight.scenery.read(k, w, [])) for g in groups(flight, 0) for k, w in g.wanted}

    def bounds(self, level: int) -> Any:
        return self._bounds(level)

    def read(self, level: int, window: Any, then: Any) -> np.ndarray:
        return self._kept[level, window]


def flight_of(ground: Ground, scenery: Any, frames: int, camera: Glide) -> Flight:
    return Flight(scenery=scenery, camera=camera, size=SIZE, colours="yuv", fps=RATE, frames=frames)


def encoder_alone(shown: list[np.ndarray], frames: int, path: Path) -> float:
    """Seconds in which frames at hand, as the camera makes them, are coded and written."""
    layout = layout_of(path, width=SIZE[0], height=SIZE[1], frames=frames, fps=RATE, codec=None, crf=None)
    remove_clip(path)
    begun = time.perf_counter()
    file, made = open_clip(path, layout, {"kind": "clip"}), 0
    while made < frames:
        for part in shown:
            file.add(part[: frames - made])
            made += len(part[: frames - made])
    file.finish()
    return time.perf_counter() - begun


def flight_speed(
    name: str, ground: Ground, source: Any, frames: int, rounds: int, folder: Path, **more: Any
) -> common.Row:
    """`flyover` against its parts, in turn; the ratio is taken in each round, and its median shown."""
    zoom = SIZE[1] / ground.home.height
    camera = Glide(SIZE[0] / 2 / zoom - ground.anchor[0], (ground.home.y + ground.home.bottom) / 2 - ground.anchor[1],
                   (SPEED, 0.0), zoom)  # fmt: skip
    extent = check(camera, SIZE, RATE, frames, ground, False)
    turns = []
    with steady_heap():
        for _ in range(rounds):
            with ground.open(extent) as scenery:
                generator = scenery_alone(flight_of(ground, scenery, frames, camera))
            with ground.open(extent) as scenery:
                few = flight_of(
                    ground, AtHand(flight_of(ground, scenery, min(frames, 128), camera)), min(frames, 128), camera
                )
            with closing(frames_from(few, 0)) as made:
                begun = time.perf_counter()
                shown = list(made)
                camera_s = (time.perf_counter() - begun) * frames / few.frames
            encoder = encoder_alone(shown, frames, folder / "encoder.mp4")
            report = flyover(
                source, folder / "whole.mp4", seconds=frames / float(RATE), speed=SPEED, overwrite=True, **more
            )
            turns.append((*(frames / s for s in (generator, camera_s, encoder)), frames / report.seconds))
    slower = [whole / min(generator, encoder) for generator, _, encoder, whole in turns]
    shared = [whole * (1 / generator + 1 / encoder) for generator, _, encoder, whole in turns]
    generator, camera_s, encoder, whole = (statistics.median(column) for column in zip(*turns, strict=True))
    return {
        "flight over": name, "scenery alone /s": generator, "camera alone /s": camera_s, "encoder alone /s": encoder,
        "flown /s": whole, "of the slower": statistics.median(slower), "of both on one machine": statistics.median(shared),
    }  # fmt: skip


def lengths(model: str, seconds: tuple[int, int], folder: Path) -> list[common.Row]:
    """`mediagen flyover` over the plane as a process: what it says of its own peak memory, at two lengths."""
    rows = []
    for length in seconds:
        words = ["flyover", folder / f"{length}.mp4", "--model", model, "--seconds", length, "--size", "640x360",
                 "--speed", 400, "--json", "--quiet"]  # fmt: skip
        ran = common.run(common.command(*words))
        if ran.code:
            raise SystemExit(f"mediagen flyover failed with exit code {ran.code}: {ran.err}")
        said = json.loads(ran.out)
        rows.append({"seconds": length, "frames": said["frames"], "wall s": ran.seconds, "frames/s": said["frames_per_second"],
                     "peak MB": said["peak_memory_bytes"] / 1e6})  # fmt: skip
    return rows


def main() -> None:
    asked = common.arguments(__doc__)
    where, begun = common.machine(), time.perf_counter()
    widths, rounds, frames, long = (
        ((3000, 6000), 1, 96, (4, 12)) if asked.quick else ((10_000, 100_000), 5, 600, (60, 600))
    )
    with common.chosen_model(asked) as (model, words), common.scratch() as folder:
        stores = []
        for width in widths:
            paint(model, folder / f"{width}.zarr", width=width)
            stores.append(CanvasStore.open(folder / f"{width}.zarr"))
        row = tiff_speed(stores[1], rounds, folder)
        tables = [common.table(
            "A BigTIFF against its parts", [row],
            f"medians of {rounds} turns. Read and deflate: all tiles of all levels, {cores()} threads, nothing written. Write: "
            "the same bytes into a plain file, synced. The export does both, and the TIFF's own structure",
        )]  # fmt: skip
        tables.append(common.table("Formats", formats(stores[1], folder)))
        held = memory(stores, folder)
        tables.append(
            common.table("Peak memory of an exporting process", held, "VmHWM, as the process itself reads it")
        )
        network = as_model(model)
        plane = plane_ground(PlaneWish(model=network), 0, None)
        painted: dict[str, Any] = {"model": network, "precision": plane.over["precision"]}
        flights = [
            flight_speed("a stored canvas", canvas_ground(stores[1]), stores[1], frames, rounds, folder),
            flight_speed("the plane", plane, None, frames, rounds, folder, **painted),
        ]  # fmt: skip
        tables.append(common.table(
            f"Flights at {SIZE[0]} x {SIZE[1]}, {SPEED:.0f} px a second", flights,
            f"frames a second, {frames} frames, medians of {rounds} turns. Scenery alone: read or painted ahead, and not "
            "looked at. Camera alone: its filters, the scenery at hand. Encoder alone: h264, writing, the last copy, the "
            "camera's frames at hand. Flown: mediagen.flyover, everything in it. Its ratio is to the slower of scenery and "
            "encoder; where both use all cores, no more can be had than one after the other, which is the last column",
        ))  # fmt: skip
        far = lengths(model, long, folder)
        ratio = far[1]["peak MB"] / far[0]["peak MB"]
        tables.append(
            common.table("Memory against length, over the plane", far, f"the longer: {ratio:.3f} of the shorter's")
        )
    found = {
        "title": "Exports and flights",
        "about": "What of the disk's, the codec's, the generator's and the encoder's speed reaches a file, and memory.",
        "model": words,
        "figures": {
            "tiff_of_the_slower_part": row["of the slower part"],
            "flight_of_the_slower": min(flight["of the slower"] for flight in flights),
            "memory_ratio": max(r["ratio"] for r in held),
            "flight_memory_ratio": ratio,
        },
        "tables": tables,
    }
    common.finish("export", asked, found, where, time.perf_counter() - begun)


if __name__ == "__main__":
    main()
