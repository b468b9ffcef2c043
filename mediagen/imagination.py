"""A picture's own generator in one pass, from a network that was trained on a folder of others (mediagen.models.mil).

What it leaves is a checkpoint like that of a training on the picture: it paints canvases and films.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mediagen.checkpoint import load, save_checkpoint
from mediagen.core.provenance import command_line, versions
from mediagen.data.decode import decode
from mediagen.data.files import read_regular
from mediagen.data.whole import covering
from mediagen.errors import DataError, UsageError
from mediagen.models.consingan import SPEC
from mediagen.nn.hyper_generator import HyperGenerator
from mediagen.nn.pyramid_generator import PyramidGenerator

Picture = str | Path | np.ndarray

BLEND = 0.5
"""Share of the other picture when none is said: a place half-way between the two."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was made: `seconds` from the opened picture to its weights; `error` is how far, as a root mean square of grey
    levels of 255, the generator's own beginning lies from the picture. It is None for a blend.
    """

    path: str
    width: int
    height: int
    scales: int
    parameters: int
    bytes: int
    seconds: float
    error: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def imagine(
    model: Any, picture: Picture, *, blend: Picture | None = None, t: float | None = None, scale: int = 1
) -> PyramidGenerator:
    """The generator of a picture (a file, or uint8 (height, width, 3)), without any training.

    With `blend`, the one that lies `t` of the way to that picture's, from `scale` on: 1, the coarsest, changes all, the
    finest the texture alone. `model` is a HyperGenerator or what `load` takes. Raises MediagenError.
    """
    network = as_model(model)
    return _imagined(network, picture, blend, _share(network, blend, t, scale), scale)


@torch.no_grad()
def _imagined(
    network: HyperGenerator, picture: Picture, blend: Picture | None, share: float, scale: int
) -> PyramidGenerator:
    own = network.embedded(_tensor(network, picture))[0]
    if blend is None:
        return network.of_picture([own] * network.config.scales)
    mixed = torch.lerp(own, network.embedded(_tensor(network, blend))[0], share)
    return network.of_picture([own if n < scale - 1 else mixed for n in range(network.config.scales)])


def imagine_file(
    model: Any,
    picture: Path | str,
    out: Path | str | None = None,
    *,
    blend: Path | str | None = None,
    t: float | None = None,
    scale: int = 1,
    overwrite: bool = False,
) -> Report:
    """`imagine` as a checkpoint: `out`, or the picture's name with .safetensors, here. Raises MediagenError."""
    path = Path(out) if out is not None else Path(Path(picture).stem + ".safetensors")
    if path.suffix != ".safetensors" or path.is_dir():
        raise UsageError(f"{path}: a checkpoint's name ends in .safetensors; choose another --out")
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: is there already; choose another --out, or say --overwrite")
    network = as_model(model)
    files = [Path(picture)] if blend is None else [Path(picture), Path(blend)]
    prints = [hashlib.sha256(_read(file)).hexdigest() for file in files]
    share = _share(network, blend, t, scale)
    start = time.perf_counter()
    made = _imagined(network, picture, blend, share, scale)
    seconds = time.perf_counter() - start
    options = {} if blend is None else {"blend": "OTHER", "t": share, "from_scale": scale}
    info = getattr(network, "mediagen", None)
    save_checkpoint(
        path,
        made.state_dict(),
        model="consingan",
        config=made.config,
        ema=False,
        data={"pictures": len(files), "sha256": ", ".join(prints)},
        training={
            "made_by": "mil, in one pass",
            "with": info.sha256 if info else None,
            "learnt_from": dict(info.header.get("data", {})) if info else {},
            "command": command_line("imagine", options, "MODEL", "PICTURE"),
            "made_with": versions("mediagen", "torch", "numpy", "pillow"),
        },
        latents=SPEC.latents,
    )
    scene = made.scene
    return Report(
        path=str(path.resolve()),
        width=scene.width,
        height=scene.height,
        scales=made.stage + 1,
        parameters=sum(p.numel() for p in made.parameters()),
        bytes=path.stat().st_size,
        seconds=seconds,
        error=_error(network, picture) if blend is None else None,
    )


def as_model(model: Any) -> HyperGenerator:
    """A loaded HyperGenerator as it is; a checkpoint's name, file or folder loaded. Raises UsageError, CheckpointError."""
    network = load(model) if isinstance(model, str | Path) else model
    if not isinstance(network, HyperGenerator):
        raise UsageError(
            f"{type(network).__name__} makes no generators; train what does: mediagen train mil FOLDER --out RUN"
        )
    return network


@torch.no_grad()
def _error(network: HyperGenerator, picture: Picture) -> float:
    """How far the picture is from what its generator makes of z_1^0."""
    pictures = _tensor(network, picture)
    e = network.embedded(pictures)
    errors = network.errors(network.scale, pictures, [heads(e) for heads in list(network.heads)[: network.scale + 1]])
    return float(errors[-1].sqrt()) * 127.5


def _share(network: HyperGenerator, blend: Picture | None, t: float | None, scale: int) -> float:
    """How far to go towards the other picture. Raises UsageError."""
    if blend is None and (t is not None or scale != 1):
        raise UsageError("--t and --from-scale say how to --blend; name another picture with it")
    if not 1 <= scale <= network.config.scales:
        raise UsageError(f"--from-scale lies between 1 and {network.config.scales}, this model's scales; got {scale}")
    if t is not None and not 0.0 <= t <= 1.0:
        raise UsageError(f"--t lies between 0, the first picture, and 1, the other one; got {t:g}")
    return BLEND if t is None else t


def _tensor(network: HyperGenerator, picture: Picture) -> torch.Tensor:
    """A picture as the training saw its own: (1, 3, H, W) in [-1, 1], cut to the model's shape. Raises DataError."""
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise UsageError(f"a picture is uint8 (height, width, 3), not {picture.dtype} {picture.shape}")
        opened = Image.fromarray(picture)
    else:
        try:
            opened = decode(_read(picture), min(network.config.size))
        except DataError as error:
            raise error if str(picture) in str(error) else DataError(f"{picture}: {error}") from None
    try:
        pixels = covering(opened, *network.config.size)
    except DataError as error:
        raise DataError(f"{'the picture' if isinstance(picture, np.ndarray) else picture}: {error}") from None
    return torch.from_numpy(np.array(pixels)).to(network.z0.device).permute(2, 0, 1)[None].float() / 127.5 - 1


def _read(path: Path | str) -> bytes:
    try:
        return read_regular(Path(path))
    except DataError as error:
        raise DataError(f"{path}: {error}; give a photograph") from None
