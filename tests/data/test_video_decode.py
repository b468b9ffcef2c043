"""One file: frames at the right times, upright, in the right colours and place; limits; nothing but videos is opened."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from video_parts import numbered, write

from mediagen.data import video_decode, video_frames
from mediagen.data.video_decode import Broken, decode_video
from mediagen.data.video_frames import Wanted
from mediagen.errors import DataError

SIZE = {"height": 16, "width": 16}


def read(path: Path, **wanted: object) -> np.ndarray:
    """(T, H, W, 3)."""
    with path.open("rb") as file:
        shown = decode_video(file, Wanted(**(SIZE | wanted)))
        return np.concatenate([np.repeat(picture[None].copy(), count, axis=0) for picture, count in shown])


def numbers(path: Path, fps: float | None) -> list[int]:
    return read(path, fps=fps)[:, 0, 0, 1].tolist()


def expected(times: list[float], fps: float, length: float) -> list[int]:
    """The frame on screen at k / fps after the first one."""
    began = np.array(times) - times[0]
    points = np.arange(0.0, began[-1] + length - 1e-6, 1.0 / fps)
    return [int(np.flatnonzero(began <= point + 1e-6)[-1]) for point in points]


def test_all_frames_as_stored(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", numbered(9, video=7))
    frames = read(path)
    assert np.array_equal(frames, numbered(9, video=7))


@pytest.mark.parametrize("fps", [2.0, 7.5, 10.0, 24.0, 60.0])
def test_variable_rates_follow_the_time_on_screen(tmp_path: Path, fps: float) -> None:
    times = [5.0, 5.05, 5.3, 5.31, 6.0, 6.013, 6.7]  # a late start, a gap, two frames almost at once
    path = write(tmp_path / "a.mkv", numbered(7), times=times, rate=25)
    assert numbers(path, None) == list(range(7))
    assert numbers(path, fps) == expected(times, fps, 0.04)


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(30), Fraction(24), Fraction(60)])
def test_milliseconds_neither_repeat_nor_lose_frames(tmp_path: Path, rate: Fraction) -> None:
    path = write(tmp_path / "a.mkv", numbered(60), rate=rate)  # matroska rounds to milliseconds
    assert numbers(path, float(rate)) == list(range(60))
    assert numbers(path, float(rate) / 2) == list(range(0, 60, 2))
    assert numbers(path, float(rate) * 2) == [n // 2 for n in range(120)]


def turned(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Overwrites the display matrix a, b, c, d in the header of an mp4."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


UPRIGHT = (1, 0, 0, 1)
MATRICES = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]


@pytest.mark.parametrize("matrix", MATRICES)
def test_every_orientation_is_upright(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    rows, columns = np.mgrid[0:64, 0:96]
    picture = np.stack([rows * 3, columns * 2, np.full_like(rows, 60)], -1).astype(np.uint8)
    a, b, c, d = matrix
    right, down = np.array([a, b]), np.array([c, d])  # where a step to the right, and one down, go: (x, y)
    x, y = (
        (columns[..., None] * right + rows[..., None] * down)[..., 0],
        (columns[..., None] * right + rows[..., None] * down)[..., 1],
    )
    x, y = x - x.min(), y - y.min()
    shown = np.zeros((y.max() + 1, x.max() + 1, 3), np.uint8)
    shown[y, x] = picture
    path = write(tmp_path / "a.mp4", [picture] * 2, codec="libx264", pix_fmt="yuv444p")
    frames = read(turned(path, matrix), height=shown.shape[0], width=shown.shape[1])
    assert np.abs(frames[0].astype(int) - shown).mean() < 4


@pytest.mark.parametrize("matrix", [(0, 0, 0, 0), (1, 1, 1, 1), (-(2**15), 0, 0, 0)])
def test_a_nonsense_matrix_is_no_turn(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    path = write(tmp_path / "a.mp4", numbered(2, video=90), codec="libx264", pix_fmt="yuv444p")
    assert np.abs(read(turned(path, matrix)).astype(int) - read(turned(path, UPRIGHT))).max() == 0


def test_wide_pixels_are_shown_wide(tmp_path: Path) -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, :8], picture[:, 8:24], picture[:, 24:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    h264: dict[str, Any] = {"codec": "libx264", "pix_fmt": "yuv444p"}
    square = read(write(tmp_path / "a.mp4", [picture], **h264))[0].astype(int)
    wide = read(write(tmp_path / "b.mp4", [picture], aspect=Fraction(2, 1), **h264))[0].astype(int)
    assert np.abs(square[8, 1] - (255, 0, 0)).max() < 20
    assert np.abs(square[8, 14] - (0, 0, 255)).max() < 20
    # 64 x 32 is cut to its middle 32 columns, the stored columns 8 to 24.
    assert np.abs(wide[:, 1:-1] - (0, 255, 0)).max() < 20


def test_cover_and_cut_or_resize(tmp_path: Path) -> None:
    columns = np.broadcast_to(np.arange(96)[None, :, None] * 2, (32, 96, 3)).astype(np.uint8)
    path = write(tmp_path / "a.mkv", [columns])
    cut = read(path)[0, 8, :, 0].astype(int)  # scaled to 48 x 16, columns 16 to 32
    assert np.abs(cut - (2 * np.arange(16, 32) + 0.5) * 2).max() <= 3
    squeezed = read(path, resize=(24, 16))[0, 8, :, 0].astype(int)  # columns 4 to 20 of 24
    assert np.abs(squeezed - (4 * np.arange(4, 20) + 1.5) * 2).max() <= 3
    with pytest.raises(ValueError, match="too small to cut"):
        Wanted(height=16, width=16, resize=(15, 20))


FORMATS = ["gray", "gray16le", "yuv420p", "yuv422p10le", "yuv444p12le", "gbrp10le", "bgr0", "bgra", "yuva420p"]


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("side", [16, 32])
def test_any_pixel_format(tmp_path: Path, pix_fmt: str, side: int) -> None:
    colour = (140, 140, 140) if pix_fmt.startswith("gray") else (200, 80, 30)
    path = write(tmp_path / "a.mkv", [np.full((side, side, 3), colour, np.uint8)], pix_fmt=pix_fmt)
    frames = read(path)
    assert frames.shape == (1, 16, 16, 3)
    assert np.abs(frames.astype(int) - colour).max() <= 4


def test_alpha_is_laid_on_white(tmp_path: Path) -> None:
    picture = np.zeros((16, 16, 4), np.uint8)
    picture[..., 0], picture[:8, :, 3], picture[8:12, :, 3] = 200, 255, 128
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height = stream.width = 16
        stream.pix_fmt = "bgra"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgba").reformat(format="bgra")))
        container.mux(stream.encode())
    shown = read(tmp_path / "a.mkv")[0].astype(int)
    assert np.abs(shown[:8] - (200, 0, 0)).max() <= 1
    assert np.abs(shown[8:12] - (227, 127, 127)).max() <= 2
    assert np.abs(shown[12:] - 255).max() == 0


@pytest.mark.parametrize(("space", "full"), [("bt709", False), ("smpte170m", False), ("bt709", True)])
def test_colour_matrix_and_range(tmp_path: Path, space: str, full: bool) -> None:
    """A red of Y, Cb, Cr by the standard's own formula comes back as that red."""
    red, green, blue = 0.8, 0.2, 0.1
    kr, kb = (0.2126, 0.0722) if space == "bt709" else (0.299, 0.114)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    codes = [round(luma * 255), round(128 + 255 * cb), round(128 + 255 * cr)]
    if not full:
        codes = [round(16 + 219 * luma), round(128 + 224 * cb), round(128 + 224 * cr)]
    planes = np.stack([np.full((16, 16), code, np.uint8) for code in codes])
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height = stream.width = 16
        stream.pix_fmt = "yuv444p"
        stream.codec_context.colorspace = 1 if space == "bt709" else 6
        stream.codec_context.color_range = 2 if full else 1
        frame = av.VideoFrame.from_ndarray(planes, format="yuv444p", channel_last=False)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert np.abs(read(tmp_path / "a.mkv")[0].astype(int) - (204, 51, 25.5)).max() <= 3


def test_a_change_of_size_on_the_way(tmp_path: Path) -> None:
    parts = []
    for number, size in enumerate([(32, 32), (64, 32), (32, 96)]):
        frames = [np.full((*size, 3), 60 + 60 * number, np.uint8)] * 3
        parts.append(write(tmp_path / f"{number}.h264", frames, codec="libx264", pix_fmt="yuv420p").read_bytes())
    (tmp_path / "all.h264").write_bytes(b"".join(parts))
    frames = read(tmp_path / "all.h264")
    assert frames.shape == (9, 16, 16, 3)
    assert np.abs(frames.mean((1, 2, 3)) - np.repeat([60, 120, 180], 3)).max() < 3


def test_the_best_of_several_streams_and_no_sound(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        small, large = (container.add_stream("ffv1", rate=25) for _ in range(2))
        for stream, side in ((small, 16), (large, 64)):
            stream.height = stream.width = side
            stream.pix_fmt = "bgr0"
        large.disposition = av.stream.Disposition.default
        noise = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.int16), format="s16", layout="mono")
        noise.sample_rate = 8000
        container.mux(sound.encode(noise))
        for value in (10, 20):
            for stream, side, more in ((small, 16, 0), (large, 64, 100)):
                picture = np.full((side, side, 3), value + more, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for stream in (sound, small, large):
            container.mux(stream.encode())
    assert np.abs(read(tmp_path / "a.mkv").mean((1, 2, 3)) - (110, 120)).max() < 2


def test_a_broken_end_leaves_the_frames_before_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [np.random.default_rng(n).integers(0, 256, (64, 64, 3), np.uint8) for n in range(9)],
                 codec="libx264", pix_fmt="yuv420p", container_options={"movflags": "faststart"})  # fmt: skip
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    shown: list[np.ndarray] = []
    with path.open("rb") as file, pytest.raises(Broken, match="decoding stops"):
        shown.extend(picture.copy() for picture, _ in decode_video(file, Wanted(**SIZE, fps=50.0)))
    assert 1 <= len(shown) < 9


def refusal(path: Path, **wanted: object) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **wanted)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_scripts_and_playlists_open_nothing(tmp_path: Path) -> None:
    write(tmp_path / "real.mkv", numbered(3))
    scripts = {
        "concat.mp4": f"ffconcat version 1.0\nfile '{tmp_path}/real.mkv'\n",
        "list.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{tmp_path}/real.mkv\n#EXT-X-ENDLIST\n",
        "text.mp4": "hello " * 100,
        "sdp.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        "empty.mp4": "",
    }
    for name, words in scripts.items():
        (tmp_path / name).write_text(words)
        assert refusal(tmp_path / name).startswith(("not a video", "an empty file")), name
    picture = av.VideoFrame.from_ndarray(numbered(1)[0], format="rgb24").to_image()
    picture.save(tmp_path / "still.mp4", format="JPEG")
    assert refusal(tmp_path / "still.mp4") == "not a video: its format is not among those that are read"


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mkv", numbered(4), times=[0.0, 1.0, 5 * 3600.0, 5 * 3600.0 + 1])
    assert "5.0 hours; at most 4 are read" in refusal(path)
    monkeypatch.setattr(video_decode, "MAX_SECONDS", 10)
    short = write(tmp_path / "b.mkv", numbered(4), times=[0.0, 1.0, 5.0, 9.0])
    assert len(read(short, fps=10.0)) == 91
    monkeypatch.setattr(video_decode, "MAX_FRAMES", 3)
    mp4 = write(tmp_path / "b.mp4", numbered(4), codec="libx264", pix_fmt="yuv444p")
    assert "4 frames; at most 3 are read" in refusal(mp4)
    strip = write(tmp_path / "c.mkv", [np.zeros((2, 4000, 3), np.uint8)])
    assert "4000 x 2 is too long to be cut to 128 x 128" in refusal(strip, height=128, width=128)
    for module in (video_decode, video_frames):
        monkeypatch.setattr(module, "MAX_PIXELS", 16 * 16 - 1)
    assert refusal(short) == "16 x 16 is more than 0 million pixels"


def test_time_stamps_that_span_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A raw stream declares no duration, so that only the frames tell."""
    monkeypatch.setattr(video_decode, "MAX_SECONDS", 2)
    path = write(tmp_path / "a.h264", numbered(90), codec="libx264", pix_fmt="yuv444p", rate=25)
    assert len(read(path)) == 90
    assert "time stamps span more than" in refusal(path, fps=25.0)


def test_a_gif_that_says_it_is_huge(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gif", numbered(2), codec="gif", pix_fmt="rgb8")
    data = bytearray(path.read_bytes())
    data[6:10] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert refusal(path).startswith(("65535 x 65535 is more than", "no frame of it", "not a video", "decoding stops"))


@pytest.mark.parametrize("seed", range(3))
def test_random_damage_never_goes_beyond_a_data_error(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = [
        write(tmp_path / "a.mkv", numbered(6)),
        write(tmp_path / "a.mp4", numbered(6), codec="libx264", pix_fmt="yuv420p"),
        write(tmp_path / "a.gif", numbered(6), codec="gif", pix_fmt="rgb8"),
        write(tmp_path / "a.avi", numbered(6), codec="mjpeg", pix_fmt="yuvj420p"),
        write(tmp_path / "a.webm", numbered(6), codec="libvpx", pix_fmt="yuv420p"),
    ]
    for path in whole:
        for _ in range(8):
            data = bytearray(path.read_bytes())
            for at in rng.integers(len(data), size=rng.integers(1, 20)):
                data[at] = rng.integers(256)
            (tmp_path / "damaged").write_bytes(data[: rng.integers(len(data) // 2, len(data) + 1)])
            with suppress(DataError):
                assert read(tmp_path / "damaged", fps=10.0).shape[1:] == (16, 16, 3)


def test_a_worker_has_a_limit_on_its_memory() -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell how much a process has")
    probe = (
        "import numpy as np\nfrom mediagen.data import video_worker as worker\nworker.MEMORY = 2**28\n"
        "worker.limit_memory()\nnp.ones(2**24, np.uint8)\n"
        "try:\n    np.empty(2**29, np.uint8)\nexcept MemoryError:\n    print('refused')\n"
        "import sys\nassert 'torch' not in sys.modules and 'PIL' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout == "refused\n"
