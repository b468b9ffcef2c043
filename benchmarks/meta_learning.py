"""A folder of pictures learnt by one network; then pictures it never saw, in one pass, beside a training on each.

python benchmarks/meta_learning.py --pictures TRAIN --unseen OTHERS [--work FOLDER] [--consingan 600] [--quick]

TRAIN and OTHERS are folders or .txt lists. Patch distances are those of samples of the picture's own size; the smaller, the
nearer. What a distance means, two rows say: the distance of other unseen pictures, and of a training on the picture alone.
OTHERS that had a part in choosing settings flatter it: give pictures that had none as --further.
Times are of the processor, since a machine may be shared.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch
from PIL import Image

from mediagen.checkpoint import load
from mediagen.data.whole import WholePictures
from mediagen.imagination import imagine
from mediagen.metrics.single_picture import diversity, patch_distance, smoothness
from mediagen.nn.picture_tasks import vary
from mediagen.train import Report, train

SAMPLES = 50
PUBLISHED = [
    {"model": "SinGAN", "SIFID": 0.09, "mSIFID": 0.15, "diversity": 0.52, "minutes a picture": 60.0},
    {"model": "ConSinGAN", "SIFID": 0.06, "mSIFID": 0.08, "diversity": 0.50, "minutes a picture": 20.0},
    {"model": "MIL, one picture", "SIFID": 0.03, "mSIFID": 0.06, "diversity": 0.57, "minutes a picture": 30.0},
    {"model": "MIL, 50 pictures", "SIFID": 0.05, "mSIFID": 0.07, "diversity": 0.50, "minutes a picture": 5.0},
    {
        "model": "MIL, 500 valleys, trained on",
        "SIFID": 0.04,
        "mSIFID": 0.07,
        "diversity": 0.51,
        "minutes a picture": 4.0,
    },
    {"model": "MIL, 500 valleys, unseen", "SIFID": 0.47, "mSIFID": 2.47, "diversity": 0.34, "minutes a picture": 0.0},
    {"model": "MIL, 5000 valleys, unseen", "SIFID": 0.41, "mSIFID": 1.52, "diversity": 0.40, "minutes a picture": 0.0},
]
"""The paper's Tables 1 (Places-50) and 3; a pass through the network takes a fraction of a second."""


def tensor(picture: np.ndarray) -> torch.Tensor:
    """(3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 127.5 - 1


def measured(model: Any, real: torch.Tensor, count: int) -> dict[str, float]:
    """Patch distance and diversity of samples of the picture's size. Seed 0 would begin with the picture itself."""
    samples = torch.stack([tensor(vary(model, seed=seed)) for seed in range(1, count + 1)])
    return {"patch distance": patch_distance(samples, real), "diversity": diversity(samples, real)}


def means(rows: list[dict[str, float]]) -> dict[str, float]:
    """The means over pictures, and how far their patch distances lie apart."""
    apart = [row["patch distance"] for row in rows]
    spread = float(np.std(apart, ddof=1)) if len(apart) > 1 else 0.0
    least, most = min(apart), max(apart)
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    distance = mean.pop("patch distance")
    return {"patch distance": distance, "+-": spread, "least": least, "most": most, **mean}


def in_one_pass(network: Any, pictures: list[np.ndarray], count: int) -> tuple[dict[str, float], float]:
    """The mean over pictures, and the processor's seconds for a generator."""
    rows, spent = [], 0.0
    for picture in pictures:
        start = time.process_time()
        model = imagine(network, picture)
        spent += time.process_time() - start
        rows.append(measured(model, tensor(picture), count))
    return means(rows), spent / len(pictures)


def timed(run: Path, teach: Callable[..., Report]) -> float:
    """The processor's seconds of a training, added up beside it: one that was stopped is gone on with."""
    record = run.with_name(f"{run.name}.seconds")
    before, start = float(record.read_text()) if record.exists() else 0.0, time.process_time()
    report = teach(out=run, preview_every=250, snapshot_every=250, device="cpu")
    spent = before + time.process_time() - start
    record.write_text(f"{spent:.1f}\n")
    if report.interrupted:
        raise SystemExit("stopped; say the same command again to go on")
    return spent


def one_by_one(
    pictures: list[np.ndarray], folder: Path, height: int, iterations: int, count: int, quick: bool
) -> tuple[dict[str, float], float]:
    """ConSinGAN's preset small at the same size, trained on each picture: the mean, and the seconds for one."""
    rows, spent = [], 0.0
    preset, config = (
        "small",
        {"side": height, "shortest": 16, "stages": 4, "window": [64, 96], "iterations": [iterations], "polish": 0},
    )
    if quick:
        preset, config = "tiny", {"side": height, "iterations": [iterations]}
    for i, picture in enumerate(pictures):
        path, run = folder / f"{i}.png", folder / f"consingan{i}"
        Image.fromarray(picture).save(path)
        teach = partial(train, "consingan", path, preset=preset, config=config)
        spent += timed(run, teach)
        rows.append(measured(load(run), tensor(picture), count))
        print(f"picture {i}: patch distance {rows[-1]['patch distance']:.3f}, {spent:.0f} s so far", flush=True)
    return means(rows), spent / len(pictures)


def as_other(pictures: list[np.ndarray]) -> float:
    """The mean distance between two different pictures: what knowing nothing of a picture would score."""
    tensors = [tensor(picture) for picture in pictures]
    return float(np.mean([patch_distance(a[None], b) for a in tensors for b in tensors if a is not b]))


def steps_between(network: Any, pictures: list[np.ndarray]) -> list[common.Row]:
    """How smoothly a picture of fixed noise changes on the way from one picture to the next, by where the way begins."""
    shares, rows = np.linspace(0.1, 0.9, 9), []
    for scale in sorted({1, (network.scale + 2) // 2, network.scale + 1}):
        way = [
            smoothness(
                [tensor(vary(imagine(network, a, blend=b, t=float(t), scale=scale), seed=1)) for t in shares], shares
            )
            for a, b in itertools.pairwise(pictures)
        ]
        rows.append({"from scale": scale, "change per unit of t": float(np.mean(way))})
    return rows


def shown(network: Any, pictures: list[np.ndarray], path: Path) -> None:
    """A row for each picture: itself, its generator's own beginning, three samples, a strip."""
    rows = []
    for picture in pictures:
        model = imagine(network, picture)
        made = [vary(model, seed=seed) for seed in (0, 1, 2)]
        rows.append(np.concatenate([picture, *made, vary(model, width=3 * picture.shape[1], seed=3)], 1))
    Image.fromarray(np.concatenate(rows)).save(path)


def main() -> None:
    asked = common.arguments(
        __doc__, pictures={"type": Path, "required": True}, unseen={"type": Path, "required": True},
        further={"type": Path, "help": "unseen pictures that had no part in choosing any setting"},
        work={"type": Path, "help": "folder of the trainings, which are gone on with (default: a temporary one)"},
        consingan={"type": int, "default": 600, "help": "iterations a stage of a training on one picture"},
        sheet={"type": Path, "help": "where to put a picture of the unseen ones and what was made of them"},
    )  # fmt: skip
    where, start = common.machine(), time.perf_counter()
    count = 4 if asked.quick else SAMPLES
    with tempfile.TemporaryDirectory(prefix="mediagen-bench-") as name:
        folder = asked.work or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        preset = "tiny" if asked.quick else "small"
        # A training that is there goes on with its own settings, whatever they are.
        chosen = None if (folder / "mil" / "config.json").exists() else preset
        teach = partial(train, "mil", asked.pictures, preset=chosen)
        spent = timed(folder / "mil", teach)
        network: Any = load(folder / "mil")
        needs = {"by": "cover", "size": network.config.size, "several": True}
        seen, unseen = (WholePictures(path, **needs).pictures for path in (asked.pictures, asked.unseen))
        iterations = 3 if asked.quick else asked.consingan
        rows = []
        groups = [("in one pass, trained on", seen), ("in one pass, unseen", unseen)]
        if asked.further:
            further = WholePictures(asked.further, **needs).pictures
            groups.append(("in one pass, unseen and of no part in choosing settings", further))
        for label, pictures in groups:
            found, seconds = in_one_pass(network, pictures, count)
            rows.append({"generator": label, "pictures": len(pictures), **found, "CPU seconds a picture": seconds})
        found, seconds = one_by_one(unseen, folder, network.config.size[1], iterations, count, asked.quick)
        rows.append({"generator": "ConSinGAN, a training each", "pictures": len(unseen), **found,
                     "CPU seconds a picture": seconds})  # fmt: skip
        for label, pictures in groups[1:]:
            rows.append({"generator": f"another one of those {label.removeprefix('in one pass, ')}",
                         "pictures": len(pictures), "patch distance": as_other(pictures), "+-": None, "least": None,
                         "most": None, "diversity": None, "CPU seconds a picture": None})  # fmt: skip
        between = steps_between(network, unseen)
        if asked.sheet:
            shown(network, unseen, asked.sheet)
        made = network.mediagen.header["training"]
    width, height = network.config.size
    note = (
        f"{len(seen)} pictures to learn from, {width} x {height} px, {made['iterations']} iterations of {made['batch']}, "
        f"{spent / 60:.0f} CPU minutes; ConSinGAN {iterations} iterations a stage; {count} samples of each picture."
    )
    found = {
        "title": "Many photographs, one network",
        "about": "Meta Internal Learning: generators of pictures that were never seen, in one pass, and ConSinGAN's of each.",
        "figures": {row["generator"]: row for row in rows},
        "tables": [
            common.table("Patch distance and time", rows, note),
            common.table(
                "From one picture to the next",
                between,
                "Change of a pixel of [-1, 1] per unit of t; the paper's Fig. 8.",
            ),
            common.table("Published", PUBLISHED),
        ],
    }
    common.finish("meta_learning", asked, found, where, time.perf_counter() - start)


if __name__ == "__main__":
    main()
