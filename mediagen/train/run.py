"""A training's folder: its settings, who may write to it, and what it may be continued with.

RUN/config.json (the resolved settings), state.safetensors and state.previous.safetensors, generator.safetensors,
best.safetensors, log.jsonl, curves.png, previews/, tensorboard/.
"""

from __future__ import annotations

import fcntl
import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import torch

from mediagen.core.config import differences, from_dict, override, to_dict
from mediagen.errors import TrainingError, UsageError
from mediagen.io.files import PARTIAL, storing, write_file
from mediagen.models._spec import ModelSpec

CONFIG, LOCK = "config.json", ".lock"
OWN = (
    "state.safetensors", ".state.safetensors.new", "state.previous.safetensors", "generator.safetensors",
    "best.safetensors", "log.jsonl", "curves.png", "previews", "tensorboard",
    CONFIG,  # the last one: a removal that was cut short can be said again
)  # fmt: skip
DEFAULTS: dict[str, Any] = {"batch": 16, "iterations": 10_000, "seed": 0, "precision": "auto"}
VOLATILE = ("iterations", "made_with")


@dataclass(frozen=True)
class Asked:
    """What the caller said; None means: as recorded, else the default. `config` holds overrides of the preset."""

    preset: str | None
    config: Mapping[str, Any] | None
    iterations: int | None
    batch: int | None
    seed: int | None
    precision: str | None
    accumulate: int | None
    start_from: str | None


def lock(run: Path) -> IO[str]:
    """Holds the run's folder for this process until the file is closed or the process dies. Raises TrainingError."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        handle = (run / LOCK).open("w")
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise TrainingError(f"{run}: another training is writing there; stop it, or choose another --out") from None
    except FileExistsError:
        raise UsageError(f"{run}: is a file; choose a folder as --out") from None
    except OSError as error:
        raise TrainingError(f"{run}: cannot be written: {error.strerror}; choose another --out") from None
    return handle


def clear(run: Path) -> None:
    """Removes what a training wrote there, and nothing else. Raises UsageError when no training did."""
    if recorded(run) is None:
        return
    for name in OWN:
        path = run / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def recorded(run: Path) -> dict[str, Any] | None:
    """The settings a run was started with; None for a fresh folder. Raises UsageError when the folder is not ours."""
    path = run / CONFIG
    if path.is_file():
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            settings = None
        if not isinstance(settings, dict) or not {"model", "config", "made_with"} <= settings.keys():
            raise UsageError(f"{path}: not the settings of a training, or damaged; choose another folder as --out")
        return settings
    # A process that was killed at its first breath leaves the lock, and at most a part of its settings.
    others = [entry.name for entry in run.iterdir()] if run.is_dir() else []
    strangers = [name for name in others if name != LOCK and not (name.startswith(CONFIG) and name.endswith(PARTIAL))]
    if strangers:
        raise UsageError(f"{run}: holds other things ({min(strangers)}, ...); choose an empty or new folder as --out")
    return None


def resolve(
    model: str, spec: ModelSpec, asked: Asked, was: Mapping[str, Any] | None, world_size: int
) -> dict[str, Any]:
    """The settings to train with. Raises UsageError when a run would be continued with other ones than its own."""
    was = was or {}
    config = _config(spec, asked, was)
    preset = _first(asked.preset, was.get("preset"), default_preset(spec))
    own = spec.defaults(config) if spec.defaults else {}
    usual = {"batch": DEFAULTS["batch"], "iterations": DEFAULTS["iterations"], **own, **spec.recipes.get(preset, {})}
    batch = _first(asked.batch, was.get("batch"), usual["batch"])
    accumulate = _first(asked.accumulate, was.get("accumulate"), world_size)
    iterations = _first(asked.iterations, was.get("iterations"), usual["iterations"])
    for name, value in (("batch", batch), ("accumulate", accumulate), ("iterations", iterations)):
        if value < 1:
            raise UsageError(f"--{name} must be at least 1, got {value}")
    if batch % accumulate:
        raise UsageError(f"--batch {batch} must be a multiple of --accumulate {accumulate} (the shares it is cut into)")
    if accumulate % world_size:
        raise UsageError(f"--accumulate {accumulate} must be a multiple of the {world_size} processes")
    settings = {
        "model": model,
        "preset": preset,
        "config": to_dict(config),
        "iterations": iterations,
        "batch": batch,
        "accumulate": accumulate,
        "seed": _first(asked.seed, was.get("seed"), DEFAULTS["seed"]),
        "precision": _first(asked.precision, was.get("precision"), DEFAULTS["precision"]),
        # Its name alone: what is made of this run tells no one's folders.
        "start_from": Path(asked.start_from).resolve().name if asked.start_from else was.get("start_from"),
    }
    if settings["precision"] == "auto":
        settings["precision"] = was.get("precision") or auto_precision()
    return settings


def agree(run: Path, spec: ModelSpec, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuses to go on with other settings than the run's own; only the number of iterations may change."""
    old = {key: value for key, value in was.items() if key not in VOLATILE}
    if was["model"] == now["model"]:
        # Settings that came into being since the run began count with their defaults.
        old["config"] = to_dict(from_dict(spec.config, was.get("config", {}), f"{run / CONFIG}"))
    new = {key: value for key, value in now.items() if key not in VOLATILE}
    changed = differences(old, new)
    if changed:
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise UsageError(
            f"{run}: was trained with other settings: {changed[0]}{more}; "
            "say the same ones, choose another --out, or start again with --overwrite"
        )


def write_settings(run: Path, settings: Mapping[str, Any]) -> None:
    with storing(run):
        write_file(run / CONFIG, (json.dumps(settings, indent=2) + "\n").encode())


def made_with(device: torch.device) -> dict[str, str]:
    """The versions and the kind of device that decide a training's bits; no times, names or paths."""
    try:
        own = metadata.version("mediagen")
    except metadata.PackageNotFoundError:
        own = "unknown"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    threads = str(torch.get_num_threads())
    return {"mediagen": own, "torch": torch.__version__, "device": f"{device.type} {name}", "threads": threads}


def default_preset(spec: ModelSpec) -> str:
    return "small" if "small" in spec.presets else next(iter(spec.presets))


def auto_precision() -> str:
    """bf16 where the machine multiplies in it (AMX or AVX512-bf16 on a CPU, any recent GPU), else fp32."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    fast = (getattr(torch.cpu, "_is_amx_tile_supported", None), getattr(torch.cpu, "_is_avx512_bf16_supported", None))
    return "bf16" if any(test() for test in fast if test is not None) else "fp32"


def _config(spec: ModelSpec, asked: Asked, was: Mapping[str, Any]) -> Any:
    if asked.preset is not None and asked.preset not in spec.presets:
        raise UsageError(f"there is no preset {asked.preset!r}; choose from: {', '.join(spec.presets)}")
    if asked.preset is None and asked.config is None and "config" in was:
        return from_dict(spec.config, was["config"], "the run's configuration")
    name = _first(asked.preset, was.get("preset"), default_preset(spec))
    preset = spec.presets[name]
    if name == was.get("preset"):
        # Settings that came into being since the run began count with their defaults, as in `agree`.
        since = [field.name for field in fields(preset) if field.name not in was.get("config", {})]
        preset = replace(preset, **{name: getattr(spec.config(), name) for name in since})
    return override(preset, asked.config or {}, "--config")


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
