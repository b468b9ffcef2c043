"""The scalars of a training as one picture: a small chart each, drawn with Pillow."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from mediagen.io.files import write_file

WIDTH, HEIGHT, COLUMNS = 420, 190, 3
MARGIN = (62, 26, 14, 24)  # left, top, right, bottom, in pixels
INK, FAINT, RAW, SMOOTH = "#222222", "#dddddd", "#b9cdea", "#1f5fbf"
MAX_POINTS = 2000


def draw_curves(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws every scalar of the log rows over the iterations: raw values pale, their running mean dark."""
    series = _series(rows)
    if not series:
        return
    lines = math.ceil(len(series) / COLUMNS)
    sheet = Image.new("RGB", (WIDTH * min(COLUMNS, len(series)), HEIGHT * lines), "white")
    span = (min(p[0][0] for p in series.values()), max(p[-1][0] for p in series.values()))
    for i, (name, points) in enumerate(series.items()):
        _chart(ImageDraw.Draw(sheet), (i % COLUMNS * WIDTH, i // COLUMNS * HEIGHT), name, points, span)
    data = io.BytesIO()
    sheet.save(data, "PNG")
    write_file(path, data.getbuffer())


def _series(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in ("iteration", "pictures", "clips") and isinstance(value, int | float):
                found.setdefault(name, []).append((row["iteration"], value))
    return {name: found[name][:: max(1, len(found[name]) // MAX_POINTS)] for name in sorted(found)}


def _chart(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    name: str,
    points: list[tuple[float, float]],
    span: tuple[float, float],
) -> None:
    """One chart with its upper left corner at `corner`; `span` is the first and the last iteration of all charts."""
    left, top = corner[0] + MARGIN[0], corner[1] + MARGIN[1]
    right, bottom = corner[0] + WIDTH - MARGIN[2], corner[1] + HEIGHT - MARGIN[3]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = _range(ys)
    first, last = span[0], max(span[1], span[0] + 1)
    font = ImageFont.load_default()

    def place(x: float, y: float) -> tuple[float, float]:
        y = min(max(y, low), high)
        return left + (x - first) / (last - first) * (right - left), bottom - (y - low) / (high - low) * (bottom - top)

    for k in range(5):
        value = low + (high - low) * k / 4
        y = place(first, value)[1]
        draw.line([(left, y), (right, y)], fill=FAINT)
        draw.text((left - 6, y), f"{value:.3g}", fill=INK, font=font, anchor="rm")
    draw.text((left, top - 8), f"{name}  (now {ys[-1]:.4g})", fill=INK, font=font, anchor="lm")
    draw.text((left, bottom + 12), f"{first:g}", fill=INK, font=font, anchor="lm")
    draw.text((right, bottom + 12), f"{last:g}", fill=INK, font=font, anchor="rm")
    if len(points) > 1:
        draw.line([place(x, y) for x, y in points], fill=RAW, width=1)
        draw.line([place(x, y) for x, y in zip(xs, _smoothed(ys), strict=True)], fill=SMOOTH, width=2)
    else:
        draw.circle(place(*points[0]), 3, fill=SMOOTH)


def _range(values: Sequence[float]) -> tuple[float, float]:
    """From the 1st to the 99th percentile: one spike must not flatten the rest."""
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 100], ordered[-1 - len(ordered) // 100]
    pad = 0.05 * (high - low) or max(abs(high), 1e-3) * 0.1
    return low - pad, high + pad


def _smoothed(values: Sequence[float]) -> list[float]:
    keep = 1.0 - 1.0 / max(1.0, len(values) / 25)
    mean, out = values[0], []
    for value in values:
        mean = keep * mean + (1.0 - keep) * value
        out.append(mean)
    return out
