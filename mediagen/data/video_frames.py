"""One decoded frame -> upright RGB of the wanted size: any pixel format, orientation and pixel shape.

Arrays are (H, W, 3) uint8. No torch here: decoding processes import this.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from mediagen.errors import DataError

MAX_PIXELS = 2**25
"""Of a frame as it is stored: a little more than 7680 x 4320."""
MAX_SCALED = 2**24
"""Of a frame scaled and not yet cut: a strip of 10,000 x 1 may not become 640,000 x 64."""
# Bilinear in swscale averages over all that a small pixel covers. Without the full chroma, colours of a small picture
# would be of half its width.
SCALER = int(Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the cache holds: frames of `height` x `width`, at `fps` a second (None: as stored).

    `resize` (width, height): scale to exactly that first, whatever the shape; otherwise scale to cover. Then cut.
    """

    height: int
    width: int
    fps: float | None = None
    resize: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1 or self.height * self.width > MAX_SCALED:
            raise ValueError(f"frames of {self.width} x {self.height} cannot be made")
        if self.fps is not None and not 0.0 < self.fps <= 1000.0:
            raise ValueError("frames a second must be a number between 0 and 1000")
        if self.resize is not None and not (self.width <= self.resize[0] and self.height <= self.resize[1]):
            raise ValueError(
                f"what is scaled to {self.resize} is too small to cut {self.width} x {self.height} from it"
            )

    def scaled(self, width: float, height: float) -> tuple[int, int]:
        """Width and height to which an upright picture of this shape is scaled. Raises DataError."""
        if self.resize is not None:
            return self.resize
        scale = max(self.width / width, self.height / height)
        size = (max(self.width, round(width * scale)), max(self.height, round(height * scale)))
        if size[0] * size[1] > MAX_SCALED:
            raise DataError(f"{width:.0f} x {height:.0f} is too long to be cut to {self.width} x {self.height}")
        return size


@dataclass(frozen=True)
class Turn:
    """How a stored frame becomes upright: rows and columns exchanged first, then rows and columns mirrored."""

    transposed: bool = False
    rows: bool = False
    columns: bool = False

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        picture = picture.swapaxes(0, 1) if self.transposed else picture
        return picture[:: -1 if self.rows else 1, :: -1 if self.columns else 1]


UPRIGHT = Turn()


def turn_of(frame: VideoFrame) -> Turn:
    """The frame's display matrix as a turn: x' = a x + c y, y' = b x + d y, rounded to quarters; junk is no turn."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(data, np.int32)[:5].tolist()
    if a * d == b * c:
        return UPRIGHT
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Turn(transposed=True, rows=b < 0, columns=c < 0)
    return Turn(rows=d < 0, columns=a < 0) if d < 0 or a < 0 else UPRIGHT


class Framer:
    """Makes the frames of one file alike. One swscale context is kept; it is set up anew only where frames change."""

    def __init__(self, wanted: Wanted, aspect: Fraction | None) -> None:
        """`aspect` is the width of a stored pixel over its height."""
        self.wanted = wanted
        self.aspect = float(aspect) if aspect and 0.1 <= aspect <= 10 else 1.0
        self._scaler, self._flat = VideoReformatter(), VideoReformatter()
        self._kind: tuple[int, int, int, str] | None = None
        self._turn, self._size, self._layered = UPRIGHT, (0, 0), False

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        """(height, width, 3); valid until the array is dropped. Raises DataError for frames beyond the limits."""
        # The rotation is at hand; the whole matrix, which may mirror, too, costs more than scaling a small frame.
        kind = (frame.width, frame.height, frame.rotation, frame.format.name)
        if kind != self._kind:
            self._kind, self._turn = kind, turn_of(frame)
            self._size = self._scaled(frame.width, frame.height, self._turn.transposed)
            self._layered = has_alpha(frame)
        if self._layered:
            frame = self._on_white(frame)
        scaled = self._scaler.reformat(frame, *self._size, "rgb24", interpolation=SCALER, threads=1)
        picture, wanted = _pixels(scaled, 3), self.wanted
        if self._turn is not UPRIGHT:
            picture = self._turn(picture)
        rows, columns, _ = picture.shape
        if rows == wanted.height and columns == wanted.width:
            return picture
        top, left = (rows - wanted.height) // 2, (columns - wanted.width) // 2
        return picture[top : top + wanted.height, left : left + wanted.width]

    def _scaled(self, width: int, height: int, transposed: bool) -> tuple[int, int]:
        """What the stored frame is scaled to, before it is turned."""
        if width * height > MAX_PIXELS:
            raise DataError(f"{width} x {height} is more than {MAX_PIXELS // 10**6} million pixels")
        shown = width * self.aspect
        if transposed:
            height, width = self.wanted.scaled(height, shown)
            return width, height
        return self.wanted.scaled(shown, height)

    def _on_white(self, frame: VideoFrame) -> VideoFrame:
        """The frame laid on white, as pictures are; itself where nothing shows through."""
        layered = _pixels(self._flat.reformat(frame, format="rgba", threads=1), 4)
        alpha = layered[..., 3:]
        if alpha.min() == 255:
            return frame
        colours = layered[..., :3].astype(np.uint16) * alpha + (255 - alpha).astype(np.uint16) * 255
        return VideoFrame.from_ndarray(((colours + 127) // 255).astype(np.uint8), format="rgb24")


def _pixels(frame: VideoFrame, channels: int) -> np.ndarray:
    """A packed frame's own memory as (H, W, channels)."""
    plane: Any = frame.planes[0]  # a buffer, though not declared as one
    width, height = frame.width * channels, frame.height
    flat = np.frombuffer(plane, np.uint8)
    if len(flat) == width * height:
        return flat.reshape(height, frame.width, channels)
    return flat.reshape(-1, plane.line_size)[:height, :width].reshape(height, frame.width, channels)


def has_alpha(frame: VideoFrame) -> bool:
    """Whether its format can be transparent; a palette can."""
    return frame.format.has_palette or any(part.is_alpha for part in frame.format.components)
