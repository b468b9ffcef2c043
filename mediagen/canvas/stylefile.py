"""Reads a style map from a file: centres as x, y (pixels of the plane) and seed, in JSON, CSV or TSV.

JSON is a list of {"x": 0, "y": 0, "seed": 1}, or {"blend": 127, "centres": [...]}. CSV and TSV have a row a centre, with
or without a header row that orders the columns.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mediagen.canvas.styles import BLEND, CentreStyle
from mediagen.core.geometry import PLANE_LIMIT
from mediagen.core.styles import Centre
from mediagen.errors import UsageError

MAX_BYTES = 2**24
MAX_CENTRES = 100_000
COLUMNS = ("x", "y", "seed")


def read_style_map(path: Path | str, blend: int | None = None) -> CentreStyle:
    """The centres of a file. `blend` overrides the file's own. Raises UsageError, naming the row."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise UsageError(f"{path}: a style map of more than {MAX_BYTES >> 20} MiB is not read")
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot read the style map: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a text file; a style map is JSON, CSV or TSV with x, y and seed") from None
    rows, own = _json_rows(path, text) if text.lstrip()[:1] in ("[", "{") else (_table_rows(path, text), BLEND)
    points: list[Centre] = []
    for name, row in rows:
        if len(points) == MAX_CENTRES:
            raise UsageError(f"{path}: more than {MAX_CENTRES} centres")
        points.append(_centre(f"{path}, {name}", row))
    if not points:
        raise UsageError(f"{path}: there are no centres in it; give at least one row of x, y, seed")
    return CentreStyle(tuple(points), own if blend is None else blend)


def _json_rows(path: Path, text: str) -> tuple[Iterable[tuple[str, Any]], int]:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not valid JSON: {error}") from None
    blend: Any = BLEND
    if isinstance(value, dict):
        unknown = sorted(value.keys() - {"blend", "centres"})
        if unknown:
            raise UsageError(f"{path}: unknown key {unknown[0]!r}; a style map has 'centres' and perhaps 'blend'")
        value, blend = value.get("centres"), value.get("blend", BLEND)
    if not isinstance(value, list):
        raise UsageError(f"{path}: the centres must be a list")
    if type(blend) is not int or not 0 <= blend <= 2**20:
        raise UsageError(f"{path}: 'blend' must be a whole number of pixels from 0 to {2**20}, not {blend!r}")
    return ((f"centre {i}", row) for i, row in enumerate(value, 1)), blend


def _table_rows(path: Path, text: str) -> Iterable[tuple[str, Any]]:
    lines = text.splitlines()
    order = COLUMNS
    reader = csv.reader(lines, delimiter="\t" if lines and "\t" in lines[0] else ",")
    try:
        for number, cells in enumerate(reader, 1):
            words = [cell.strip() for cell in cells]
            if not any(words) or words[0].startswith("#"):
                continue
            if number == 1 and {word.lower() for word in words} == set(COLUMNS):
                order = tuple(word.lower() for word in words)  # type: ignore[assignment]
                continue
            if len(words) != len(order):
                raise UsageError(f"{path}, row {number}: {len(words)} values, but a centre is x, y, seed")
            yield f"row {number}", dict(zip(order, words, strict=True))
    except csv.Error as error:
        raise UsageError(f"{path}, row {reader.line_num}: {error}") from None


def _centre(where: str, row: Any) -> Centre:
    if not isinstance(row, dict) or set(row) != set(COLUMNS):
        found = ", ".join(map(str, row))[:80] if isinstance(row, dict) else repr(row)[:80]
        raise UsageError(f"{where}: a centre is x, y and seed, but this has: {found or 'nothing'}")
    return Centre(_position(where, "x", row["x"]), _position(where, "y", row["y"]), _seed(where, row["seed"]))


def _position(where: str, name: str, value: Any) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= PLANE_LIMIT:
        raise UsageError(f"{where}: {name} must be a number of pixels, within +-2**62, not {str(value)[:40]!r}")
    return number


def _seed(where: str, value: Any) -> int:
    try:
        if isinstance(value, str | int) and not isinstance(value, bool):
            return int(str(value)[:40])
    except ValueError:
        pass
    raise UsageError(f"{where}: seed must be a whole number, not {str(value)[:40]!r}")
