"""Every family of clip models at its tiny preset: a few iterations on small videos that are made here.

As a script: `python families.py FAMILY,... DATA OUT ITERATIONS [KILLED_AT]` trains them one after the other in OUT/FAMILY.
It kills itself with SIGKILL after iteration KILLED_AT. Under torchrun every rank leaves all tensors of its networks in
OUT/FAMILY.RANK.safetensors.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from safetensors.torch import save_file

from mediagen import models
from mediagen.train import Report, loop, train

FAMILIES = {
    "vgan": {},
    "tgan": {"categories": 2},
    "mocogan": {"categories": 2},
    "tganv2": {"categories": 2, "ema_half_life": 8.0},
}


def make_videos(folder: Path) -> Path:
    """Three videos in each of two classes: a bright square that moves on noise, 16 frames of 24 x 20 pixels, lossless."""
    rng = np.random.default_rng(0)
    for number in range(6):
        path = folder / f"class{number % 2}" / f"{number}.mkv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 24, 20, "bgr0"
            for k in range(24):
                picture = rng.integers(0, 60, (20, 24, 3), np.uint8)
                picture[4:10, k % 18 : k % 18 + 6] = 40 * number + 30
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
    return folder


def run(
    family: str, data: Path, out: Path, iterations: int, killed_at: int = 0, config: dict[str, Any] | None = None
) -> Report:
    """A training of 2 shares of 2 clips in fp32 on the CPU."""
    spec, made = models.spec(family), []

    def objective(config: Any, device: torch.device) -> Any:
        made.append(spec.objective(config, device))
        return made[0]

    def progress(done: int, total: int, scalars: Any) -> None:
        if done == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

    report = train(
        family, data, out, preset="tiny", config=FAMILIES[family] | (config or {}), iterations=iterations, batch=4,
        accumulate=2, precision="fp32", device="cpu", snapshot_every=3, preview_every=3, log_every=1,
        spec=replace(spec, objective=objective), progress=progress,
    )  # fmt: skip
    if "RANK" in os.environ:
        networks = made[0].networks.items()
        tensors = {f"{name}/{k}": t.contiguous() for name, net in networks for k, t in net.state_dict().items()}
        save_file(tensors, f"{out}.{os.environ['RANK']}.safetensors")
    return report


if __name__ == "__main__":
    torch.set_num_threads(1)
    # One group of processes serves all trainings: gloo makes no second one in the same processes.
    loop.leave_world = lambda world: None
    for name in sys.argv[1].split(","):
        run(name, Path(sys.argv[2]), Path(sys.argv[3]) / name, *map(int, sys.argv[4:]))
