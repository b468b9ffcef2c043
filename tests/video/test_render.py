"""Clips in files: what can be read back, going on, refusing, and what a file says of itself."""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from tiny import Pieces, Stream

from mediagen.errors import StoreError, UsageError
from mediagen.io.video_codecs import SEGMENT
from mediagen.io.video_file import read_record
from mediagen.io.video_place import kept_of, only_writer, part_of
from mediagen.video.frames import frames
from mediagen.video.render import default_scale, render_video

SCRIPT = Path(__file__).with_name("tiny.py")
NAMES = ["a.mp4", "a.mkv", "a.webm", "a.gif", "a"]
CODED = [
    ("a.mp4", "h264"), ("a.mp4", "av1"), ("a.mp4", "vp9"), ("a.mkv", "ffv1"), ("a.mkv", "vp9"), ("a.mkv", "h264"),
    ("a.webm", "av1"),
]  # fmt: skip


def pictures(path: Path) -> np.ndarray:
    """Every frame of a clip, whatever its kind."""
    if path.is_dir():
        return np.stack([np.asarray(Image.open(file)) for file in sorted(path.glob("*.png"))])
    if path.suffix == ".gif":
        with Image.open(path) as gif:
            found = []
            for k in range(gif.n_frames):
                gif.seek(k)
                found.append(np.asarray(gif.convert("RGB")))
            return np.stack(found)
    with av.open(path) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def content(path: Path) -> dict[str, str]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


class After:
    """Says stop once so many frames are there."""

    def __init__(self, frames: int) -> None:
        self.frames, self.done = frames, 0

    def progress(self, done: int, total: int) -> None:
        self.done = done

    def __call__(self) -> bool:
        return self.done >= self.frames


@pytest.mark.parametrize(("name", "codec"), [*CODED, ("a.gif", None), ("a", None)])
def test_what_is_written_can_be_read_back(name: str, codec: str | None, tmp_path: Path) -> None:
    path = tmp_path / name
    report = render_video(Stream(), path, frames=150, scale=4, codec=codec, time_scale=1.0)
    assert (report.frames, report.frames_made, report.interrupted) == (150, 150, False)
    assert (report.width, report.height) == (96, 64)
    assert report.bytes == sum(file.stat().st_size for file in ([path] if path.is_file() else path.iterdir()))
    seen, meant = pictures(path), np.stack(list(frames(Stream(), frames=150, scale=4)))
    assert seen.shape == meant.shape
    if codec in ("ffv1", None) and name != "a.gif":
        assert np.array_equal(seen, meant)
    else:  # coded with losses, colours at half the size: alike, and each frame the one it should be
        assert np.abs(seen.astype(int) - meant).mean() < 20
        errors = np.abs(seen[60:70, None].astype(int) - meant[None, 60:70]).mean((2, 3, 4))
        assert (errors.argmin(1) == np.arange(10)).all()
    assert left(tmp_path) == {name}


def test_motion_is_smooth_by_default_where_frames_can_be_drawn_between_frames(tmp_path: Path) -> None:
    """Every third frame of the smooth clip is a frame of the one that the model learnt; its speed is the same."""

    class Whole(Stream):
        abilities = Stream.abilities - {"rate"}

    report = render_video(Stream(), tmp_path / "a.mkv", scale=1, codec="ffv1")
    plain = render_video(Stream(), tmp_path / "b.mkv", scale=1, codec="ffv1", time_scale=1.0)
    assert (report.frames, report.fps, report.duration) == (300, 30.0, 10.0)
    assert (plain.frames, plain.fps, plain.duration) == (100, 10.0, 10.0)
    assert render_video(Whole(), tmp_path / "c.mkv", scale=1, codec="ffv1").fps == 10.0
    assert render_video(Stream(), tmp_path / "d.mkv", fps=12, frames=5).fps == 12.0
    smooth = np.stack(list(frames(Stream(), frames=300, time_scale=1 / 3)))
    assert np.array_equal(pictures(tmp_path / "a.mkv"), smooth)


def test_a_clip_has_its_rate_and_its_colours(tmp_path: Path) -> None:
    """Frames per second, duration and the colour matrix are in the file: a browser shows what was meant."""
    render_video(Stream(), tmp_path / "a.mp4", frames=100, fps=29.97, scale=4)
    with av.open(tmp_path / "a.mp4") as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == pytest.approx(29.97)
        assert stream.frames == 100
        assert float(stream.duration * stream.time_base) == pytest.approx(100 / 29.97, abs=1e-3)
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)
        keys = [k for k, packet in enumerate(container.demux(stream)) if packet.is_keyframe]
        assert keys == [0, 64]
    raw = (tmp_path / "a.mp4").read_bytes()
    assert raw.index(b"moov") < raw.index(b"mdat"), "it can be shown while it is being fetched"


@pytest.mark.parametrize(("name", "codec"), [*CODED, ("a.gif", None)])
def test_flat_colours_stay_as_they_are(name: str, codec: str | None, tmp_path: Path) -> None:
    """Range and matrix are those that the file names."""
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [128, 128, 128]])

    class Flat(Stream):
        def step(self, state, count):
            shown = colours[(state.frame + torch.arange(count)) % 6] / 127.5 - 1
            return self.skip(state, count), shown[:, :, None, None].expand(-1, -1, 16, 24)

    render_video(Flat(), tmp_path / name, frames=12, codec=codec, scale=4)
    seen = pictures(tmp_path / name).astype(int)
    assert np.abs(seen - colours.repeat(2, 1).numpy()[:, None, None]).max() <= 5


def test_gif_keeps_its_time(tmp_path: Path) -> None:
    render_video(Stream(), tmp_path / "a.gif", frames=30, fps=30)
    with Image.open(tmp_path / "a.gif") as gif:
        lasts = []
        for k in range(30):
            gif.seek(k)
            lasts.append(gif.info["duration"])
    assert sum(lasts) == 1000
    assert set(lasts) == {30, 40}


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_odd_sizes_repeat_their_last_row_and_column(name: str, tmp_path: Path) -> None:
    class Odd(Stream):
        frame_size = (15, 23)

        def step(self, state, count):
            state, made = super().step(state, count)
            return state, made[:, :, :15, :23]

    render_video(Odd(), tmp_path / name, frames=3, scale=3, crf=1, time_scale=1.0)
    seen, meant = pictures(tmp_path / name), np.stack(list(frames(Odd(), frames=3, scale=3)))
    assert seen.shape == (3, 46, 70, 3)
    assert np.abs(seen[:, :45, :69].astype(int) - meant).mean() < 20
    assert np.abs(seen[:, 45].astype(int) - seen[:, 44]).mean() < 8
    assert np.abs(seen[:, :, 69].astype(int) - seen[:, :, 68]).mean() < 8


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model", [Stream, Pieces])
def test_stopped_and_gone_on_with(name: str, model: type, tmp_path: Path) -> None:
    """Twice interrupted, it has the bytes of an undisturbed clip, and each part can be looked at."""
    whole, path = tmp_path / "whole" / name, tmp_path / name
    render_video(model(), whole, frames=330, scale=2, join="interpolate")
    request = {"frames": 330, "scale": 2, "join": "interpolate"}
    for stop_at in (SEGMENT, 3 * SEGMENT):
        stop = After(stop_at)
        report = render_video(model(), path, **request, progress=stop.progress, should_stop=stop)
        assert report.interrupted
        there = report.frames_made + report.frames_kept
        assert there % SEGMENT == 0
        assert stop_at <= there < 330
        assert report.path == str(part_of(path))
        assert len(pictures(part_of(path))) == there
        assert not path.exists()
    report = render_video(model(), path, **request)
    assert report.frames_kept == there
    assert content(path) == content(whole)
    assert left(tmp_path) == {name, "whole"}
    assert render_video(model(), path, **request).frames_made == 0, "said once more, there is nothing to do"


@pytest.mark.parametrize("name", NAMES)
def test_a_part_cut_off_anywhere(name: str, tmp_path: Path) -> None:
    """As a power cut or a full disk leaves it: what is whole is kept, the rest is made again."""
    path, part = tmp_path / name, part_of(tmp_path / name)
    render_video(Stream(), tmp_path / "whole" / name, frames=200)
    for share in (0.9, 0.6, 0.02, 0.0):
        stop = After(128)
        report = render_video(Stream(), path, frames=200, progress=stop.progress, should_stop=stop)
        there = report.frames_kept + report.frames_made
        if part.is_dir():
            for file in sorted(part.glob("*.png"))[int(share * there) :]:
                file.write_bytes(file.read_bytes()[:50])
        else:
            part.write_bytes(part.read_bytes()[: int(share * part.stat().st_size)])
        (tmp_path / f".{name}.lock").touch()  # a process that is killed leaves it
        kept = render_video(Stream(), path, frames=200, should_stop=lambda: True).frames_kept
        assert kept % SEGMENT == 0
        assert kept == 0 if share < 0.1 else 0 < kept < there
    render_video(Stream(), path, frames=200)
    assert content(path) == content(tmp_path / "whole" / name)
    assert left(tmp_path) == {name, "whole"}


def test_killed_while_the_old_part_was_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    stop = After(128)
    render_video(Stream(), path, frames=200, progress=stop.progress, should_stop=stop)
    part_of(path).rename(kept_of(path))
    part_of(path).write_bytes(kept_of(path).read_bytes()[:700])
    (tmp_path / ".a.mp4.lock").touch()
    assert render_video(Stream(), path, frames=200).frames_kept >= 128
    assert left(tmp_path) == {"a.mp4"}


def test_killed_after_the_clip_had_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    render_video(Stream(), path, frames=20)
    part_of(path).write_bytes(path.read_bytes())
    assert render_video(Stream(), path, frames=20).frames_made == 0
    assert left(tmp_path) == {"a.mp4"}


@pytest.mark.parametrize("name", NAMES)
def test_another_clip_is_not_lost(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    render_video(Stream(), path, frames=20)
    before = content(path)
    with pytest.raises(UsageError, match=r"frames: was 20, now 30.*--overwrite"):
        render_video(Stream(), path, frames=30)
    with pytest.raises(UsageError, match=r"seed: was 0, now 1"):
        render_video(Stream(), path, frames=20, seed=1)
    assert content(path) == before
    assert render_video(Stream(), path, frames=30, overwrite=True).frames_made == 30
    assert left(tmp_path) == {name}


@pytest.mark.parametrize("name", NAMES)
def test_a_part_of_another_clip_is_not_lost(name: str, tmp_path: Path) -> None:
    path, stop = tmp_path / name, After(64)
    render_video(Stream(), path, frames=200, progress=stop.progress, should_stop=stop)
    with pytest.raises(UsageError, match=r"was begun with other arguments \(plan.seed: was 0, now 9\)"):
        render_video(Stream(), path, frames=200, seed=9)
    assert render_video(Stream(), path, frames=200, seed=9, overwrite=True).frames_kept == 0


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["a.mp4", "a.part.mp4", "a.gif", "a.part.gif", "a", "a.part"])
def test_a_file_of_someone_else(name: str, overwrite: bool, tmp_path: Path) -> None:
    found, path = tmp_path / name, tmp_path / name.replace(".part", "")
    if "." in name.removesuffix(".part"):
        found.write_bytes(b"a holiday")
    else:
        found.mkdir()
        (found / "thesis.txt").write_text("precious")
    before = content(found)
    with pytest.raises(StoreError, match="ours"):
        render_video(Stream(), path, frames=5, overwrite=overwrite)
    assert content(found) == before


def test_a_folder_with_something_else_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a"
    render_video(Stream(), path, frames=5)
    (path / "thesis.txt").write_text("precious")
    with pytest.raises(StoreError, match=r"thesis\.txt"):
        render_video(Stream(), path, frames=6, overwrite=True)
    assert (path / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("name", NAMES)
def test_provenance(name: str, tmp_path: Path) -> None:
    render_video(Stream(), tmp_path / name, frames=5, seed=7, category=[1, 2], image=np.zeros((9, 9, 3), np.uint8))
    record = read_record(tmp_path / name)
    assert record["command"].startswith("mediagen video --model Stream --frames 5 --fps 30 --seed 7")
    assert "--category 1,2 --category-every 64" in record["command"]
    assert "--time-scale 0.3333333333333333" in record["command"]
    assert record["plan"]["seed"] == 7
    assert len(record["plan"]["image"]) == len(record["model"]["sha256"]) == 64
    assert {"torch", "av", "numpy", "mediagen"} <= record["made_with"].keys()
    assert str(tmp_path) not in json.dumps(record)
    assert str(Path.home()) not in json.dumps(record)


def test_only_one_process_writes(tmp_path: Path) -> None:
    with only_writer(tmp_path / "a.mp4"), pytest.raises(StoreError, match="another process"):
        render_video(Stream(), tmp_path / "a.mp4", frames=5)
    render_video(Stream(), tmp_path / "a.mp4", frames=5)


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("a.avi", {}, r"\.avi"),
        ("a.mp4", {"codec": "ffv1"}, r"\.mkv"),
        ("a.webm", {"codec": "h264"}, r"\.mp4"),
        ("a.mp4", {"codec": "mpeg2"}, "mpeg2"),
        ("a.mp4", {"crf": 99}, "51"),
        ("a.mkv", {"codec": "ffv1", "crf": 3}, "every bit"),
        ("a.gif", {"codec": "h264"}, "GIF"),
        ("a.gif", {"fps": 60}, "50"),
        ("a", {"crf": 3}, "PNGs"),
        ("a.mp4", {"frames": 0}, "at least 1"),
        ("a.mp4", {"fps": 0.0}, "--fps"),
        ("a.mp4", {"fps": float("inf")}, "--fps"),
        ("a.mp4", {"scale": 5000}, "too large"),
    ],
)
def test_bad_requests(name: str, more: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        render_video(Stream(), tmp_path / name, **more)
    assert len(str(caught.value).splitlines()) == 1
    assert left(tmp_path) == set()


def test_a_name_that_looks_like_an_address(tmp_path: Path) -> None:
    for name in ("concat:a|b.mp4", "%03d.mp4", "a b'c.mkv"):
        render_video(Stream(), tmp_path / name, frames=3)
        assert read_record(tmp_path / name)


def test_default_scale() -> None:
    assert default_scale((64, 64), (1, 1)) == 4
    assert default_scale((64, 64), (3, 4)) == 2
    assert default_scale((300, 400), (1, 1)) == 1


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where nobody can write")
def test_a_place_that_cannot_be_written() -> None:
    with pytest.raises(StoreError):
        render_video(Stream(), "/proc/none/a.mp4", frames=5)


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_leaves_something_to_go_on_with(name: str, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk; a folder of PNGs gets none that would be too small for it."""
    path = tmp_path / name
    render_video(Stream(), tmp_path / "whole" / name, frames=200, scale=2, join="interpolate")
    size = max(file.stat().st_size for file in ([path] if path.is_dir() else (tmp_path / "whole").rglob("*.*")))
    limit = size * 2 // 3

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    words = [sys.executable, SCRIPT, "stream", path, "200", "0"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False, preexec_fn=little_room)
    assert ran.returncode == 1
    assert "StoreError" in ran.stderr
    assert not path.exists()
    subprocess.run(words, check=True)
    assert content(path) == content(tmp_path / "whole" / name)
    assert left(tmp_path) == {name, "whole"}
