"""Makes the pictures of the documentation from the bundled model: `python samples/figures.py docs/images`."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import mediagen
from mediagen.canvas.styles import CentreStyle
from mediagen.core.styles import Centre
from mediagen.export.flyover import flyover

PHOTOGRAPHS = ("ridges", "badlands", "lakeside", "birches")


def save(picture: np.ndarray, path: Path, width: int) -> None:
    """A JPEG `width` pixels wide."""
    image = Image.fromarray(picture)
    image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS).save(path, quality=88)


def stacked(pictures: list[np.ndarray], gap: int = 12) -> np.ndarray:
    """Pictures of one width, one below the other, with white gaps."""
    white = np.full((gap, pictures[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for picture in pictures for part in (picture, white)][:-1])


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model = mediagen.load("infinitygan")
    # What the README shows first: the default canvas from 8,192 to 20,480, folded into three rows.
    wide = mediagen.render(model, x=8192, width=12288)
    save(stacked([wide[:, at : at + 4096] for at in (0, 4096, 8192)]), folder / "panorama.jpg", 2048)
    save(
        stacked([mediagen.render(model, width=4096, seed=s, style_every=0) for s in range(1, 7)]),
        folder / "strips.jpg",
        2048,
    )
    structures, textures = [{"structure_seed": s} for s in (100, 101)], [{"texture_seed": s} for s in (3, 6)]
    switches: list[dict[str, Any]] = [{}, *structures, *textures]
    rows = [mediagen.render(model, width=3072, seed=2, style_every=0, **switch) for switch in switches]
    save(stacked(rows), folder / "switches.jpg", 1536)
    centres = (Centre(512, 0, 2), Centre(2048, -128, 3), Centre(3600, 0, 6))
    save(mediagen.render(model, width=4096, styles=CentreStyle(centres, 511)), folder / "fusion.jpg", 2048)
    save(mediagen.render(model, x=8192, width=1024, height=512), folder / "full-size.jpg", 1024)


def badlands(folder: Path) -> None:
    """Six thousand pixels of the canyon, folded into three rows."""
    wide = mediagen.render(mediagen.load("badlands"), width=6000, seed=7)
    save(stacked([wide[:, at : at + 2000] for at in (0, 2000, 4000)]), folder / "badlands.jpg", 2000)


def photographs(folder: Path) -> None:
    """Four thousand pixels of each of the models that know one photograph."""
    wide = [mediagen.render(mediagen.load(name), width=4000, seed=7) for name in PHOTOGRAPHS]
    save(stacked([strip[:, at : at + 2000] for strip in wide for at in (0, 2000)]), folder / "photographs.jpg", 2000)


def lamps(folder: Path) -> None:
    """Twelve of the bundled lava lamps, four frames of each: what `mediagen video wall.mp4 --grid 3x4` shows."""
    shown = [frame for k, frame in enumerate(mediagen.frames("lava", grid=(3, 4), frames=97)) if k in (0, 32, 64, 96)]
    gap = np.full((shown[0].shape[0], 8, 3), 255, np.uint8)
    picture = np.concatenate([part for frame in shown for part in (frame, gap)][:-1], axis=1)
    Image.fromarray(picture).save(folder / "lava.png")


def flight(folder: Path) -> None:
    """Six moments of a flight over the plane of `ridges`, which ends nearer than it began."""
    keys = [{"t": 0, "x": 300, "zoom": 1.7}, {"t": 3, "x": 900, "zoom": 1.7}, {"t": 5, "x": 1300, "zoom": 3}]
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "keys.json").write_text(json.dumps(keys))
        frames = Path(scratch) / "frames"
        flyover(None, frames, model="ridges", seed=7, size=(480, 270), fps=1, keys=Path(scratch) / "keys.json")
        shown = [np.asarray(Image.open(path)) for path in sorted(frames.glob("*.png"))]
    gap = np.full((shown[0].shape[0], 12, 3), 255, np.uint8)
    rows = [np.concatenate([shown[i], gap, shown[i + 1], gap, shown[i + 2]], axis=1) for i in (0, 3)]
    save(stacked(rows), folder / "flyover.jpg", rows[0].shape[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    badlands(Path(sys.argv[1]))
    photographs(Path(sys.argv[1]))
    lamps(Path(sys.argv[1]))
    flight(Path(sys.argv[1]))
