"""Clips: the speed of rendering against that of the generator and of the encoder alone, and memory against length.

python benchmarks/clips_speed.py [--quick] [--model NAME|FILE|RUN]
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import av
import common
import torch

from mediagen import models
from mediagen.checkpoint import save_checkpoint
from mediagen.core.clips import CHUNK
from mediagen.errors import UsageError
from mediagen.execute.heap import steady_heap
from mediagen.io.video_codecs import layout_of, rate_of
from mediagen.io.video_file import open_clip, remove_clip
from mediagen.models._spec import StreamModel
from mediagen.video.lanes import Precision
from mediagen.video.layout import laid_out, laid_out_size
from mediagen.video.model import Wish, as_model, default_model, requests
from mediagen.video.render import render_video
from mediagen.video.stream import tiles

ALONE, SCALE = (1, 1), 4
FIRST = 1000


@contextmanager
def chosen(asked: Any) -> Iterator[tuple[str, str]]:
    """(what to say as --model, what it is in words): the one asked for, the bundled one, or random weights."""
    if asked.model:
        yield asked.model, f"the checkpoint {Path(asked.model).name}"
        return
    try:
        name = default_model()
    except UsageError:
        with common.scratch() as folder:
            yield str(random_weights("mocogan", "small", folder)), "MoCoGAN `small` with random weights"
    else:
        yield name, f"the bundled checkpoint {name}"


def random_weights(model: str, preset: str, folder: Path) -> Path:
    """A checkpoint of a preset as it is built."""
    spec, path = models.spec(model), folder / f"{model}-{preset}.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = spec.build(spec.presets[preset]).state_dict()
    save_checkpoint(path, state, model=model, config=spec.presets[preset], ema=False, data={}, training={}, latents={})
    return path


def generator_alone(network: Any, frames: int, precision: Precision) -> float:
    """Frames a second of the model's own loop, step after step (clip after clip), with all threads of torch."""
    (request,) = requests(network, Wish())
    half = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")
    with torch.no_grad(), half:
        if isinstance(network, StreamModel):
            state, _ = network.step(network.start(request), CHUNK)
            begun = time.perf_counter()
            for _ in range(frames // CHUNK):
                state, _ = network.step(state, CHUNK)
            return frames / (time.perf_counter() - begun)
        made = len(network.clip(request, 0))
        begun = time.perf_counter()
        for number in range(frames // made):
            network.clip(request, number)
        return frames // made * made / (time.perf_counter() - begun)


def lanes_alone(network: Any, frames: int, precision: Precision) -> tuple[float, list[list[torch.Tensor]]]:
    """Frames a second of the engine's lanes with nothing behind them, and the frames."""
    source = tiles(network, requests(network, Wish()), 0, frames + CHUNK, join="cut", precision=precision)
    with closing(source):
        next(source)
        begun = time.perf_counter()
        made = list(source)
        return frames / (time.perf_counter() - begun), made


def encoder_alone(network: Any, made: list[list[torch.Tensor]], path: Path) -> float:
    """Frames a second of laying out, converting, coding, writing and the last copy; the frames are at hand."""
    height, width = laid_out_size(network.frame_size, ALONE, SCALE)
    frames = len(made) * CHUNK
    layout = layout_of(
        path, width=width, height=height, frames=frames, fps=rate_of(path, 25), codec=None, crf=None
    )  # fmt: skip
    remove_clip(path)
    begun = time.perf_counter()
    file = open_clip(path, layout, {"kind": "clip"})
    for chunk in made:
        file.add(laid_out(chunk, ALONE, SCALE))
    file.finish()
    return frames / (time.perf_counter() - begun)


def speeds(name: str, network: Any, frames: int, rounds: int, folder: Path, precision: Precision) -> common.Row:
    """The best of `rounds` turns of each."""
    turns = []
    with steady_heap():
        for _ in range(rounds):
            alone = generator_alone(network, frames, precision)
            lanes, made = lanes_alone(network, frames, precision)
            encoder = encoder_alone(network, made, folder / "encoder.mp4")
            report = render_video(
                network, folder / "whole.mp4", frames=frames, scale=SCALE, fps=25, precision=precision, overwrite=True
            )
            turns.append((alone, lanes, encoder, frames / report.seconds))
    alone, lanes, encoder, whole = (max(column) for column in zip(*turns, strict=True))
    return {
        "model": name, "precision": precision, "generator alone /s": alone, "in lanes /s": lanes,
        "encoder alone /s": encoder, "rendered /s": whole, "of the slower": whole / min(alone, encoder),
        "of the slower, lanes": whole / min(lanes, encoder),
    }  # fmt: skip


def lengths(model: str, counts: tuple[int, int], folder: Path) -> list[common.Row]:
    """`mediagen video` as a process: peak memory at two lengths, and whether the first frames are the same."""
    rows, firsts = [], []
    for count in counts:
        out = folder / f"{count}.mp4"
        ran = common.run(
            common.command("video", out, "--frames", count, "--scale", 1, "--model", model, "--json", "--quiet")
        )
        if ran.code:
            raise SystemExit(f"mediagen video failed with exit code {ran.code}: {ran.err}")
        said = json.loads(ran.out)
        firsts.append(decoded(out, min(counts)))
        rows.append({
            "frames": count, "wall s": ran.seconds, "frames/s": said["frames_made"] / said["seconds"],
            "peak MB": ran.peak / 1e6, "file MB": said["bytes"] / 1e6,
            "first frames as in the shorter": firsts[0] == firsts[-1],
        })  # fmt: skip
    return rows


def decoded(path: Path, count: int) -> list[int]:
    """A number for each of a file's first frames."""
    with av.open(str(path)) as container:
        frames = (frame for _, frame in zip(range(count), container.decode(video=0), strict=False))
        return [hash(frame.to_ndarray(format="rgb24").tobytes()) for frame in frames]


def first_clip(model: str, folder: Path) -> list[common.Row]:
    """`mediagen video` with nothing said, as a process, from its start to its end."""
    ran = common.run(common.command("video", folder / "clip.mp4", "--model", model, "--json", "--quiet"))
    if ran.code:
        raise SystemExit(f"mediagen video failed with exit code {ran.code}: {ran.err}")
    said = json.loads(ran.out)
    size = f"{said['width']}x{said['height']}"
    return [{"command": "mediagen video", "frames": said["frames"], "size": size, "wall s": ran.seconds}]


def main() -> None:
    asked = common.arguments(__doc__)
    where, begun = common.machine(), time.perf_counter()
    frames, rounds, counts = (64, 2, (100, 500)) if asked.quick else (480, 5, (FIRST, 100_000))
    with chosen(asked) as (model, words), common.scratch() as folder:
        start = first_clip(model, folder)
        tables = [common.table("A first clip", start, "ten seconds, from the start of the process to its end")]
        presets = (
            (("mocogan", "tiny"),) if asked.quick else (("mocogan", "small"), ("mocogan", "paper"), ("tgan", "small"))
        )
        nets = [(words, as_model(model, common.CPU))]
        nets += [(f"{m} `{p}`", as_model(random_weights(m, p, folder), common.CPU)) for m, p in presets]
        precisions: tuple[Precision, ...] = ("fp32", "bf16")
        speed = [speeds(name, net, frames, rounds, folder, p) for name, net in nets for p in precisions]
        tables.append(common.table(
            f"Rendering against its parts, h264 at {SCALE} times the size", speed,
            f"{frames} frames, the best of {rounds} turns of each. Generator alone: a loop of model.step (of model.clip), all "
            "threads of torch. In lanes: the engine's own way, one thread of torch a lane, several chunks at once, nothing "
            "behind it; random weights where no checkpoint is named. Encoder alone: layout, colours, h264, writing, the last "
            "copy, the frames at hand. Rendered: mediagen.render_video, everything in it",
        ))  # fmt: skip
        long = lengths(model, counts, folder)
        ratio = long[1]["peak MB"] / long[0]["peak MB"]
        tables.append(
            common.table("Memory against length", long, f"peak memory of the longer: {ratio:.3f} of the shorter's")
        )
    found = {
        "title": "Clips",
        "about": "How fast clips are rendered, what of the generator's and the encoder's speed that is, and memory.",
        "model": words,
        "figures": {
            "memory_ratio": ratio,
            "of_the_slower": min(row["of the slower"] for row in speed),
            "first_clip_seconds": start[0]["wall s"],
        },
        "tables": tables,
    }
    common.finish("clips_speed", asked, found, where, time.perf_counter() - begun)


if __name__ == "__main__":
    main()
