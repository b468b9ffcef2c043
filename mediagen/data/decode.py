"""One picture file -> RGB, whatever its mode and orientation. Untrusted files: sizes are looked at before decoding.

Arrays are (H, W, 3) uint8.
"""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mediagen.errors import DataError

MAX_PIXELS = 170_000_000
MAX_ENLARGEMENT = 2.0
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "QOI", "SGI", "TIFF", "WEBP")
"""Formats that are known by their first bytes and decoded by Pillow itself. EPS, say, would start another program."""


def decode(data: bytes, shortest: int = MAX_PIXELS) -> Image.Image:
    """The first frame of a picture file as an upright RGB image. Raises DataError with the reason alone.

    A JPEG may be decoded at a half, a quarter or an eighth of its size, as long as its shorter side stays at least
    twice `shortest`: reading a folder of photographs is then several times faster.
    """
    if not data:
        raise DataError("an empty file")
    try:
        picture = Image.open(io.BytesIO(data), formats=_formats())
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise DataError(f"{width} x {height} is more than {MAX_PIXELS // 10**6} million pixels")
        scale = 2 * shortest / min(picture.size)
        if scale < 1.0:
            picture.draft(None, (int(width * scale) + 1, int(height * scale) + 1))
        picture.load()
        return to_rgb(ImageOps.exif_transpose(picture))
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError("not a picture") from None
    except Image.DecompressionBombError:
        raise DataError(f"more than {MAX_PIXELS // 10**6} million pixels") from None
    except MemoryError:
        raise DataError("too large for the memory at hand") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on hostile bytes.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"cannot be decoded: {reason}") from None


def to_rgb(picture: Image.Image) -> Image.Image:
    """Any mode as RGB: alpha laid on white, 16 bits and floats scaled to 8."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return Image.fromarray(_to_eight_bits(np.asarray(picture), picture.mode)).convert("RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def fit(picture: Image.Image, *, height: int, crop: int, square: bool) -> np.ndarray:
    """Scales (Lanczos) to `height` rows and at least `crop` columns, as (height, W, 3). Raises DataError.

    A picture too narrow for the crop is scaled to `crop` columns and keeps its `height` middle rows, so that the
    horizon of a portrait stays where that of a landscape is.
    """
    width, rows = picture.size
    if square:
        side = min(width, rows)
        left, top = (width - side) // 2, (rows - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
        width = rows = side
    scale = max(height / rows, crop / width)
    if scale > MAX_ENLARGEMENT:
        raise DataError(f"{width} x {rows} is too small for crops of {crop} out of {height} rows")
    size = (max(crop, round(width * scale)), max(height, round(rows * scale)))
    if size[0] * size[1] > MAX_PIXELS:
        raise DataError(f"{width} x {rows} is too long for {height} rows")
    scaled = np.asarray(picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))
    above = (size[1] - height) // 2
    return np.ascontiguousarray(scaled[above : above + height])


def _to_eight_bits(values: np.ndarray, mode: str) -> np.ndarray:
    """16-bit integers divide by 257. Floats are taken as 0..1 unless they reach beyond, then as 0..255."""
    if mode == "F":
        values = np.nan_to_num(values, nan=0.0, posinf=255.0, neginf=0.0)
        return np.clip(np.rint(values * (255.0 if values.max(initial=0.0) <= 1.0 else 1.0)), 0, 255).astype(np.uint8)
    return np.rint(np.clip(values.astype(np.float64), 0, 65535) / 257.0).astype(np.uint8)


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)
