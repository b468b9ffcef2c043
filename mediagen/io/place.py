"""Where a canvas may be put: what is ours, what may be replaced, and what an interrupted run leaves beside it."""

from __future__ import annotations

import json
import os
import shutil
from hashlib import sha256
from pathlib import Path

from mediagen.errors import StoreError
from mediagen.io.files import PARTIAL, storing, write_file


def is_canvas(path: str | Path) -> bool:
    """Whether `path` is a canvas of ours, damaged or not: its group names both OME-Zarr and mediagen."""
    try:
        meta = json.loads((Path(path) / "zarr.json").read_bytes())
        return meta["node_type"] == "group" and {"ome", "mediagen"} <= meta["attributes"].keys()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def probe(path: str | Path) -> str:
    """Writes, reads and deletes a small file in a canvas; returns its metadata's hash, alike for all who see it."""
    target = local(path)
    if not is_canvas(target):
        raise StoreError(f"{target}: there is no canvas here")
    file, word = target / f"probe.{os.urandom(8).hex()}{PARTIAL}", b"mediagen"
    with storing(target):
        write_file(file, word)
        same = file.read_bytes() == word
        file.unlink()
        if not same:
            raise StoreError(f"{target}: what was written there reads back differently")
        return sha256((target / "zarr.json").read_bytes()).hexdigest()


def remove_canvas(path: str | Path) -> None:
    """Deletes a canvas of ours and nothing else; the name is free at once, even if this is killed on the way."""
    target = local(path)
    if not is_canvas(target):
        raise StoreError(f"{target}: this is not a canvas made by mediagen, so it is left alone")
    with storing(target):
        remove_siblings(target)
        target.rename(sibling(target, "removing"))
        remove_siblings(target)


def local(path: str | Path) -> Path:
    """The real path of a local folder. Raises StoreError for an address."""
    if "://" in str(path):
        raise StoreError(f"{path}: canvases are kept in local folders; give a path")
    return Path(path).resolve()


def sibling(target: Path, purpose: str) -> Path:
    """Where `create` prepares a canvas ("creating"), and where an old one waits to be deleted ("removing")."""
    return target.with_name(f".{target.name}.{purpose}")


def remove_siblings(target: Path) -> int:
    """Removes what an interrupted `create` or `remove_canvas` left beside the canvas."""
    found = [path for path in (sibling(target, "creating"), sibling(target, "removing")) if path.exists()]
    for path in found:
        shutil.rmtree(path)
    return len(found)


def refuse_taken(target: Path, overwrite: bool) -> None:
    """Raises StoreError unless a canvas may be created at `target`: free, an empty folder, or to be overwritten."""
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return
    if not is_canvas(target):
        raise StoreError(f"{target}: what is there is no canvas of ours, so it is left alone; choose another name")
    if not overwrite:
        raise StoreError(f"{target}: there is a canvas already; go on with --resume or replace it with --overwrite")


def lock(handle: int, path: Path) -> None:
    """Locks a folder that is open as `handle` until it is closed. Raises StoreError when another process has it."""
    try:
        import fcntl
    except ImportError:  # Windows: no lock, and no harm: same unit, same bytes.
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreError(f"{path}: another process is painting this canvas; wait for it or stop it") from error
    except OSError:  # Some network file systems cannot lock a folder.
        return
