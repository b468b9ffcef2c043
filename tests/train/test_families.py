"""Every family of clip models: a training that is killed goes on to the same bytes, and two processes agree with one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import families
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mediagen.checkpoint import read_tensors
from mediagen.errors import DataError
from mediagen.models._spec import ClipNeeds
from mediagen.train import source

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder; decoded videos are kept in a cache of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield families.make_videos(tmp_path_factory.mktemp("videos"))


def started(*words: object, processes: int = 1) -> subprocess.CompletedProcess[str]:
    """`families.py` with these words, in processes of its own."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(torchrun if processes > 1 else []), families.__file__, *map(str, words)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize("family", families.FAMILIES)
def test_a_killed_training_goes_on_to_the_same_bytes(family: str, videos: Path, tmp_path: Path) -> None:
    killed = started(family, videos, tmp_path, 7, 5)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    families.run(family, videos, tmp_path / "whole", 7)
    report = families.run(family, videos, tmp_path / family, 7)
    assert report.new == 4, "it goes on after the state of iteration 3"
    for name in ("state.safetensors", "generator.safetensors", "best.safetensors", "previews/000006.png"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / family / name).read_bytes(), name


@pytest.fixture(scope="module")
def two(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All families, trained by two processes."""
    folder = tmp_path_factory.mktemp("two")
    done = started(",".join(families.FAMILIES), videos, folder, 4, processes=2)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("family", families.FAMILIES)
def test_two_processes_agree_with_each_other_and_with_one(family: str, videos: Path, two: Path, tmp_path: Path) -> None:
    """Also where batch norm is used: a share is normalised by its own clips, wherever it is computed."""
    ranks = [load_file(two / f"{family}.{rank}.safetensors") for rank in (0, 1)]
    assert any(name.endswith("running_var") for name in ranks[0])
    for name, tensor in ranks[0].items():
        assert torch.equal(ranks[1][name], tensor), name
    families.run(family, videos, tmp_path / "one", 4)
    one, _ = read_tensors(tmp_path / "one" / "state.safetensors")
    for name, tensor in ranks[0].items():
        torch.testing.assert_close(one[f"network/{name}"], tensor, rtol=1e-3, atol=1e-4, msg=name)


def test_a_video_that_breaks_half_way_is_told_of(videos: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(videos, tmp_path / "v") / "class0"
    with av.open(str(folder / "long.mp4"), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        for seed in range(9):
            picture = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    whole = (folder / "long.mp4").read_bytes()
    (folder / "long.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    (folder / "notes.txt").write_text("no video")
    said: list[str] = []
    source.read(tmp_path / "v", ClipNeeds(frames=4, height=16, width=16), tmp_path, said.append)
    assert sum(line.startswith("  skipped class0/notes.txt: ") for line in said) == 1
    assert sum(line.startswith("  damaged class0/long.mp4: only its first ") for line in said) == 1


def test_a_size_that_cannot_be_cut_is_one_line(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too small to cut 16 x 16 from it") as caught:
        families.run("mocogan", videos, tmp_path / "run", 1, config={"resize": (10, 10)})
    assert len(str(caught.value).splitlines()) == 1
