"""Which video files there are: containers by a name's ending, codecs with their encoders, and a clip's layout in one.

A clip is coded in segments of SEGMENT frames, each by an encoder of its own that starts with a keyframe: what follows
never depends on what came before, so a clip that was cut short and gone on with has the bytes of an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from mediagen.errors import UsageError

Container = Literal["mp4", "mkv", "webm", "gif", "png"]

SEGMENT = 64
"""Frames of a segment: what is lost at most when a run is killed, and the distance of keyframes."""

THREADS_FROM = 640 * 480
"""From so many pixels on, libav codes a segment in THREADS threads; the number is fixed because it decides x264's bytes."""

THREADS = 4
MAX_SIDE = 16384
GIF_FASTEST = 50
"""Frames a second: browsers show a GIF's frames of 10 ms as if they were ten times as long."""


@dataclass(frozen=True, kw_only=True)
class Codec:
    """An encoder of libav. `pixels` is what it is given; `crf` its default quality (lower is better), `worst` the last one."""

    encoder: str
    pixels: str
    containers: tuple[Container, ...]
    options: Mapping[str, str]
    crf: int | None = None
    worst: int = 0


# No B-frames: every frame can be shown as soon as it is there, so a file that ends anywhere shows all that it holds.
# annexb=0: x264's packets are as containers hold them, so they can be copied from one into another. mbtree=0: with AVX-512
# x264's macroblock tree reads memory that was never written, and one segment in a hundred came out in other bytes.
CODECS: Mapping[str, Codec] = {
    "h264": Codec(
        encoder="libx264",
        pixels="yuv420p",
        containers=("mp4", "mkv"),
        options={"preset": "veryfast", "bf": "0", "sc_threshold": "0", "x264-params": "annexb=0:mbtree=0"},
        crf=18,
        worst=51,
    ),
    "vp9": Codec(
        encoder="libvpx-vp9",
        pixels="yuv420p",
        containers=("webm", "mp4", "mkv"),
        options={"b": "0", "deadline": "good", "cpu-used": "5"},
        crf=28,
        worst=63,
    ),
    "av1": Codec(
        encoder="libsvtav1",
        pixels="yuv420p",
        containers=("webm", "mp4", "mkv"),
        options={"preset": "8"},
        crf=28,
        worst=63,
    ),
    "ffv1": Codec(encoder="ffv1", pixels="bgr0", containers=("mkv",), options={}),
}
BY_CONTAINER: Mapping[Container, str] = {"mp4": "h264", "mkv": "h264", "webm": "vp9"}


@dataclass(frozen=True, kw_only=True)
class ClipLayout:
    """What is in a clip's file: `frames` frames of `width` x `height` pixels, `fps` of them a second."""

    container: Container
    codec: str
    crf: int | None
    width: int
    height: int
    frames: int
    fps: Fraction

    @property
    def coded_size(self) -> tuple[int, int]:
        """(width, height) as coded: half the colour samples need even sides, so an odd one repeats its last row or column."""
        step = 2 if self.codec in CODECS and CODECS[self.codec].pixels == "yuv420p" else 1
        return -(-self.width // step) * step, -(-self.height // step) * step

    @property
    def takes_planes(self) -> bool:
        """Whether frames may be given as the coder's own planes, (H * 3 / 2, W): luma, then the two of chroma.

        Their rows have no room behind them, where x264 would look; so they must be whole groups of 16 samples.
        """
        coded = self.codec in CODECS and CODECS[self.codec].pixels == "yuv420p"
        return coded and self.width % 32 == 0 and self.height % 2 == 0

    @property
    def threads(self) -> int:
        return THREADS if self.width * self.height >= THREADS_FROM else 1


def container_of(path: Path) -> Container:
    """The container that a name's ending asks for; no ending is a folder of PNGs. Raises UsageError for any other."""
    ending = path.suffix.lower().removeprefix(".")
    match ending:
        case "mp4" | "mkv" | "webm" | "gif":
            return ending
        case "":
            return "png"
    raise UsageError(
        f"{path.name}: .{ending} is no ending of a clip; say .mp4, .mkv, .webm or .gif, or no ending for a folder of PNGs"
    )


def rate_of(path: Path, fps: float) -> Fraction:
    """Frames a second, as exactly as files say it. Raises UsageError."""
    container = container_of(path)
    if not 0.1 <= fps <= 1000:
        raise UsageError(f"a clip has 0.1 to 1000 frames a second (--fps), not {fps:g}")
    if container == "gif" and fps > GIF_FASTEST:
        raise UsageError(
            f"a GIF shows at most {GIF_FASTEST} frames a second, not {fps:g}; lower --fps, or write an .mp4"
        )
    return Fraction(fps).limit_denominator(1001)


def layout_of(
    path: Path, *, width: int, height: int, frames: int, fps: Fraction, codec: str | None, crf: int | None
) -> ClipLayout:
    """The layout of a clip at `path`, its codec chosen by the ending unless it is given. Raises UsageError."""
    container = container_of(path)
    if frames < 1:
        raise UsageError(f"a clip has at least 1 frame (--frames), not {frames}")
    if max(width, height) > MAX_SIDE:
        raise UsageError(f"frames of {width} x {height} px are too large; {MAX_SIDE} px a side is the most")
    if container in ("gif", "png"):
        if codec not in (None, container) or crf is not None:
            raise UsageError(f"--codec and --crf mean nothing for {_called(container)}")
        return ClipLayout(
            container=container, codec=container, crf=None, width=width, height=height, frames=frames, fps=fps
        )
    chosen = codec or BY_CONTAINER[container]
    if chosen not in CODECS:
        raise UsageError(f"there is no codec {chosen!r}; choose from: {', '.join(CODECS)}")
    if container not in CODECS[chosen].containers:
        fitting = " or ".join("." + name for name in CODECS[chosen].containers)
        raise UsageError(f"a .{container} holds no {chosen}; name the clip {fitting}, or choose another --codec")
    return ClipLayout(
        container=container, codec=chosen, crf=_quality(chosen, crf), width=width, height=height, frames=frames, fps=fps
    )  # fmt: skip


def _quality(codec: str, crf: int | None) -> int | None:
    known = CODECS[codec]
    if known.crf is None:
        if crf is not None:
            raise UsageError(f"{codec} keeps every bit; --crf means nothing for it")
        return None
    if crf is not None and not 0 <= crf <= known.worst:
        raise UsageError(f"--crf is 0 (best) to {known.worst} for {codec}, not {crf}")
    return known.crf if crf is None else crf


def _called(container: Container) -> str:
    return "a GIF" if container == "gif" else "a folder of PNGs"
