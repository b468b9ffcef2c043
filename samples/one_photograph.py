"""Shows what one photograph became: `python samples/one_photograph.py RUN|NAME PHOTO OUT`.

OUT.jpg has the photograph and a picture 512 px wide; four variations; and 8,000 px of its canvas, folded into four rows.
OUT.mp4 is the animation: ten seconds of the noise walking.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import mediagen
from mediagen.nn.picture_tasks import vary
from mediagen.video.render import render_video

WIDE, ROWS, GAP = 2000, 4, 12
FRAMES = 100


def beside(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures of one height in a row of WIDE pixels, equal gaps between them, scaled to fit."""
    height = pictures[0].shape[0]
    room = WIDE - GAP * (len(pictures) - 1)
    scale = room / sum(picture.shape[1] for picture in pictures)
    tall = round(height * scale)
    parts: list[np.ndarray] = []
    for picture in pictures:
        left = WIDE - sum(part.shape[1] for part in parts)
        width = left if picture is pictures[-1] else round(picture.shape[1] * scale)
        parts += [scaled(picture, width, tall), np.full((tall, GAP, 3), 255, np.uint8)]
    return np.concatenate(parts[:-1], axis=1)


def scaled(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def sheet(model: Any, photo: Path) -> np.ndarray:
    """The whole sheet (height, WIDE, 3)."""
    height, width = model.frame_size
    source = scaled(np.asarray(Image.open(photo).convert("RGB")), width, height)
    strip = mediagen.render(model, width=ROWS * WIDE, seed=1)
    rows = [
        beside([source, vary(model, width=512, seed=0)]),
        beside([vary(model, seed=seed) for seed in range(1, 5)]),
        *(strip[:, at : at + WIDE] for at in range(0, ROWS * WIDE, WIDE)),
    ]
    white = np.full((GAP, WIDE, 3), 255, np.uint8)
    return np.concatenate([part for row in rows for part in (row, white)][:-1])


def main(name: str, photo: Path, out: Path) -> None:
    model: Any = mediagen.load(name)
    Image.fromarray(sheet(model, photo)).save(out.with_suffix(".jpg"), quality=80)
    render_video(name, out.with_suffix(".mp4"), frames=FRAMES, scale=1, seed=0, overwrite=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
