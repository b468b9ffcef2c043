"""What a flight's clip says of its making, and what its making reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mediagen.core.provenance import command_line
from mediagen.export.ground import Ground
from mediagen.io.video_codecs import SEGMENT, ClipLayout


@dataclass(frozen=True, kw_only=True)
class Report:
    """`frames` are those of the whole clip, `frames_made` those of this run, `frames_kept` those of a former one.

    `over` is the canvas or the model. Seconds are wall-clock. `interrupted`: there is more to make, and `path` is the part's.
    """

    path: str
    over: str
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
    seconds: float
    frames_per_second: float
    peak_memory_bytes: int
    interrupted: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def make_record(
    ground: Ground, layout: ClipLayout, camera: dict[str, Any], keys: Path | None, out: str
) -> dict[str, Any]:
    """What a clip says of itself: the same request makes the same record, byte for byte. No times, no paths but names."""
    fps = _plain(float(layout.fps))
    glide = {key: _plain(value) for key, value in camera.items() if key != "keys"}
    options = {
        **ground.options,
        **glide,
        "path": None if keys is None else keys.name,
        "size": f"{layout.width}x{layout.height}",
        "fps": fps,
        "codec": layout.codec if layout.container not in ("gif", "png") else None,
        "crf": layout.crf,
    }
    size = {"width": layout.width, "height": layout.height, "frames": layout.frames, "fps": fps, "segment": SEGMENT}
    coded = {"container": layout.container, "codec": layout.codec, "crf": layout.crf}
    return {
        "kind": "clip",
        "command": command_line("flyover", options, *([ground.name] if ground.stored else []), out),
        "model": ground.model,
        "made_with": ground.made_with,
        "plan": {"camera": camera, "over": ground.over, **coded, **size},
        **ground.about,
    }


def _plain(value: Any) -> Any:
    """25 rather than 25.0."""
    return int(value) if isinstance(value, float) and value == int(value) else value
