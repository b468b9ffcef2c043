"""What is to be done at the name that a clip is asked for: make it, go on with it, or leave it alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from mediagen.core.provenance import differences
from mediagen.errors import MediagenError, StoreError, UsageError
from mediagen.io.video_file import read_record, remove_clip
from mediagen.io.video_place import kept_of, only_writer, part_of

DECISIVE = ("plan", "model", "made_with")
"""The parts of a record that decide the frames and their bytes: they must agree when a clip is gone on with."""


def is_done(path: Path, record: Mapping[str, Any], *, overwrite: bool) -> bool:
    """Whether this very clip is there already. Raises where something else is, unless it is ours and to be replaced.

    The same command said again is never refused: it finishes what was interrupted, at whatever moment that was.
    """
    there = read_record(path)
    if there is None:
        if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
            raise StoreError(f"{path}: what is there is no clip of ours, so it is left alone; choose another name")
        return False
    unlike = _unlike(there, record)
    if unlike and not overwrite:
        raise UsageError(
            f"{path}: another clip is there ({unlike}); replace it with --overwrite or choose another name"
        )
    return not unlike and not overwrite


def clear(path: Path, record: Mapping[str, Any], *, overwrite: bool, died: bool) -> None:
    """Makes room for the clip: removes what may be replaced. Raises UsageError for a part of another clip.

    `died`: a process that wrote this clip was killed, so a part that says nothing is one whose head was not yet written.
    """
    for part in (kept_of(path), part_of(path)):
        there = read_record(part)
        if overwrite or (there is None and died):
            if os.path.lexists(part) and there is None and not died:
                raise StoreError(f"{part}: what is there is no part of a clip of ours; move it away, it is in the way")
            remove_clip(part)
        elif there is None and os.path.lexists(part):
            raise StoreError(f"{part}: what is there is no part of a clip of ours; move it away, it is in the way")
        elif there is not None and (unlike := _unlike(there, record)):
            raise UsageError(
                f"{part}: was begun with other arguments ({unlike}); say the same to finish it, or use --overwrite"
            )
    if overwrite and read_record(path) is not None:
        remove_clip(path)


def remove_leftovers(path: Path, record: Mapping[str, Any]) -> None:
    """Removes what a process left beside a finished clip, when it was killed after giving the clip its name."""
    for part in (kept_of(path), part_of(path)):
        there = read_record(part)
        if there is not None and not _unlike(there, record):
            with only_writer(path):
                remove_clip(part)


@contextmanager
def no_empty_part(path: Path) -> Iterator[None]:
    """When the body ends before there is anything to go on with (on a full disk, say), it leaves nothing behind."""
    try:
        yield
    finally:
        if read_record(part_of(path)) is None:
            with suppress(MediagenError):
                remove_clip(part_of(path))


def _unlike(recorded: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """The first decisive values in which two records differ; "" for none."""
    # Through JSON, because a record that was read has lists where a fresh one has tuples.
    before, now = (json.loads(json.dumps({key: r.get(key) for key in DECISIVE})) for r in (recorded, record))
    return "; ".join(islice(differences(before, now), 3))
