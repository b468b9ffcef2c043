"""Reading folders of videos: building the decoded cache against libav's own speed, and what drawing a batch takes.

python benchmarks/decode.py [--quick] [--rounds 5]
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import av
import common
import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from mediagen.data.video_frames import SCALER, Wanted
from mediagen.data.videos import VideoFolder
from mediagen.models._spec import ClipNeeds

SIDE = 64
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
ABOUT = (
    "Every file is decoded once, scaled to cover 64 x 64, cut and kept. libav's own speed is `container.decode` with one kept "
    "swscale context and the same flags on the same files, one thread a process, nothing kept, the start of the processes "
    "left out. Ours is everything from listing the folder to the opened cache on disk, the start of the processes "
    "included; what a folder of one tiny video takes is the fixed part. Both ways in turn; the fastest round of each "
    "counts, as the machine is shared. CPU time is that of all processes. The names of the files tell where they are from: "
    "made here (h264 of a drifting texture), or of a folder beside the checkout, ../shared/data, which is taken where it "
    "exists."
)


def plain(files: Sequence[Path]) -> tuple[int, float, float]:
    """Frames, wall and CPU seconds of libav alone: decoded and scaled, looked at by nobody."""
    wanted, count = Wanted(height=SIDE, width=SIDE), 0
    wall, cpu = time.perf_counter(), time.process_time()
    for path in files:
        with av.open(str(path)) as container:
            stream, scaler = container.streams.video[0], VideoReformatter()
            stream.codec_context.thread_count, stream.thread_type = 1, "NONE"
            for frame in container.decode(stream):
                width, height = wanted.scaled(frame.width, frame.height)
                scaler.reformat(frame, width, height, "rgb24", interpolation=SCALER, threads=1)
                count += 1
    return count, time.perf_counter() - wall, time.process_time() - cpu


def libav(files: Sequence[Path], processes: int) -> tuple[int, float, float]:
    """`plain` in several processes that share the files; the slowest one's wall seconds."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(plain, [files[:1]] * processes)  # started, libav loaded
        parts = pool.map(plain, [files[number::processes] for number in range(processes)], chunksize=1)
    return sum(part[0] for part in parts), max(part[1] for part in parts), sum(part[2] for part in parts)


def ours(folder: Path, workers: int, cache: Path) -> tuple[int, float, float]:
    """Frames, wall and CPU seconds of building a fresh cache, all processes counted."""
    before, wall = cpu_seconds(), time.perf_counter()
    found = VideoFolder(
        folder, needs=ClipNeeds(frames=16, height=SIDE, width=SIDE), cache=cache, workers=workers, memory=0
    )
    return int(found.counts.sum()), time.perf_counter() - wall, cpu_seconds() - before


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def compare(name: str, folder: Path, workers: int, rounds: int, scratch: Path) -> common.Row:
    """Both ways and the fixed part in turn, `rounds` times, on a folder whose files are in the system's cache."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    one = make_videos(scratch / f"one-{name}-{workers}", 1, 1, (64, 64))
    turns, frames = [], 0
    for _ in range(rounds):
        theirs = libav(files, workers)
        mine = ours(folder, workers, scratch / "cache")
        fixed = ours(one, 1, scratch / "cache")
        shutil.rmtree(scratch / "cache")
        assert theirs[0] == mine[0], f"{theirs[0]} frames by libav, {mine[0]} by us"
        frames = mine[0]
        turns.append((*theirs[1:], *mine[1:], *fixed[1:]))
    wall, cpu, our_wall, our_cpu, fixed_wall, fixed_cpu = (min(column) for column in zip(*turns, strict=True))
    return {
        "files": f"{len(files):,} {name}", "frames": frames, "processes": workers, "libav frames/s": frames / wall,
        "cache built frames/s": frames / our_wall, "fixed part s": fixed_wall, "ratio": wall / our_wall,
        "without the fixed part": wall / (our_wall - fixed_wall),
        "the same in CPU time": cpu / (our_cpu - workers * fixed_cpu),
    }  # fmt: skip


def drawing(folder: Path, cache: Path, repeats: int) -> list[common.Row]:
    """Milliseconds of draw() and of its tensors, for batches of MoCoGAN's shapes, from memory and mapped from the disk."""
    rows = []
    for batch, images in ((3, 10), (8, 8), (32, 32)):
        for kept, memory in (("memory", 2**34), ("mapped file", 0)):
            # As many single frames as the image critic sees: `images` counts per clip.
            needs = ClipNeeds(frames=16, height=SIDE, width=SIDE, stride=2, images=max(1, round(images / batch)))
            videos = VideoFolder(folder, needs=needs, cache=cache, memory=memory)
            times: list[tuple[float, float]] = []
            for number in range(repeats):
                start = time.perf_counter()
                clips = videos.draw(batch, np.random.Generator(np.random.Philox(number)))
                middle = time.perf_counter()
                clips.tensors()
                times.append((middle - start, time.perf_counter() - middle))
            drawn, made = (statistics.median(column) * 1000 for column in zip(*times, strict=True))
            rows.append({"batch": batch, "frames kept in": kept, "draw ms": drawn, "to tensors ms": made})
    return rows


def make_videos(folder: Path, count: int, frames: int, size: tuple[int, int]) -> Path:
    """h264 files of a drifting texture, for a machine without the project's data."""
    folder.mkdir(parents=True)
    texture = np.random.default_rng(0).integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)
    texture = np.kron(texture, np.ones((8, 8, 1), np.uint8))
    for number in range(count):
        with av.open(str(folder / f"{number:04d}.mp4"), "w") as container:
            stream = container.add_stream("h264", rate=25, options={"preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            for k in range(frames):
                picture = np.ascontiguousarray(np.roll(texture, (k + number, 2 * k), (0, 1)))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
    return folder


def folders(quick: bool, scratch: Path) -> dict[str, Path]:
    """Many small videos, a few larger ones (the project's data where it lies beside the checkout), and some between.

    The names tell which are found and which are made here.
    """
    small, large = SHARED / "mocogan_shapes_mp4", SHARED / "asl_gestures"
    found = {}
    if quick or not small.is_dir():
        found["videos of 64 x 64, made"] = make_videos(scratch / "small", 6 if quick else 1000, 32, (64, 64))
    else:
        found[f"videos of 64 x 64, {small.name}"] = small
    made = make_videos(scratch / "middle", 2 if quick else 40, 8 if quick else 120, (320, 240))
    found["videos of 320 x 240, made"] = made
    if quick or not large.is_dir():
        found["videos of 640 x 480, made"] = make_videos(
            scratch / "large", 2 if quick else 16, 8 if quick else 63, (640, 480)
        )
    else:
        found[f"videos of 640 x 480, {large.name}"] = large
    return found


def main() -> None:
    asked = common.arguments(__doc__, rounds={"type": int, "default": 5, "help": "how often each way runs (5)"})
    where, started, cores = common.machine(), time.perf_counter(), len(os.sched_getaffinity(0))
    with common.scratch() as scratch:
        found = folders(asked.quick, scratch)
        counts = (1, cores) if cores > 1 else (1,)
        rounds = 1 if asked.quick else asked.rounds
        rows = [compare(name, folder, workers, rounds, scratch) for name, folder in found.items() for workers in counts]
        speed = common.table("Building the decoded cache against libav's own speed", rows, "the aim is a ratio of 0.8")
        torch.set_num_threads(1)
        draws = drawing(next(iter(found.values())), scratch / "draws", 5 if asked.quick else 200)
    draw = common.table(
        "Drawing a batch of 16 frames of 64 x 64, every second one, with single frames for an image critic", draws,
        "one thread; batches are drawn while the step before runs, and what such a step takes, clips_training tells",
    )  # fmt: skip
    common.finish("decode", asked, {"title": "Videos in", "about": ABOUT, "tables": [speed, draw]}, where,
                  time.perf_counter() - started)  # fmt: skip


if __name__ == "__main__":
    main()
