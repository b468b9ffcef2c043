"""A training's folder for its page: curves, previews and settings, read anew each time, for it may still be training."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from mediagen.errors import UsageError
from mediagen.view.answers import line, shown

POINTS = 500
"""Of a curve that is sent: the lowest and the highest of each of so many halves of its values, so no spike is lost."""

SEEN = ("iteration", "pictures", "clips")
MOST_BYTES = 2**28
BEYOND = 1e300
"""What is larger, or no number, is not drawn."""
_PREVIEW = re.compile(r"(\d{1,12})\.(png|mp4)")


def is_run(path: Path) -> bool:
    """Whether a folder is a training's."""
    return path.is_dir() and (path / "config.json").is_file()


def routes(target: Path) -> list[Route]:
    """The routes of a run's page. Raises UsageError when the folder is not a training's."""
    if _settings(target) is None:
        raise UsageError(f"{target}: not a training's folder: it holds no config.json of mediagen")
    run = Run(target)

    async def told(request: Request) -> Response:
        return shown(await run_in_threadpool(run.to_json))

    async def media(request: Request) -> Response:
        place = run.preview(request.path_params["name"])
        if place is None:
            return line("there is no such preview", 404)
        return FileResponse(place, media_type="video/mp4" if place.suffix == ".mp4" else "image/png")

    return [Route("/api/run", told), Route("/media/{name}", media)]


class Run:
    """What a training's folder tells. The log is read on from where it was read to, unless it was written anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.curves: dict[str, list[list[float]]] = {}
        self.iteration = 0
        self._read, self._file = 0, 0
        self._lock = Lock()

    def to_json(self) -> dict[str, Any]:
        """What the page shows; any thread may ask."""
        with self._lock:
            self.read_log()
            return self._told()

    def _told(self) -> dict[str, Any]:
        settings = _settings(self.folder) or {}
        previews = self.previews()
        iteration = max([self.iteration, *(preview["iteration"] for preview in previews)])
        of = settings.get("iterations")
        config = settings.get("config")
        plain = {key: value for key, value in settings.items() if isinstance(value, str | int | float)}
        return {
            "name": self.folder.resolve().name,
            "model": settings.get("model"),
            "preset": settings.get("preset"),
            "iteration": iteration,
            "of": of,
            "finished": isinstance(of, int) and iteration >= of,
            "idle_seconds": self._idle(),
            "curves": {name: thinned(points) for name, points in sorted(self.curves.items())},
            "previews": previews,
            "settings": {**plain, **(config if isinstance(config, dict) else {})},
        }

    def read_log(self) -> None:
        """Takes in the rows that came since; a row that is only half written waits for the next time."""
        try:
            with (self.folder / "log.jsonl").open("rb") as file:
                found = os.fstat(file.fileno())
                # A training that goes on writes its log anew, without the rows of what did not happen.
                if found.st_ino != self._file or found.st_size < self._read:
                    self.curves, self.iteration, self._read, self._file = {}, 0, 0, found.st_ino
                file.seek(self._read)
                data = file.read(MOST_BYTES)
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for text in whole.splitlines():
            self._take(text)

    def _take(self, text: bytes) -> None:
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(row, dict) or type(row.get("iteration")) is not int:
            return
        if row["iteration"] < self.iteration:  # rows that were written once more
            self.curves = {name: [p for p in points if p[0] < row["iteration"]] for name, points in self.curves.items()}
        self.iteration = row["iteration"]
        for name, value in row.items():
            if name not in SEEN and isinstance(value, int | float) and abs(value) < BEYOND:
                self.curves.setdefault(name, []).append([row["iteration"], value])

    def previews(self) -> list[dict[str, Any]]:
        """Pictures and clips by iteration."""
        folder = self.folder / "previews"
        found = [_PREVIEW.fullmatch(path.name) for path in folder.iterdir()] if folder.is_dir() else []
        kinds = {"png": "picture", "mp4": "clip"}
        told = [
            {"iteration": int(match[1]), "url": f"/media/{match[0]}", "kind": kinds[match[2]]}
            for match in found
            if match is not None
        ]
        return sorted(told, key=lambda preview: (preview["iteration"], preview["kind"]))

    def preview(self, name: str) -> Path | None:
        """The file of a preview by its name, which is nothing but a number and an ending; None for any other."""
        if not _PREVIEW.fullmatch(name) or not name.isascii():
            return None
        place = self.folder / "previews" / name
        return place if place.is_file() and not place.is_symlink() else None

    def _idle(self) -> float | None:
        """Seconds since the log grew; None before it did."""
        try:
            return max(0.0, round(time.time() - (self.folder / "log.jsonl").stat().st_mtime, 1))
        except OSError:
            return None


def thinned(points: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    """At most POINTS of a curve: the lowest and the highest of each stretch, in their order, and the last one."""
    if len(points) <= POINTS:
        return list(points)
    count = (POINTS - 2) // 2
    kept: list[Sequence[float]] = []
    for k in range(count):
        stretch = points[k * len(points) // count : (k + 1) * len(points) // count]
        low, high = min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])
        kept += sorted([low, high] if low is not high else [low], key=lambda p: p[0])
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _settings(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and "model" in found else None
