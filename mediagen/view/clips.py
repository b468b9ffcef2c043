"""A folder of clips, or one, for the contact sheet: what is in each, and its bytes by number.

The files are listed once, when the server starts; a request names a clip by its number in that list, never by a path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import av
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from mediagen.errors import UsageError
from mediagen.io.video_file import read_record
from mediagen.view.answers import line, shown

KINDS = {".mp4": "video/mp4", ".webm": "video/webm", ".mkv": "video/x-matroska", ".gif": "image/gif"}
MOST = 1000
"""Clips on a sheet."""

_NUMBER = re.compile(r"\d{1,6}")


def routes(target: Path) -> list[Route]:
    """The routes of the clips page for a clip or a folder of clips. Raises UsageError when there are none."""
    sheet = Sheet(target)

    async def listed(request: Request) -> Response:
        return shown(await run_in_threadpool(sheet.to_json))

    async def media(request: Request) -> Response:
        place = sheet.place(request.path_params["number"])
        if place is None:
            return line("there is no such clip", 404)
        return FileResponse(place, media_type=KINDS[place.suffix.lower()])

    return [Route("/api/clips", listed), Route("/media/{number}", media)]


class Sheet:
    """The clips of a contact sheet, in the order of their names."""

    def __init__(self, target: Path) -> None:
        self.name = target.resolve().name
        self.root = target if target.is_dir() else target.parent
        self.places = find_clips(target)
        self._told: dict[int, dict[str, Any]] = {}
        self._lock = Lock()

    def place(self, number: str) -> Path | None:
        """The file of a clip, by its number as a request says it; None for any other word, and when it has gone."""
        index = int(number) if _NUMBER.fullmatch(number) and number.isascii() else len(self.places)
        place = self.places[index] if index < len(self.places) else None
        # What was put in its place since is not followed out of the folder.
        return place if place is not None and place.is_file() and not place.is_symlink() else None

    def to_json(self) -> dict[str, Any]:
        """What the page shows; each file is opened once."""
        with self._lock:
            for number, place in enumerate(self.places):
                if number not in self._told:
                    self._told[number] = describe(place, place.relative_to(self.root).as_posix(), number)
            return {"name": self.name, "clips": [self._told[n] for n in range(len(self.places))]}


def find_clips(target: Path) -> list[Path]:
    """A clip itself, or all clips below a folder, by name. Raises UsageError."""
    if target.is_file():
        if target.suffix.lower() not in KINDS:
            raise UsageError(f"{target}: no clip: its name must end in {', '.join(sorted(KINDS))}")
        return [target.resolve()]
    found: list[Path] = []
    for folder, folders, files in os.walk(target):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not name.endswith(".zarr"))
        places = [Path(folder) / name for name in files if Path(name).suffix.lower() in KINDS]
        found += [place for place in places if not place.name.startswith(".") and not place.is_symlink()]
    if not found:
        raise UsageError(f"{target}: there are no clips in it ({', '.join(sorted(KINDS))})")
    if len(found) > MOST:
        raise UsageError(f"{target}: {len(found)} clips are too many for one sheet; give a folder with at most {MOST}")
    return sorted(found)


def describe(place: Path, name: str, number: int) -> dict[str, Any]:
    """Size, length and provenance of one clip; what a damaged file does not tell is null."""
    told: dict[str, Any] = {"width": None, "height": None, "frames": None, "fps": None, "seconds": None}
    try:
        told |= _measured(place)
    except (av.FFmpegError, OSError, ValueError, IndexError):
        told["damaged"] = True
    record = read_record(place)
    if record is not None:
        plan = record["plan"]
        told |= {key: plan[key] for key in ("width", "height", "frames", "fps")}
        told["seconds"] = plan["frames"] / plan["fps"]
    kind = "picture" if place.suffix.lower() == ".gif" else "clip"
    return {
        "name": name,
        "url": f"/media/{number}",
        "kind": kind,
        "bytes": place.stat().st_size if place.exists() else 0,
        **told,
        "provenance": _provenance(record),
    }


def _measured(place: Path) -> dict[str, Any]:
    """What the container says of its first video stream."""
    with av.open(f"file:{place}") as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate) if stream.average_rate else None
        seconds = container.duration / 1_000_000 if container.duration else None
        frames = stream.frames or (round(seconds * fps) if seconds and fps else None)
        return {"width": stream.width, "height": stream.height, "frames": frames, "fps": fps, "seconds": seconds}


def _provenance(record: Any) -> dict[str, Any] | None:
    """What of a clip's record is worth reading beside it."""
    if record is None:
        return None
    plan, model = record["plan"], record.get("model") or {}
    wanted: Sequence[str] = ("seed", "content_seed", "motion_seed", "category", "grid", "codec", "precision")
    return {
        "model": model.get("name"),
        **{key: plan[key] for key in wanted if plan.get(key) is not None},
        "command": record.get("command"),
    }
