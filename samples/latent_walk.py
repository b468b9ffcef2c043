"""From one seed's clip to another's: `python samples/latent_walk.py OUT.png --model RUN --seeds 3 8 --steps 6`.

One row a clip on the straight line between the two latents, one column a frame. For models with one latent a clip and an
`interpolate` of their own (TGANv2). `--level 1` renders the lowest of its sizes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image

from mediagen.checkpoint import load
from mediagen.errors import MediagenError, UsageError
from mediagen.nn.sheets import contact_sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the picture to write")
    parser.add_argument("--model", required=True, help="a bundled name, a checkpoint file or a run's folder")
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 1), metavar=("FROM", "TO"))
    parser.add_argument("--steps", type=int, default=6, help="rows, both ends among them")
    parser.add_argument("--category", type=int, default=0, help="class of all clips")
    parser.add_argument("--level", type=int, help="size to render, 1 for the smallest (default: the largest)")
    asked = parser.parse_args()
    network = load(asked.model)
    if not hasattr(network, "interpolate"):
        raise UsageError(f"{asked.model}: this model has no interpolation of latents")
    if asked.level is not None:
        network.render_level = asked.level  # type: ignore[assignment]
    clips = network.interpolate(*asked.seeds, asked.steps, asked.category)  # type: ignore[operator]
    Image.fromarray(contact_sheet(clips)).save(asked.out)
    print(f"{asked.out}: {asked.steps} clips from seed {asked.seeds[0]} to seed {asked.seeds[1]}")


if __name__ == "__main__":
    try:
        main()
    except MediagenError as error:
        sys.exit(f"latent_walk: {error}")
