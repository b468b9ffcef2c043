"""One photograph learnt twice: with ConSinGAN's settings and with SinGAN's; then a panorama of it, painted.

python benchmarks/single_image.py [--photo PHOTO] [--side 128] [--iterations 400] [--stages 5] [--quick]

Both see the same whole picture for the same iterations a stage; SinGAN's has more stages, on a geometric pyramid, each
trained alone, with pictures between them. The published pyramids have 6 and 9 stages at 250 px, 2,000 iterations each.
Times are of the processor, since a machine may be shared.
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


def learn(name: str, preset: str, photo: Path, run: Path, config: dict[str, Any], count: int) -> common.Row:
    """Trains, and measures `count` samples of the training's size."""
    start, wall = time.process_time(), time.perf_counter()
    train("consingan", photo, run, preset=preset, config=config, preview_every=10**6, snapshot_every=10**6)
    spent, wall = time.process_time() - start, time.perf_counter() - wall
    model: Any = load(run)
    samples = torch.stack([_tensor(vary(model, seed=seed)) for seed in range(count)])
    height, width = model.frame_size
    real = _tensor(np.asarray(Image.open(photo).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)))
    return {
        "settings": name,
        "stages": len(model.sizes),
        "parameters": sum(p.numel() for p in model.parameters()),
        "CPU minutes": spent / 60,
        "minutes": wall / 60,
        "patch distance": patch_distance(samples, real),
        "diversity": diversity(samples, real),
    }


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
        stages={"type": int, "default": 5}, run={"type": Path, "help": "a trained run to paint the panorama with"},
    )  # fmt: skip
    where, start = common.machine(), time.perf_counter()
    side, iterations, stages = (40, 3, 3) if asked.quick else (asked.side, asked.iterations, asked.stages)
    with tempfile.TemporaryDirectory(prefix="mediagen-bench-") as name:
        folder = Path(name)
        photo = asked.photo or photograph(folder)
        shared = {"side": side, "iterations": [iterations]}
        rows = [
            learn("ConSinGAN", "paper", photo, folder / "paper", {**shared, "stages": stages}, 4 if asked.quick else 50),
            learn("SinGAN", "singan", photo, folder / "singan", {**shared, "stages": round(1.6 * stages)},
                  4 if asked.quick else 50),
        ]  # fmt: skip
        painted = asked.run
        if painted is None:
            painted = folder / "panorama"
            train("consingan", photo, painted, preset="tiny" if asked.quick else "small",
                  config=None if asked.quick else {"iterations": [iterations]})  # fmt: skip
        widths = (500, 1000) if asked.quick else (4000, 100_000)
        canvases = panorama(painted, folder, widths)
    note = (
        f"{photo.name}, longer side {side} px, {iterations} iterations a stage (published: 250 px and 2,000), "
        "50 samples of the training's size. Diversity is not comparable with the published one unless trained as long."
    )
    found = {
        "title": "One photograph",
        "about": "ConSinGAN's settings and SinGAN's on the same photograph, and a panorama painted by the preset `small`.",
        "figures": {row["settings"]: row for row in rows},
        "tables": [
            common.table("Two ways to learn a photograph", rows, note),
            common.table("Published", [{"settings": name, **row} for name, row in PUBLISHED.items()]),
            common.table("Panoramas", canvases),
        ],
    }
    common.finish("single_image", asked, found, where, time.perf_counter() - start)


if __name__ == "__main__":
    main()
