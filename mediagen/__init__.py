"""mediagen: unbounded generative pictures and clips of any length, in constant memory.

    model = mediagen.load("infinitygan")
    pixels = mediagen.render(model, x=0, y=-256, width=4096, height=512, seed=7)
    report = mediagen.paint(model, "pano.zarr", width=100_000, seed=7)

    for frame in mediagen.frames("mocogan", seed=7, frames=500): ...
    report = mediagen.render_video("mocogan", "clip.mp4", frames=500, seed=7)

Importing the package imports neither torch nor anything else that is slow; the functions above do when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mediagen.canvas.extend import extend
    from mediagen.canvas.paint import paint
    from mediagen.canvas.render import render
    from mediagen.checkpoint import load
    from mediagen.imagination import imagine
    from mediagen.video.frames import frames
    from mediagen.video.render import render_video

__version__ = "0.1.0"
__all__ = ["__version__", "extend", "frames", "imagine", "load", "paint", "render", "render_video"]

_FACE = {
    "load": "mediagen.checkpoint",
    "render": "mediagen.canvas.render",
    "paint": "mediagen.canvas.paint",
    "extend": "mediagen.canvas.extend",
    "frames": "mediagen.video.frames",
    "imagine": "mediagen.imagination",
    "render_video": "mediagen.video.render",
}


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_FACE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
