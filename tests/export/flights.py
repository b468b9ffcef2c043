"""A tiny real model, and flights over it, to be killed: `python flights.py OUT DELAY`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mediagen.export.flyover import flyover
from mediagen.models import spec

SMALL: dict[str, Any] = {"size": (64, 32), "fps": 10.0, "block": (64, 36), "precision": "fp32", "style_every": 200}


def network() -> Any:
    """InfinityGAN's tiny preset with random weights."""
    model = spec("infinitygan")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = model.build(model.presets["tiny"])
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.normal_()
    return made.eval().requires_grad_(False)


def frames_in(folder: Path) -> np.ndarray:
    """The frames of a clip that was written as PNGs."""
    from PIL import Image

    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])


def main() -> None:
    torch.set_num_threads(1)
    delay = float(sys.argv[2])
    flyover(None, sys.argv[1], model=network(), seconds=30, speed=40, progress=lambda *_: time.sleep(delay), **SMALL)


if __name__ == "__main__":
    main()
