"""Folders of videos: the zoo, classes, what is refused and why, and clips that depend on nothing but the generator."""

from __future__ import annotations

import csv
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from video_parts import ZOO, folder_of, numbered, write

from mediagen.data.videos import VideoFolder
from mediagen.errors import DataError
from mediagen.models._spec import ClipNeeds

needs_zoo = pytest.mark.skipif(not ZOO.is_dir(), reason="the zoo of odd videos is not beside this checkout")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def videos(path: Path, cache: Path, frames: int = 4, side: int = 16, memory: int = 2**30, **more: Any) -> VideoFolder:
    needs = ClipNeeds(frames=frames, height=side, width=side, **more)
    return VideoFolder(path, needs=needs, cache=cache, memory=memory)


def reasons(folder: VideoFolder) -> dict[str, str]:
    return {skipped.name: skipped.reason for skipped in folder.skipped}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> tuple[VideoFolder, VideoFolder, dict[str, dict[str, str]]]:
    """The whole zoo as stored and at 10 frames a second, names with dashes and quotes among them, and its manifest."""
    place = tmp_path_factory.mktemp("zoo")
    for part in ("made", "real"):
        (place / "zoo" / part).mkdir(parents=True)
        for file in (ZOO / part).iterdir():
            (place / "zoo" / part / file.name).write_bytes(file.read_bytes())
    with zipfile.ZipFile(ZOO / "odd_names.zip") as odd:
        odd.extractall(place / "zoo" / "odd")
    with (ZOO / "MANIFEST.tsv").open() as table:
        rows = {row["file"].replace("odd_names.zip:", "odd/"): row for row in csv.DictReader(table, delimiter="\t")}
    stored = videos(place / "zoo", place / "cache", side=64)
    return stored, videos(place / "zoo", place / "cache", side=64, fps=10.0), rows


NOT_VIDEOS = {"made/vfr.mp4.pts.json", "made/vfr.mkv.pts.json"}
STILL = {"made/image.mp4", "made/anim.webp"}
"""A photograph, whatever it is called, and a format that libav cannot decode."""


@needs_zoo
def test_each_file_of_the_zoo_is_read_as_its_manifest_says(zoo: Any) -> None:
    stored, _, rows = zoo
    readable = {name: int(row["frames_decoded"]) for name, row in rows.items() if row["frames_decoded"] != "0"}
    counts = dict(zip(stored.names, stored.counts.tolist(), strict=True))
    assert counts == {name: count for name, count in readable.items() if name not in STILL}
    assert len(counts) == 74
    broken = {name for name, row in rows.items() if row["error"].startswith("decoding stops") and name in counts}
    assert {part.name for part in stored.damaged} == broken
    for part in stored.damaged:
        assert part.reason.startswith(f"only its first {counts[part.name]} frames: decoding stops")


@needs_zoo
def test_what_the_zoo_cannot_give_is_refused_with_its_reason(zoo: Any) -> None:
    stored, _, rows = zoo
    refused = {name for name, row in rows.items() if row["frames_decoded"] == "0"} | STILL | NOT_VIDEOS
    assert set(reasons(stored)) == refused
    told = reasons(stored)
    for name in sorted(refused & set(rows)):
        error = rows[name]["error"]
        if rows[name]["bytes"] == "0":
            assert told[name] == "an empty file", name
        elif error.startswith("cannot open"):
            assert told[name].startswith("not a video"), name
        elif error == "no video stream":
            assert told[name] == "it has no video stream", name
        elif error == "no frame decoded":
            assert told[name] == "no frame of it can be decoded", name
    assert all(told[name] == "not a video: its format is not among those that are read" for name in STILL)


@needs_zoo
def test_the_zoo_gives_batches(zoo: Any) -> None:
    for folder in zoo[:2]:
        assert folder.classes == ["made", "odd", "real"]
        batch = folder.draw(64, rng()).tensors()
        assert batch["clips"].shape == (64, 3, 4, 64, 64)
        assert set(batch["labels"].tolist()) <= {0, 1, 2}
    assert zoo[0].fingerprint == zoo[1].fingerprint


@needs_zoo
def test_times_of_the_zoo(zoo: Any) -> None:
    """By presentation time: 10 frames a second of what is on screen, holes included."""
    _, timed, _ = zoo
    counts = dict(zip(timed.names, timed.counts.tolist(), strict=True))
    for name, seconds in {"fps_high.mp4": 1 / 3, "fps_low.mp4": 20.0, "late_start.mkv": 1.6, "gap.mkv": 5.8}.items():
        assert abs(counts[f"made/{name}"] - seconds * 10) <= 1, name
    for name in ("vfr.mp4", "vfr.mkv"):
        times = json.loads((ZOO / "made" / f"{name}.pts.json").read_text())
        assert times["time_base"] == "1/1000"
        # The last frame's own length is not in the list.
        assert 0 <= counts[f"made/{name}"] - (times["pts"][-1] - times["pts"][0]) // 100 <= 2, name


def centre(folder: VideoFolder, name: str, frame: int = 0) -> np.ndarray:
    return folder._take(folder._first[folder.names.index(name)] + np.array([frame]))[0].astype(float)


@needs_zoo
def test_turned_videos_of_the_zoo_are_upright(zoo: Any) -> None:
    stored, _, _ = zoo
    for name, quarters in {"real/video_90.mov": -1, "real/portrait.MOV": -1, "real/fire2.mp4": 2}.items():
        with av.open(str(ZOO / name)) as container:
            frame = next(container.decode(video=0))
            side = min(frame.width, frame.height)
            whole = frame.to_ndarray(format="rgb24")
        top, left = (whole.shape[0] - side) // 2, (whole.shape[1] - side) // 2
        square = np.rot90(whole[top : top + side, left : left + side], quarters)
        small = torch.nn.functional.interpolate(
            torch.from_numpy(square.copy()).permute(2, 0, 1)[None].float(), size=64, mode="bilinear", antialias=True
        )
        assert np.abs(small[0].permute(1, 2, 0).numpy() - centre(stored, name)).mean() < 4, name


@needs_zoo
def test_one_clip_in_all_codecs_looks_alike(zoo: Any) -> None:
    stored, _, _ = zoo
    reference = centre(stored, "made/ffv1.mkv")
    for name in (
        "av1.mkv",
        "hevc.mp4",
        "mjpeg.avi",
        "prores.mov",
        "rgb.mp4",
        "vp8.webm",
        "vp9.webm",
        "xvid.avi",
        "anim.png",
    ):
        assert np.abs(centre(stored, f"made/{name}") - reference).mean() < 8, name
    grey = centre(stored, "made/gray.mp4")
    assert np.ptp(grey, axis=-1).max() <= 4
    assert np.abs(centre(stored, "real/h264_white_frame_sar_16_9.mp4") - 255).max() <= 1


def test_classes_are_the_first_sub_folders(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "v", [3, 3, 3, 3, 3], classes=2)
    write(root / "1" / "deeper" / "x.mkv", numbered(2))
    folder = videos(root, tmp_path / "cache", categories=2)
    assert folder.names == ["0/000.mkv", "0/002.mkv", "0/004.mkv", "1/001.mkv", "1/003.mkv", "1/deeper/x.mkv"]
    assert folder.classes == ["0", "1"]
    assert folder.labels.tolist() == [0, 0, 0, 1, 1, 1]
    drawn = folder.draw(50, rng())
    shown = drawn.clips[:, 0, 0, 0, 0]  # red tells the video; x.mkv is 0, as 000.mkv is
    assert all(label == video % 2 for label, video in zip(drawn.labels, shown, strict=True) if video)
    write(root / "beside.mkv", numbered(2))
    assert videos(root, tmp_path / "cache").classes == [".", "0", "1"]
    with pytest.raises(DataError, match="3 sub-folders hold videos, but the model knows 2 classes"):
        videos(root, tmp_path / "cache", categories=2)


def test_without_sub_folders_all_labels_are_zero(tmp_path: Path) -> None:
    folder = videos(folder_of(tmp_path / "v", [3, 3]), tmp_path / "cache", categories=4)
    assert folder.classes == []
    assert folder.draw(9, rng()).labels.tolist() == [0] * 9


def test_a_list_of_videos(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "v", [3, 3, 3], classes=3)
    (tmp_path / "list.txt").write_text("# some\nv/2/002.mkv\n\nv/0/000.mkv\nv/nowhere.mkv\n")
    folder = videos(tmp_path / "list.txt", tmp_path / "cache")
    assert folder.names == ["v/2/002.mkv", "v/0/000.mkv"]
    assert folder.classes == ["v"]
    assert reasons(folder) == {"v/nowhere.mkv": "cannot be read: No such file or directory"}
    (root / "list.txt").write_text(f"2/002.mkv\n{root / '0' / '000.mkv'}\n../v/1/001.mkv\n")
    other = videos(root / "list.txt", tmp_path / "cache")
    assert [other.classes[label] for label in other.labels] == ["2", "0", "1"]


def test_hostile_names_links_and_kinds_of_file(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside.mkv", numbered(3, video=9))
    root = folder_of(tmp_path / "v", [3])
    (root / "inside.mkv").symlink_to(root / "000.mkv")
    (root / "escape.mkv").symlink_to(outside)
    (root / "zero.mkv").symlink_to("/dev/zero")
    (root / "gone.mkv").symlink_to(tmp_path / "nothing")
    (root / "up").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(root / "pipe.mkv")
    write(root / ".hidden.mkv", numbered(3))
    write(root / ".hidden" / "x.mkv", numbered(3))
    data = outside.read_bytes()
    odd = ["a\nb.mkv", "http:%2F%2Fx.mkv", "concat:x.mkv", "%03d.mkv", "-i.mkv", "日本.mkv"]
    for name in odd:
        (root / name).write_bytes(data)
    (root / os.fsdecode(b"\xff\xfe.mkv")).write_bytes(data)
    folder = videos(root, tmp_path / "cache")
    assert set(folder.names) == {"000.mkv", "inside.mkv", *odd, os.fsdecode(b"\xff\xfe.mkv")}
    told = reasons(folder)
    assert told.keys() == {"escape.mkv", "zero.mkv", "gone.mkv", "up", "pipe.mkv"}
    assert told["escape.mkv"] == told["zero.mkv"] == told["up"] == "a link that leaves the folder"
    assert told["pipe.mkv"] == "not a regular file"
    assert videos(root, tmp_path / "cache").names == folder.names


def test_nothing_usable_is_one_line(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    bad = tmp_path / "bad"
    bad.mkdir()
    for number in range(3):
        (bad / f"{number}.mp4").write_text("no video")
    cases = {
        empty: "no usable video (it holds no files); give a folder of videos",
        bad: "no usable video (0.mp4: not a video, or damaged at its beginning: Invalid data found when processing "
        "input, and 2 more); give a folder of videos",
        tmp_path / "nowhere": "there is no such folder; give a folder of videos",
        bad / "0.mp4": "neither a folder nor a .txt list of videos; give a folder of videos",
    }
    for path, line in cases.items():
        with pytest.raises(DataError) as caught:
            videos(path, tmp_path / "cache")
        assert str(caught.value) == f"{path}: {line}"
    cache = tmp_path / "cache"
    assert not cache.exists() or all(path.suffix == ".lock" for path in cache.iterdir())


def test_clips_are_frames_in_order(tmp_path: Path) -> None:
    folder = videos(folder_of(tmp_path / "v", [12, 7, 2]), tmp_path / "cache", frames=4, stride=2)
    drawn = folder.draw(300, rng())
    assert drawn.clips.shape == (300, 4, 16, 16, 3)
    starts: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}
    for clip in drawn.clips:
        video, numbers = int(clip[0, 0, 0, 0]), clip[:, 0, 0, 1].astype(int)
        start, last = numbers[0], [12, 7, 2][video] - 1
        assert np.array_equal(numbers, np.minimum(start + 2 * np.arange(4), last))
        assert np.array_equal(clip, np.array(numbered(12, video=video))[numbers])
        starts[video].add(int(start))
    # Every place from which a whole clip fits; a video too short for one gives its beginning.
    assert starts == {0: set(range(6)), 1: {0}, 2: {0}}


def test_clips_depend_on_the_generator_alone(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "v", [12, 7, 2, 30])
    one, other = (videos(root, tmp_path / f"c{memory}", memory=memory, images=3, flip=True) for memory in (0, 2**30))
    for seed in range(5):
        first, second = one.draw(6, rng(seed)), other.draw(6, rng(seed))
        assert np.array_equal(first.clips, second.clips)
        assert np.array_equal(first.labels, second.labels)
        assert first.images is not None
        assert second.images is not None
        assert np.array_equal(first.images, second.images)
    assert not np.array_equal(one.draw(6, rng(0)).clips, one.draw(6, rng(1)).clips)


def test_single_images_come_from_other_videos(tmp_path: Path) -> None:
    folder = videos(folder_of(tmp_path / "v", [5] * 8), tmp_path / "cache", images=4)
    drawn = folder.draw(50, rng())
    assert drawn.images is not None
    assert drawn.images.shape == (200, 16, 16, 3)
    assert set(drawn.images[:, 0, 0, 0]) == set(range(8))
    assert set(drawn.images[:, 0, 0, 1]) == set(range(5))
    same = drawn.images[:, 0, 0, 0] == np.repeat(drawn.clips[:, 0, 0, 0, 0], 4)
    assert 0.05 < same.mean() < 0.25  # one in eight


def test_mirrored_clips_are_mirrored_as_a_whole(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "v", [5])
    drawn = videos(root, tmp_path / "cache", flip=True, images=1).draw(100, rng())
    left = drawn.clips[:, :, 0, 0, 2] == 100
    assert np.array_equal(left.all(1), left.any(1))
    assert 0.3 < left.all(1).mean() < 0.7
    assert drawn.images is not None
    assert 0.3 < (drawn.images[:, 0, 0, 2] == 100).mean() < 0.7
    assert (videos(root, tmp_path / "cache").draw(100, rng()).clips[..., 0, 0, 2] == 100).all()


def test_tensors(tmp_path: Path) -> None:
    folder = videos(folder_of(tmp_path / "v", [5, 5], classes=2), tmp_path / "cache", images=2)
    drawn = folder.draw(3, rng())
    batch = drawn.tensors()
    assert {name: (tuple(value.shape), value.dtype) for name, value in batch.items()} == {
        "clips": ((3, 3, 4, 16, 16), torch.float32),
        "labels": ((3,), torch.int64),
        "images": ((6, 3, 16, 16), torch.float32),
    }
    back = ((batch["clips"] + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 4, 1)
    assert np.array_equal(back.numpy(), drawn.clips)
    assert batch["clips"].is_contiguous(memory_format=torch.channels_last_3d)
    assert batch["images"].is_contiguous(memory_format=torch.channels_last)
    assert float(batch["clips"].min()) >= -1.0
    assert "images" not in videos(folder.path, tmp_path / "cache").draw(3, rng()).tensors()


def test_the_fingerprint_is_of_names_and_contents(tmp_path: Path) -> None:
    folder_of(tmp_path / "a", [3, 4])  # of the same frames, no two matroska files are equal
    for place in ("b", "c"):
        shutil.copytree(tmp_path / "a", tmp_path / place)
    write(tmp_path / "c" / "001.mkv", numbered(5))
    prints = [videos(tmp_path / place, tmp_path / "cache").fingerprint for place in ("a", "b", "c")]
    assert prints[0] == prints[1] != prints[2]
    (tmp_path / "a" / "notes.txt").write_text("what cannot be used does not count")
    assert videos(tmp_path / "a", tmp_path / "cache").fingerprint == prints[0]
