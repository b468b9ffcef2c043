"""One photograph learnt three times: with ConSinGAN's settings, SinGAN's, and ours; then a panorama of it, painted.

python benchmarks/single_image.py [--photo PHOTO] [--side 128] [--iterations 400] [--stages 5] [--images FOLDER] [--quick]

All see the same photograph for the same iterations a stage; SinGAN's has more stages, on a geometric pyramid, each
trained alone, with pictures between them; `small` looks at windows and pads nothing along x. The published pyramids have
6 and 9 stages at 250 px, 2,000 iterations each. Times are of one core, since a machine may be shared.
FOLDER/settings.jpg shows the photograph and what came of it.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch
from PIL import Image

from mediagen.checkpoint import load
from mediagen.metrics.single_picture import diversity, patch_distance
from mediagen.nn.picture_tasks import vary
from mediagen.train import train

PUBLISHED = {
    "ConSinGAN": {"stages": 5.9, "parameters": 660_000, "minutes on a GTX 1080 Ti": 24.0, "diversity": 0.50},
    "SinGAN": {"stages": 9.7, "parameters": 1_340_000, "minutes on a GTX 1080 Ti": 152.0, "diversity": 0.52},
}
"""The paper's Table 1, and the diversity it gives in its text (Places)."""


def photograph(folder: Path) -> Path:
    """Some hills, when no photograph is given."""
    rng, path = np.random.default_rng(0), folder / "hills.png"
    coarse = Image.fromarray(rng.integers(0, 256, (8, 12, 3), np.uint8))
    coarse.resize((300, 200), Image.Resampling.BICUBIC).save(path)
    return path


SHOWN = 3
"""Samples of each that are shown."""


def learn(
    name: str, preset: str, photo: Path, run: Path, config: dict[str, Any], count: int
) -> tuple[common.Row, list[np.ndarray]]:
    """Trains, and measures `count` samples of the training's size; the first ones are shown."""
    start, wall = time.process_time(), time.perf_counter()
    train("consingan", photo, run, preset=preset, config=config, preview_every=10**6, snapshot_every=10**6)
    spent, wall = time.process_time() - start, time.perf_counter() - wall
    model: Any = load(run)
    made = [vary(model, seed=seed) for seed in range(count)]
    samples = torch.stack([_tensor(picture) for picture in made])
    height, width = model.frame_size
    real = _tensor(np.asarray(Image.open(photo).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)))
    row: common.Row = {
        "settings": name,
        "stages": len(model.sizes),
        "parameters": sum(p.numel() for p in model.parameters()),
        "minutes of one core": spent / 60,
        "minutes": wall / 60,
        "patch distance": patch_distance(samples, real),
        "diversity": diversity(samples, real),
    }
    return row, made[:SHOWN]


def save_sheet(photo: Path, shown: list[list[np.ndarray]], path: Path) -> None:
    """The photograph beside each way's samples, one way a row, twice as large; all of the size of the first one."""
    height, width = shown[0][0].shape[:2]
    source = Image.open(photo).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    gap = 4
    sheet = Image.new("RGB", ((width + gap) * (1 + SHOWN) - gap, (height + gap) * len(shown) - gap), "white")
    for y, row in enumerate(shown):
        for x, picture in enumerate([source, *map(Image.fromarray, row)]):
            sheet.paste(picture.crop((0, 0, width, height)), (x * (width + gap), y * (height + gap)))
    sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.LANCZOS).save(path, quality=88)


def _tensor(picture: np.ndarray) -> torch.Tensor:
    """(3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 127.5 - 1


def panorama(run: Path, folder: Path, widths: tuple[int, ...]) -> list[common.Row]:
    """`mediagen canvas` of growing width, each a process of its own: speed and memory."""
    rows = []
    for width in widths:
        words = ("canvas", folder / f"{width}.zarr", "--model", run, "--width", width, "--json", "--quiet")
        ran = common.run(common.command(*words))
        if ran.code:
            raise SystemExit(f"mediagen canvas failed with exit code {ran.code}: {ran.err}")
        report = json.loads(ran.out)
        rows.append({
            "width": width, "height": report["height"], "seconds": report["seconds"],
            "Mpx/s": report["pixels_per_second"] / 1e6, "format": report["precision"], "peak MB": ran.peak / 1e6,
            "computed per px kept": report["pixels_computed_per_pixel_kept"],
        })  # fmt: skip
    return rows


def main() -> None:
    asked = common.arguments(
        __doc__, photo={"type": Path}, side={"type": int, "default": 128}, iterations={"type": int, "default": 400},
        stages={"type": int, "default": 5}, images={"type": Path, "help": "folder of the sheet"},
        run={"type": Path, "help": "a trained run to paint the panorama with"},
    )  # fmt: skip
    where, start = common.machine(), time.perf_counter()
    side, iterations, stages = (40, 3, 3) if asked.quick else (asked.side, asked.iterations, asked.stages)
    with tempfile.TemporaryDirectory(prefix="mediagen-bench-") as name:
        folder = Path(name)
        photo = asked.photo or photograph(folder)
        torch.set_num_threads(1)  # two would wait for each other by spinning, and the processor's time would count it
        shared, count = {"side": side, "iterations": [iterations]}, 4 if asked.quick else 50
        width, height = Image.open(photo).size
        ours = {**shared, "stages": stages, "side": round(side * height / max(width, height)), "polish": 0}
        found = [
            learn("ConSinGAN", "paper", photo, folder / "paper", {**shared, "stages": stages}, count),
            learn("SinGAN", "singan", photo, folder / "singan", {**shared, "stages": round(1.6 * stages)}, count),
            learn("small", "small", photo, folder / "small", ours, count),
        ]
        rows, shown = [row for row, _ in found], [pictures for _, pictures in found]
        save_sheet(photo, shown, (asked.images or folder) / "settings.jpg")
        painted = asked.run
        if painted is None:
            painted = folder / "panorama"
            train("consingan", photo, painted, preset="tiny" if asked.quick else "small",
                  config=None if asked.quick else {"iterations": [iterations], "polish": 0})  # fmt: skip
        widths = (500, 1000) if asked.quick else (4000, 100_000)
        canvases = panorama(painted, folder, widths)
    note = (
        f"{photo.name}, longer side {side} px, {iterations} iterations a stage (published: 250 px and 2,000), "
        "50 samples of the training's size. Diversity is not comparable with the published one unless trained as long."
    )
    result = {
        "title": "One photograph",
        "about": "ConSinGAN's settings, SinGAN's and those of the preset `small` on one photograph, and a panorama, painted.",
        "figures": {row["settings"]: row for row in rows},
        "tables": [
            common.table("Three ways to learn a photograph", rows, note),
            common.table("Published", [{"settings": name, **row} for name, row in PUBLISHED.items()]),
            common.table("Panoramas", canvases),
        ],
    }
    common.finish("single_image", asked, result, where, time.perf_counter() - start)


if __name__ == "__main__":
    main()
