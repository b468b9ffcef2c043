"""How results are shown: small tables for people on stdout, one JSON object for programs."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .progress import clock

if TYPE_CHECKING:
    from mediagen.export.flight_report import Report as FlightReport
    from mediagen.video.report import Report as ClipReport

EXIT_FAILED, EXIT_USAGE, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 1, 2, 3, 130


class Interrupted(Exception):
    """The user asked to stop, and what was begun can be gone on with; the message says how."""

    def __init__(self, state: str, command: Sequence[str]) -> None:
        # Not with --overwrite, which would begin anew.
        again = shlex.join(word for word in command if word != "--overwrite")
        super().__init__(f"stopped, {state}; to go on: {again}")


UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def print_json(record: Any) -> None:
    print(json.dumps(record, indent=2, default=str))


def say(message: str) -> None:
    """A message for the person at the terminal: stderr."""
    print(message, file=sys.stderr, flush=True)


def near(path: str) -> str:
    """A path as one would type it here."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def size(count: float) -> str:
    """Bytes in decimal units: 1.2 GB."""
    for unit in UNITS[:-1]:
        if abs(count) < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} {UNITS[-1]}"


def pixels(count: float) -> str:
    """A number of pixels: 51.2 Mpx."""
    for unit in ("px", "kpx", "Mpx", "Gpx"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} Tpx"


def clip_summary(report: ClipReport | FlightReport, precision: str | None = None) -> str:
    """What was done for a clip; `precision` where it has a number format of its own."""
    quality = "" if report.crf is None else f" at crf {report.crf}"
    format_ = f"{precision}, " if precision else ""
    done = (
        f"{report.frames:,} frames of {report.width} x {report.height} px, {clock(report.duration)} "
        f"at {report.fps:g} a second, {report.codec}{quality}, {size(report.bytes)}: "
    )
    if report.frames_made:
        done += (
            f"made {report.frames_made:,} in {clock(report.seconds)} ({report.frames_per_second:,.0f} a second, "
            f"{format_}peak memory {size(report.peak_memory_bytes)})"
        )
    else:
        done += "it was all there"
    return done + (f"; {report.frames_kept:,} were there" if report.frames_kept and report.frames_made else "")


def pairs(rows: Iterable[tuple[str, object]]) -> str:
    """A list of names and values, aligned; rows whose value is None are left out.

    Both may come from a stranger's file: what would move the cursor or end a line is shown by its number.
    """
    kept = [(_visible(name), _visible(str(value))) for name, value in rows if value is not None]
    wide = max((len(name) for name, _ in kept), default=0)
    return "\n".join(f"{name:<{wide}}  {value}" for name, value in kept)


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as they must be; numbers to the right. No frame, so that it can be cut and piped."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    wide = [max(len(row[i]) for row in cells) for i in range(len(head))]
    right = [all(isinstance(row[i], int | float) for row in rows) and bool(rows) for i in range(len(head))]
    lines = []
    for row in cells:
        parts = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, wide, right, strict=True)]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)
