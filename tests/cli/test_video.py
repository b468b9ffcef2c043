"""`mediagen video` as a user meets it: a clip, its report, what is refused in one line, and Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest
from PIL import Image
from test_bad_input import FAILED, USAGE, assert_one_line

REQUESTS = {
    "an ending": (["clip.avi"], USAGE, ".avi"),
    "no length": (["--frames", "0"], USAGE, "--frames"),
    "a word for a length": (["--frames", "long"], USAGE, "'long' is not a whole number"),
    "a rate": (["--fps", "0"], USAGE, "--fps"),
    "no number": (["--fps", "nan"], USAGE, "--fps"),
    "a grid": (["--grid", "many"], USAGE, "2x3"),
    "an empty grid": (["--grid", "0x3"], USAGE, "grid"),
    "a codec": (["--codec", "mpeg2"], USAGE, "h264"),
    "a codec that does not fit": (["clip.webm", "--codec", "h264"], USAGE, ".mp4"),
    "a quality": (["--crf", "52"], USAGE, "--crf"),
    "a category of none": (["--category", "1"], USAGE, "--category"),
    "no category": (["--category", "a,b"], USAGE, "0,1,2"),
    "a picture": (["--image", "none.png"], USAGE, "--image"),
    "backwards": (["--reverse"], USAGE, "--reverse"),
    "no time": (["--time-scale", "0"], USAGE, "--time-scale"),
    "a scale": (["--scale", "0"], USAGE, "scale"),
    "too large": (["--scale", "9999"], USAGE, "too large"),
    "a device": (["--device", "gpu"], USAGE, "cuda"),
    "a precision": (["--precision", "fp8"], USAGE, "bf16"),
    "no model": (["--model", "none"], FAILED, "none"),
    "a model of another kind": (["--model", "infinitygan"], USAGE, "makes no clips"),
    "no folder": (["/proc/none/clip.mp4", "--frames", "9"], FAILED, "/proc/none"),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=list(REQUESTS))
def test_one_line(request_, mediagen, tiny_clips) -> None:
    words, code, said = request_
    model = [] if "--model" in words else ["--model", tiny_clips]
    ran = mediagen("video", *words, *model)
    assert_one_line(ran.code, ran.err, code, said)
    assert ran.out == ""
    assert not list(Path().iterdir()), "nothing is left behind"


def test_a_clip(mediagen, tiny_clips) -> None:
    ran = mediagen("video", "--frames", 50, "--model", tiny_clips, "--seed", 3)
    assert (ran.code, ran.out) == (0, "clip.mp4\n")
    assert "50 frames of 256 x 256 px, 0:02 at 25 a second, h264 at crf 18" in ran.err
    with av.open("clip.mp4") as container:
        assert sum(1 for _ in container.decode(video=0)) == 50
    again = mediagen("video", "--frames", 50, "--model", tiny_clips, "--seed", 3)
    assert again.code == 0
    assert "it was all there" in again.err
    other = mediagen("video", "--frames", 50, "--model", tiny_clips)
    assert_one_line(other.code, other.err, USAGE, "--overwrite")
    assert mediagen("video", "--frames", 50, "--model", tiny_clips, "--overwrite", "-q").err == ""


def test_ten_seconds_by_default(mediagen, tiny_clips) -> None:
    report = json.loads(mediagen("video", "a", "--model", tiny_clips, "--json", "--scale", 1).out)
    assert (report["frames"], report["duration"], report["fps"]) == (250, 10.0, 25.0)
    assert (report["width"], report["height"], report["joined"]) == (16, 16, None)
    assert len(list(Path("a").glob("*.png"))) == 250


def test_a_grid_with_everything(mediagen, tiny_clips) -> None:
    words = ["--grid", "2x3", "--scale", 3, "--content-seed", 5, "--time-scale", 0.5, "--fps", 24, "--crf", 30]
    report = json.loads(mediagen("video", "a.webm", "--frames", 20, "--model", tiny_clips, *words, "--json").out)
    assert (report["codec"], report["crf"], report["fps"]) == ("vp9", 30, 24.0)
    assert (report["width"], report["height"]) == (3 * 48 + 2 * 2, 2 * 48 + 2)


def test_from_a_picture(mediagen, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Only models that start from pictures take one; the others say so (see `test_one_line`)."""
    from mediagen.checkpoint import save_checkpoint
    from mediagen.models import spec
    from mediagen.models.mocogan import TINY, replace

    model, config = spec("mocogan"), replace(TINY, image_to_video=True)
    path = tmp_path_factory.mktemp("weights") / "pictures.safetensors"
    state = model.build(config).state_dict()
    save_checkpoint(path, state, model="mocogan", config=config, ema=True, data={}, training={}, latents={})
    Image.effect_noise((64, 40), 40).convert("RGB").save("a.png")
    Path("b.png").write_text("no picture")
    assert mediagen("video", "--frames", 20, "--model", path, "--image", "a.png").code == 0
    ran = mediagen("video", "b.mp4", "--frames", 20, "--model", path, "--image", "b.png")
    assert_one_line(ran.code, ran.err, FAILED, "b.png")
    without = mediagen("video", "c.mp4", "--frames", 20, "--model", path)
    assert_one_line(without.code, without.err, USAGE, "picture")


def test_inspect_a_clip(mediagen, tiny_clips) -> None:
    for name in ("a.mp4", "a.gif", "a"):
        assert mediagen("video", name, "--frames", 70, "--model", tiny_clips, "--seed", 3).code == 0
        told = json.loads(mediagen("inspect", name, "--deep", "--json").out)
        assert (told["what"], told["complete"], told["healthy"]) == ("clip", True, True)
        assert told["frames"] == {"whole": 70, "of": 70}
        assert told["made"]["config"]["motion"] == 4
        text = mediagen("inspect", name)
        assert text.code == 0
        assert "mediagen video --model clips --frames 70 --fps 25 --seed 3" in text.out
    cut = Path("a.mp4").read_bytes()
    Path("a.mp4").write_bytes(cut[: len(cut) * 2 // 3])
    assert mediagen("inspect", "a.mp4").code == 1
    Path("b.mp4").write_bytes(b"a holiday")
    ran = mediagen("inspect", "b.mp4")
    assert_one_line(ran.code, ran.err, USAGE, "no clip of mediagen")


def test_settings_from_a_file(mediagen, tiny_clips) -> None:
    Path("my.toml").write_text(f'[video]\nframes = 33\nmodel = "{tiny_clips}"\ngrid = "1x2"\ntime-scale = 0.5\n')
    report = json.loads(mediagen("video", "--config", "my.toml", "--json", "--scale", 1).out)
    assert (report["frames"], report["width"]) == (33, 34)


def test_an_output_that_is_not_ours(mediagen, tiny_clips) -> None:
    Path("clip.mp4").write_bytes(b"a holiday")
    for flags in ([], ["--overwrite"]):
        ran = mediagen("video", "--frames", 9, "--model", tiny_clips, *flags)
        assert_one_line(ran.code, ran.err, FAILED, "clip.mp4")
    assert Path("clip.mp4").read_bytes() == b"a holiday"


@pytest.mark.skipif(os.name == "nt", reason="sends signals")
def test_an_interrupt_leaves_a_part_to_go_on_with(tmp_path: Path, tiny_clips: Path) -> None:
    command = [sys.executable, "-m", "mediagen_cli", "video", "--frames", "5000000", "--model", str(tiny_clips)]
    process = subprocess.Popen(
        [*command, "--overwrite"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    part = tmp_path / "clip.part.mp4"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline and not (part.exists() and part.stat().st_size > 9999):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    last = err.strip().splitlines()[-1]
    found = re.search(
        r"stopped, ([\d,]+) of 5,000,000 frames are in clip\.part\.mp4; to go on: mediagen video --frames", last
    )
    assert found, last
    assert "--overwrite" not in last
    assert out == "clip.part.mp4\n"
    with av.open(part) as container:
        assert sum(1 for _ in container.demux(video=0)) >= int(found[1].replace(",", ""))
    assert {path.name for path in tmp_path.iterdir()} == {"clip.part.mp4"}
