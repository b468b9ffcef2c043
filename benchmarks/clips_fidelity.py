"""How well the clip models learn Shape Motion: content distance, motion, sliced Wasserstein distance, motion control.

    python benchmarks/clips_fidelity.py --runs runs/vgan runs/tgan runs/mocogan runs/mocogan-ode runs/tganv2

A run's folder stands for its last generator and for its best one; a checkpoint file stands for itself. Everything is
measured on clips as `mediagen video` renders them, seeds 0, 1, ...; docs/reference/measures.md defines the measures.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import torch
from PIL import Image
from torch import Tensor, nn

from mediagen import models
from mediagen.checkpoint import load, save_checkpoint
from mediagen.core.clips import CHUNK, ClipRequest
from mediagen.metrics.content_distance import ShapeColour, content_distance, frame_change, steps
from mediagen.metrics.motion_control import MotionClassifier, motion_control, recognised, train_classifier
from mediagen.metrics.similarity import levels_likeness
from mediagen.metrics.swd import clip_sliced_wasserstein
from mediagen.models._spec import StreamModel
from mediagen.nn.sheets import contact_sheet, from_bytes
from mediagen.train.curves import draw_curves
from mediagen.train.log import read_log

SAMPLES = Path(__file__).parents[1] / "samples"
sys.path.insert(0, str(SAMPLES))
from shape_motion import shape_motion  # noqa: E402

PAPER = {"VGAN": 5.02, "TGAN": 2.08, "MoCoGAN": 1.79}
FRAMES, SIZE, CATEGORIES = 16, 64, 2
CLIPS, TAUGHT, SHOWN = 256, 800, 8
THRESHOLDS = (16, 32, 64)
LIKENESS = 64


@dataclass(frozen=True)
class Bench:
    """What all rows share: real clips that nobody learnt from, the classifier, how much to measure."""

    real: Tensor
    labels: Tensor
    classifier: MotionClassifier
    count: int

    def measures(self, clips: Tensor, asked: Tensor | None) -> common.Row:
        """The columns of one row, for clips (B, 3, T, H, W) whose classes `asked` (B,) were, if any."""
        found = {limit: content_distance(clips, ShapeColour(threshold=limit)) for limit in THRESHOLDS}
        first, (lengths, chords) = found[THRESHOLDS[0]], steps(clips)
        control = motion_control(self.classifier, clips, asked, self.real, self.labels) if asked is not None else None
        swd = clip_sliced_wasserstein(self.real[: len(clips)], clips, torch.Generator().manual_seed(0))
        return {
            "ACD": first.mean,
            "+-": first.error,
            **{f"ACD at {limit}": found[limit].mean for limit in THRESHOLDS[1:]},
            "empty %": 100 * first.empty,
            "shape px": areas(clips),
            "step px": float(lengths.mean()) if len(lengths) else math.nan,
            "way px": float(chords.mean()) if len(chords) else math.nan,
            "change": frame_change(clips),
            "SWD": swd,
            "MCS": control.generated if control else None,
        }


def areas(clips: Tensor) -> float:
    """Mean number of pixels that count as shape, over all frames."""
    return float(ShapeColour().split(clips.transpose(1, 2).flatten(0, 1))[1].sum((1, 2)).double().mean())


def tensors(clips: Any) -> Tensor:
    """(B, T, H, W, 3) uint8 -> (B, 3, T, H, W) in [-1, 1]."""
    return from_bytes(torch.from_numpy(clips)).permute(0, 4, 1, 2, 3)


def prepare(quick: bool, frames: int) -> Bench:
    """Real clips: seed 0 is what one trains on and what the classifier learns; seed 1 is held out."""
    count, taught = (4, 32) if quick else (CLIPS, TAUGHT)
    (known, known_labels), (real, labels) = (
        shape_motion(n, seed, frames=frames) for n, seed in ((taught, 0), (count, 1))
    )
    every = max(1, frames // FRAMES)
    learnt = tensors(known[:, ::every]), torch.from_numpy(known_labels)
    classifier = train_classifier(*learnt, categories=CATEGORIES, steps=3 if quick else 200)
    return Bench(tensors(real[:, ::every]), torch.from_numpy(labels), classifier, count)


@torch.no_grad()
def rendered(network: Any, count: int) -> tuple[Tensor, Tensor | None]:
    """Clips of seeds 0 .. count - 1 as the product renders them, (B, 3, 16, H, W), and the classes asked for, in turn.

    Of a clip of 32 frames every second one is taken, as the paper does with VGAN's.
    """
    made, kinds = [], network.categories
    for seed in range(count):
        request = ClipRequest(seed=seed, categories=(seed % kinds,) if kinds else ())
        if isinstance(network, StreamModel):
            state, frames, parts = network.start(request), network.clip_frames, []
            for _ in range(0, frames, CHUNK):
                state, part = network.step(state, CHUNK)
                parts.append(part)
            clip = torch.cat(parts)[:frames]
        else:
            clip = network.clip(request, 0)
        made.append(clip[:: max(1, len(clip) // FRAMES)][:FRAMES].float().cpu())
    return torch.stack(made).transpose(1, 2), torch.arange(count) % kinds if kinds else None


def named(network: Any) -> str:
    """VGAN, TGAN, MoCoGAN, MoCoGAN (ode), ..."""
    title = models.spec(network.mediagen.model).title
    temporal = getattr(network.config, "temporal", None)
    return f"{title} ({temporal})" if temporal in {"ode", "ode2", "ode3", "sde"} else title


def files_of(run: Path) -> list[Path]:
    """The checkpoints that a run's folder, or a file, stands for."""
    return [path for name in ("generator", "best") if (path := run / f"{name}.safetensors").exists()] or [run]


def likeness(network: Any, count: int) -> list[common.Row]:
    """TGANv2: PSNR and SSIM of the first renderer's frames against the last one's, by frame index."""
    fine, network.render_level = rendered(network, count)[0], 1
    found = levels_likeness(rendered(network, count)[0], fine)
    network.render_level = network.config.levels
    return [
        {
            "frame": k,
            "PSNR dB": found.psnr[k],
            "+- dB": found.psnr_error[k],
            "SSIM": found.ssim[k],
            "+-": found.ssim_error[k],
        }
        for k in range(FRAMES)
    ]


def save_sheet(clips: Tensor, folder: Path, label: str) -> None:
    """FOLDER/clips-LABEL.png: one clip a row, one frame a column."""
    folder.mkdir(parents=True, exist_ok=True)
    word = "-".join("".join(c if c.isalnum() else " " for c in label.lower()).split())
    Image.fromarray(contact_sheet(clips[:SHOWN])).save(folder / f"clips-{word}.png", optimize=True)


def budget(network: Any) -> common.Row:
    """What a checkpoint's header says of its training."""
    training = network.mediagen.header.get("training", {})
    return {
        "preset": training.get("preset"),
        "parameters": sum(p.numel() for p in network.parameters()),
        "iterations": training.get("iterations"),
        "clips seen": training.get("clips_seen"),
        "batch": training.get("batch"),
        "device": training.get("made_with", {}).get("device"),
    }


def numbers(rows: list[common.Row]) -> list[common.Row]:
    """Rows without NaN, which JSON does not have."""
    return [{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()} for row in rows]


@contextmanager
def chosen_runs(asked: Any) -> Iterator[list[Path]]:
    """The runs that were given; for a quick look without any, small networks with random weights."""
    if asked.runs or not asked.quick:
        yield [Path(run) for run in asked.runs]
        return
    with common.scratch() as folder:
        for name in ("vgan", "tgan", "mocogan", "tganv2"):
            spec = models.spec(name)
            network: nn.Module = spec.build(spec.presets["small"])
            save_checkpoint(folder / f"{name}.safetensors", network.state_dict(), model=name,
                            config=spec.presets["small"], ema=False, data={}, training={}, latents=spec.latents)  # fmt: skip
        yield sorted(folder.glob("*.safetensors"))


def label_of(name: str, path: Path, run: Path, taken: set[str]) -> str:
    """What a row, a curve and a sheet are called: the model's name, and what tells it from another of that name."""
    best = ", best" if path.name.startswith("best") else ""
    label = next(
        f"{word}{best}" for word in (name, f"{name} {run.stem}", f"{name} {run}") if f"{word}{best}" not in taken
    )
    taken.add(label)
    return label


def references(bench: Bench, frames: int) -> list[common.Row]:
    """What real clips measure, and what the faults measure that content distance alone would praise."""
    spare = tensors(shape_motion(bench.count, 2, frames=frames)[0][:, :: max(1, frames // FRAMES)])
    blank = {"paper ACD": None}
    rows = [
        {"clips": "real, other ones", "paper ACD": 0.0, **bench.measures(spare, None)},
        {"clips": "real, frozen", **blank, **bench.measures(spare[:, :, :1].expand_as(spare), None)},
        {
            "clips": "real, shuffled in time",
            **blank,
            **bench.measures(spare[:, :, torch.randperm(FRAMES, generator=torch.Generator().manual_seed(0))], None),
        },
    ]
    rows[0]["MCS"] = float((recognised(bench.classifier, bench.real) == bench.labels).double().mean())
    return rows


def main() -> None:
    asked = common.arguments(
        __doc__,
        runs={"nargs": "*", "default": [], "help": "folders of trainings, or checkpoint files"},
        frames={"type": int, "default": FRAMES, "choices": (16, 32), "help": "frames of the training's videos"},
        images={"type": Path, "help": "folder of the sample sheets (default: docs/images)"},
    )
    if not (asked.runs or asked.quick):
        raise SystemExit("nothing to measure: say --runs FOLDER|FILE ...")
    folder = asked.images or (asked.out if asked.quick else Path(__file__).parents[1] / "docs" / "images")
    where, start = common.machine(), time.perf_counter()
    bench = prepare(asked.quick, asked.frames)
    save_sheet(bench.real, folder, "real")
    rows, trained, tables, curves = references(bench, asked.frames), [], [], []
    taken: set[str] = set()
    with chosen_runs(asked) as runs:
        for run in runs:
            for path in files_of(run):
                network: Any = load(path)
                name, iterations = named(network), budget(network)["iterations"] or 0
                label = label_of(name, path, run, taken)
                clips, kinds = rendered(network, bench.count)
                save_sheet(clips, folder, label)
                kinds = kinds if network.categories == CATEGORIES else None
                rows.append({"clips": label, "paper ACD": PAPER.get(name), **bench.measures(clips, kinds)})
                trained.append({"clips": label, "ACD": rows[-1]["ACD"], **budget(network)})
                curves.append({"iteration": iterations, f"ACD, {label.replace(', best', '')}": rows[-1]["ACD"]})
                if hasattr(network, "render_level"):
                    title = f"{label}: level 1 against level {network.config.levels}"
                    tables.append(common.table(title, likeness(network, min(LIKENESS, bench.count))))
            log = read_log(run / "log.jsonl") if run.is_dir() else []
            line = f"SWD, {label.replace(', best', '')}"
            curves += [{"iteration": row["iteration"], line: row["swd"]} for row in log if "swd" in row]
    finite, trained = numbers(rows), numbers(trained)
    if any(row["iteration"] for row in curves):
        draw_curves([{k: v for k, v in row.items() if v == v} for row in curves], folder / "clips-curves.png")
    of = ", every second of 32" if asked.frames > FRAMES else ""
    note = (
        f"{bench.count} clips of {FRAMES} frames{of}, {SIZE}x{SIZE}. ACD on the scale 0 to 255, shape: brightest channel at "
        f"least {THRESHOLDS[0]}; +- is its standard error; empty: frames without a shape, black or filled "
        "all over. MCS of `real, other ones`: the classifier on real clips it never saw; "
        "0.5 is chance. The paper does not state how it finds the shape, nor the budgets."
    )
    shown = [common.table("Content and motion", finite, note), common.table("What each was given", trained), *tables]
    finish(asked, shown, {row["clips"]: row for row in finite}, where, time.perf_counter() - start)


def finish(asked: Any, tables: list[common.Row], figures: common.Row, where: common.Row, seconds: float) -> None:
    found = {
        "title": "What the clip models learn",
        "about": "Shape Motion (samples/shape_motion.py) at 64x64, 16 frames: content distance beside the MoCoGAN paper's, "
        "and the measures that keep it honest.",
        "figures": figures,
        "tables": tables,
    }
    common.finish("clips_fidelity", asked, found, where, seconds)


if __name__ == "__main__":
    main()
