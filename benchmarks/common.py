"""What the benchmarks share: the model they paint with, child processes, the machine's description, tables and results.

Every script prints a table and writes benchmarks/results/NAME.json; `python benchmarks/report.py` makes the page from them.
With --quick everything is tiny, to see that a script works: its figures mean nothing and go to a temporary folder.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mediagen import models
from mediagen.checkpoint import bundled, save_checkpoint
from mediagen.core.provenance import versions

RESULTS = Path(__file__).parent / "results"
BUNDLED = "infinitygan"
CPU = torch.device("cpu")
Row = dict[str, Any]
PLACES = ("--out", "--images")
"""Options that only say where something is left."""


def arguments(description: str | None, **more: dict[str, Any]) -> argparse.Namespace:
    """The command line of a script: --quick, --model, --out, and what it adds itself (keyword -> add_argument's)."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, only to see that it works")
    parser.add_argument("--model", help=f"checkpoint to paint with (default: {BUNDLED}, or random weights without it)")
    parser.add_argument("--out", type=Path, help="folder of the result (default: benchmarks/results)")
    for name, options in more.items():
        parser.add_argument("--" + name.replace("_", "-"), **options)
    asked = parser.parse_args()
    asked.out = asked.out or (Path(tempfile.gettempdir()) / "mediagen-quick" if asked.quick else RESULTS)
    return asked


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="mediagen-bench-") as folder:
        yield Path(folder)


@contextmanager
def chosen_model(asked: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """(what to say as --model, what it is in words): the bundled checkpoint, or a `small` one of random weights."""
    if asked.model or BUNDLED in bundled():
        name = asked.model or BUNDLED
        yield name, f"the checkpoint {Path(name).name}"
        return
    with scratch() as folder:
        path = folder / "random-small.safetensors"
        network = random_generator("small")
        save_checkpoint(path, network.state_dict(), model="infinitygan", config=network.config, ema=False, data={},
                        training={}, latents={})  # fmt: skip
        yield str(path), "preset small with random weights (no checkpoint is bundled)"


def random_generator(preset: str, seed: int = 0) -> Any:
    """An InfinityGAN generator with random weights, its noise and biases switched on so that every path matters."""
    from mediagen.nn.equalized import initialise

    spec = models.spec("infinitygan")
    network, rng = spec.build(spec.presets[preset]), torch.Generator().manual_seed(seed)
    initialise(network, rng)
    for name, parameter in network.named_parameters():
        if name.endswith("strength") or ("finish" in name and name.endswith("bias")):
            parameter.data.normal_(0.0, 0.1, generator=rng)
    return network.eval().requires_grad_(False)


@dataclass(frozen=True)
class Ran:
    """A child process that ended: `code` is negative for a signal; `peak` is its largest resident size in bytes.

    The peak is that of the program itself, without children of its own; 0 where there is no /proc.
    """

    code: int
    seconds: float
    peak: int
    out: str
    err: str


def command(*words: object) -> list[str]:
    """`mediagen WORDS` as this Python runs it."""
    return [sys.executable, "-m", "mediagen_cli", *map(str, words)]


def run(words: Sequence[str], *, kill_after: float | None = None, threads: int | None = None) -> Ran:
    """Runs a child; SIGKILL after `kill_after` seconds. Its memory is what the system counted, not what it says.

    The kernel's record is read while the child lives: what `wait4` tells afterwards begins with this process's own peak,
    since a child is a copy of its parent until it becomes another program.
    """
    environment = dict(os.environ, NO_COLOR="1")
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start, peak = time.perf_counter(), 0
        child = subprocess.Popen(words, stdout=out, stderr=err, env=environment)
        while child.poll() is None:
            peak = max(peak, peak_of(child.pid))
            if kill_after is not None and time.perf_counter() - start > kill_after:
                child.kill()
            time.sleep(0.01)
        seconds = time.perf_counter() - start
        texts = [file.seek(0) or file.read() for file in (out, err)]
    return Ran(child.returncode, seconds, peak, *texts)


def peak_of(process: int) -> int:
    """The largest resident size of a running process so far, in bytes; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def files_of(root: Path) -> dict[str, str]:
    """Every file below `root` with its SHA-256."""
    found = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def machine() -> Row:
    """What the figures were taken on."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    flags = set(facts.get("flags", "").split())
    return {
        "cpu": facts.get("model name", platform.processor() or platform.machine()),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "avx512_bf16": "avx512_bf16" in flags,
        "amx_bf16": "amx_bf16" in flags,
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **versions("torch", "numpy", "zarr", "mediagen"),
    }


def said(name: str, words: Sequence[str]) -> str:
    """The command that a result tells: without the places that only this machine has."""
    kept, coming = [], iter(words)
    for word in coming:
        if word in PLACES:
            next(coming, None)
        elif word.split("=")[0] not in PLACES:
            kept.append(word)
    return shlex.join(["python", f"benchmarks/{name}.py", *kept])


def finish(name: str, asked: argparse.Namespace, found: Mapping[str, Any], where: Row, seconds: float) -> None:
    """Writes the result, with the machine, the date and the command in it."""
    assert {"title", "about", "tables"} <= found.keys(), "the page needs them"
    asked.out.mkdir(parents=True, exist_ok=True)
    record = {
        "name": name,
        "quick": asked.quick,
        "command": said(name, sys.argv[1:]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": where,
        "seconds": round(seconds),
        **found,
    }
    path = asked.out / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"{seconds:.0f} s; wrote {path}")


def table(title: str, rows: Sequence[Row], note: str = "") -> Row:
    """A table for the result and the page; printed at once. All rows have the keys of the first one."""
    print(f"\n{title}")
    if rows:
        lines = [list(rows[0]), *([text(value) for value in row.values()] for row in rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        for line in lines:
            print("  " + "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())
    if note:
        print(f"  ({note})")
    sys.stdout.flush()
    return {"title": title, "rows": list(rows), "note": note}


def text(value: object) -> str:
    """A cell: three significant digits for fractions, thousands separated, yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "-" if value is None else str(value)
