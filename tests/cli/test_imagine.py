"""`mediagen imagine` as a user meets it: a folder, a photograph, a canvas, and what can be mistaken on the way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    path, rng = tmp_path_factory.mktemp("photo") / "my photo.png", np.random.default_rng(2)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 9, 3), np.uint8))
    coarse.resize((72, 48), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(scope="module")
def run(photo, tmp_path_factory) -> Path:
    from mediagen.train import train

    path = tmp_path_factory.mktemp("run")
    train("mil", photo.parent, path, preset="tiny", device="cpu", precision="fp32")
    return path


def test_a_photograph_becomes_a_canvas(mediagen, run, photo, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = mediagen("imagine", str(run), str(photo))
    assert (ran.code, ran.out) == (0, "my photo.safetensors\n")
    assert "48 x 32 px, 3 scales" in ran.err
    assert "levels off the picture" in ran.err
    assert ran.err.count("\n") == 1
    painted = mediagen("canvas", "a.zarr", "--model", "my photo.safetensors", "--width", "300", "--quiet")
    assert (painted.code, painted.err) == (0, "")
    looked = json.loads(mediagen("inspect", "my photo.safetensors", "--json").out)
    assert looked["model"] == "consingan"
    assert looked["training"]["made_by"] == "mil, in one pass"


def test_the_report_as_json(mediagen, run, photo, tmp_path) -> None:
    out = tmp_path / "a.safetensors"
    blend = ["--blend", str(photo), "--t", "0.25", "--from-scale", "2"]
    ran = mediagen("imagine", str(run), str(photo), "--out", str(out), *blend, "--json", "--quiet")
    report = json.loads(ran.out)
    assert (report["width"], report["height"], report["error"]) == (48, 32, None)
    made = json.loads(mediagen("inspect", str(out), "--json").out)["training"]
    assert made["command"] == "mediagen imagine MODEL PICTURE --blend OTHER --t 0.25 --from-scale 2"
    again = mediagen("imagine", str(run), str(photo), "--out", str(out))
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "--overwrite" in again.err
    assert mediagen("imagine", str(run), str(photo), "--out", str(out), "--overwrite", "--quiet").code == 0


FAULTS = {
    "no picture": (["imagine", "RUN"], 2, "PICTURE"),
    "a missing picture": (["imagine", "RUN", "none.jpg"], 1, "none.jpg"),
    "a missing model": (["imagine", "none", "PHOTO"], 1, "none"),
    "a bundled model": (["imagine", "badlands", "PHOTO"], 2, "mediagen train mil"),
    "t without blend": (["imagine", "RUN", "PHOTO", "--t", "0.5"], 2, "--blend"),
    "t no number": (["imagine", "RUN", "PHOTO", "--t", "half"], 2, "--t"),
    "a scale": (["imagine", "RUN", "PHOTO", "--blend", "PHOTO", "--from-scale", "9"], 2, "between 1 and 3"),
    "no checkpoint": (["imagine", "RUN", "PHOTO", "--out", "a.png"], 2, ".safetensors"),
    "no folder": (["imagine", "RUN", "PHOTO", "--out", "none/a.safetensors"], 1, "none"),
    "a canvas of the network": (["canvas", "--width", "9", "--model", "RUN"], 2, "mediagen imagine"),
    "a film of the network": (["video", "--frames", "9", "--model", "RUN"], 2, "mediagen imagine"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_one_line(name, mediagen, run, photo, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(photo, "PHOTO")
    (tmp_path / "RUN").symlink_to(run)
    words, code, told = FAULTS[name]
    ran = mediagen(*words)
    assert (ran.code, ran.err.count("\n")) == (code, 1), ran.err
    assert told in ran.err
    assert not ran.out
