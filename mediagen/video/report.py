"""What a clip says of its making, and what its rendering reports."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from mediagen.core.clips import CHUNK, ClipRequest
from mediagen.core.config import to_dict
from mediagen.core.provenance import command_line
from mediagen.io.video_codecs import SEGMENT, ClipLayout
from mediagen.machine import identity, made_with
from mediagen.video.model import Wish


@dataclass(frozen=True, kw_only=True)
class Report:
    """`frames` are those of the whole clip, `frames_made` those of this run, `frames_kept` those of a former one.

    `joined` says how the pieces of a one-piece model follow each other; None for a stream. Seconds are wall-clock.
    `interrupted`: there is more to make, and `path` is that of the part.
    """

    path: str
    frames: int
    frames_made: int
    frames_kept: int
    duration: float
    fps: float
    width: int
    height: int
    container: str
    codec: str
    crf: int | None
    bytes: int
    model: str
    precision: str
    joined: str | None
    piece: int | None
    seconds: float
    frames_per_second: float
    peak_memory_bytes: int
    interrupted: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def make_record(
    model: Any,
    wish: Wish,
    requests: Sequence[ClipRequest],
    layout: ClipLayout,
    *,
    scale: int,
    join: str | None,
    precision: str,
    device: torch.device,
) -> dict[str, Any]:
    """What a clip says of itself: the same request makes the same record, byte for byte. No times, no paths."""
    first, info = requests[0], getattr(model, "mediagen", None)
    options = {
        "frames": layout.frames,
        "fps": _plain(float(layout.fps)),
        "seed": first.seed,
        "content_seed": first.content_seed,
        "motion_seed": first.motion_seed,
        "grid": "{}x{}".format(*wish.grid) if len(requests) > 1 else None,
        "scale": scale,
        "category": ",".join(map(str, first.categories)) or None,
        "category_every": first.every if len(first.categories) > 1 else None,
        "image": Path(wish.image).name if isinstance(wish.image, str | Path) else None,
        "time_scale": _plain(abs(first.rate)) if abs(first.rate) != 1.0 else None,
        "reverse": first.rate < 0,
        "join": join,
        "codec": layout.codec if layout.container not in ("gif", "png") else None,
        "crf": layout.crf,
        "precision": precision,
    }
    name = identity(model)
    pixels = None if first.image is None else hashlib.sha256(first.image.tobytes()).hexdigest()
    size = {"width": layout.width, "height": layout.height, "segment": SEGMENT, "chunk": CHUNK}
    return {
        "kind": "clip",
        "command": command_line("video", {"model": name["name"], **options}),
        "model": name,
        "config": to_dict(info.config) if info is not None else None,
        "made_with": made_with(device, "numpy", "av", "pillow"),
        "plan": {**options, "image": pixels, **size, "container": layout.container},
    }


def _plain(value: float) -> float | int:
    """25 rather than 25.0."""
    return int(value) if value == int(value) else value
