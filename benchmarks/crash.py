"""Killed at random moments, out of disk, not allowed to write: what a canvas looks like after the same command again.

python benchmarks/crash.py [--quick]
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import common

TINY_DISK = 3_000_000
UNTRIED = {"exit code 1": None, "one line": None, "said": None, "resumed to the same bytes": None}
COMPLETE = "complete"
"""What the command says of a canvas that was killed after its last byte and before its exit; there is nothing to do then."""


def words(model: str, folder: Path, width: int) -> list[str]:
    """The one command of this benchmark."""
    options = ["--width", width, "--precision", "fp32", "--block", "256x256", "--memory", "1GB", "--quiet"]
    return common.command("canvas", folder / "it.zarr", "--model", model, *options)


def kills(model: str, folder: Path, width: int, count: int) -> list[common.Row]:
    """SIGKILL `count` times at moments drawn from a run's whole length, the same command each time."""
    calm = common.run(words(model, folder / "calm", width))
    if calm.code:
        raise SystemExit(f"the undisturbed run failed: {calm.err}")
    expected, rng = common.files_of(folder / "calm"), random.Random(0)
    killed = finished = 0
    rows = []
    while killed < count:
        folder_now, here = folder / f"killed{finished}", 0
        folder_now.mkdir()
        while True:
            moment = rng.uniform(0.2, calm.seconds) if killed < count else None
            ran = common.run(words(model, folder_now, width), kill_after=moment)
            if ran.code == 0 or (ran.code == 2 and COMPLETE in ran.err):
                break
            if ran.code != -9:
                raise SystemExit(f"said again after a kill, the command failed with {ran.code}: {ran.err}")
            killed, here = killed + 1, here + 1
        found = common.files_of(folder_now)
        rows.append({
            "canvas": finished + 1, "kills": here, "same bytes": all(found.get(k) == v for k, v in expected.items()),
            "no stray files": not found.keys() - expected.keys(),
        })  # fmt: skip
        finished += 1
    return rows


def mount(folder: Path, options: str) -> bool:
    """Mounts an empty tmpfs; False where that is not permitted."""
    return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True).returncode == 0


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[bool]:
    """A file system of `size` bytes at `folder`; False where mounting is not permitted."""
    folder.mkdir()
    mounted = mount(folder, f"size={size}")
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", folder], check=True)


def said(ran: common.Ran, folder: Path) -> common.Row:
    """How a command that cannot succeed ended."""
    lines = [line for line in ran.err.splitlines() if line.strip()]
    text = " ".join(lines).replace(f"{folder}/", "")[:200]
    return {"exit code 1": ran.code == 1, "one line": len(lines) == 1, "said": text}


def full_disks(model: str, folder: Path, width: int) -> Iterator[common.Row]:
    """A disk too small from the beginning, and one that fills up while painting; then room is made."""
    reference = common.run(words(model, folder / "whole", width))
    assert reference.code == 0, reference.err
    expected = common.files_of(folder / "whole")
    with small_disk(folder / "small", 2**20) as mounted:
        if not mounted:
            yield {"case": "small disk (not tried: no mount permitted)", **UNTRIED}
            return
        ran = common.run(words(model, folder / "small", width))
        yield {"case": "too small a disk", **said(ran, folder), "resumed to the same bytes": None}
    room = int(2.5 * 3 * width * 512) + TINY_DISK
    with small_disk(folder / "filling", room) as mounted:
        assert mounted
        # Somebody else takes the room once the painting has begun.
        said_now = words(model, folder / "filling", width)
        child = subprocess.Popen(said_now, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        other = folder / "filling" / "other"
        while child.poll() is None and not (folder / "filling" / "it.zarr" / "0" / "c").exists():
            time.sleep(0.01)
        with other.open("wb") as file:
            try:
                while True:
                    file.write(bytes(2**16))
                    file.flush()
            except OSError:
                pass
        _, err = child.communicate()
        first = said(common.Ran(child.returncode, 0.0, 0, "", err), folder)
        other.unlink()
        again = common.run(words(model, folder / "filling", width))
        same = again.code == 0 and common.files_of(folder / "filling") == expected
        yield {"case": "filled while painting", **first, "resumed to the same bytes": same}


def read_only(model: str, folder: Path, width: int) -> common.Row:
    """A target that may not be written; for root, who may write anywhere, a read-only mount."""
    target = folder / "locked"
    target.mkdir()
    mounted = False
    if os.geteuid() == 0:
        mounted = mount(target, "ro")
    else:
        target.chmod(0o500)
    try:
        ran = common.run(words(model, target, width)) if mounted or os.geteuid() else None
    finally:
        if mounted:
            subprocess.run(["umount", target], check=True)
        target.chmod(0o700)
    if ran is None:
        return {"case": "read-only (not tried: root, and no mount permitted)", **UNTRIED}
    again = common.run(words(model, target, width))
    return {"case": "read-only", **said(ran, folder), "resumed to the same bytes": again.code == 0}


def main() -> None:
    asked = common.arguments(__doc__, kills={"type": int, "help": "how many kills (default: 20)"})
    where, start = common.machine(), time.perf_counter()
    width, count = (1500, 2) if asked.quick else (12_000, 20)
    count = asked.kills or count
    with common.chosen_model(asked) as (model, name), common.scratch() as folder:
        killed = kills(model, folder, width, count)
        limits = [*full_disks(model, folder, min(width, 6000)), read_only(model, folder, min(width, 3000))]
    fine = all(row["same bytes"] and row["no stray files"] for row in killed)
    fine = fine and not any(row[key] is False for row in limits for key in UNTRIED)
    found = {
        "title": "Crashes",
        "about": "The same command said again after every kind of interruption; compared file by file with an undisturbed run.",
        "model": name,
        "figures": {"kills": sum(row["kills"] for row in killed), "fine": fine},
        "tables": [
            common.table(
                f"SIGKILL at {count} random moments", killed,
                "A canvas is killed until one run of the command finishes it, or says that it is complete; moments are uniform "
                "over the length of an undisturbed run.",
            ),
            common.table("Full disk and read-only target", limits),
        ],
    }  # fmt: skip
    common.finish("crash", asked, found, where, time.perf_counter() - start)
    if not fine:
        raise SystemExit("something was lost or left behind")


if __name__ == "__main__":
    main()
