"""Looking between pixels: a known picture moves by exactly as much as it should, and does nothing else."""

from __future__ import annotations

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import ColorRange, Colorspace
from export_parts import scene

from mediagen.export.resample import View, frame_shape, planes, put, rounded, sheet_of

SIZE = (256, 64)


def wave(period: float, width: int = 420, height: int = 90) -> np.ndarray:
    """Upright waves as an exact sheet (3, w, h), amplitude 100 around 128, crests at period * k pixels from x = 0."""
    x = np.arange(width) + 0.5
    line = torch.from_numpy((128 + 100 * np.cos(2 * np.pi * x / period)).astype(np.float32))
    return line[None, :, None].expand(3, width, height).contiguous()


def seen(sheet, left: float, step: float = 1.0, top: float = 10.25) -> np.ndarray:
    """A frame's first plane, unrounded, away from its borders."""
    return planes(sheet, (0, 0), View(left, top, step), SIZE, "rgb")[0].numpy()


def phase_and_size(line: np.ndarray, period: float) -> tuple[float, float]:
    """Where the crest lies (pixels), and how high it is, by the discrete Fourier sum at that period."""
    count = int(len(line) // period * period) if period == int(period) else len(line)
    x = np.arange(count) + 0.5
    window = np.hanning(count)
    total = (window * (line[:count] - 128) * np.exp(-2j * np.pi * x / period)).sum() / window.sum() * 2
    return float(-np.angle(total) * period / (2 * np.pi)), abs(total)


@pytest.mark.parametrize("period", [32.0, 8.0, 4.0, 3.0])
@pytest.mark.parametrize("shift", [0.0, 0.1, 1 / 3, 0.5, 0.77, 6.667])
def test_motion_is_exact_to_a_hundredth_of_a_pixel(period: float, shift: float) -> None:
    sheet = wave(period)
    there, _ = phase_and_size(seen(sheet, 50.0)[30], period)
    moved, _ = phase_and_size(seen(sheet, 50.0 + shift)[30], period)
    away = (there - moved - shift + period / 2) % period - period / 2
    assert abs(away) < 0.01


@pytest.mark.parametrize("period", [32.0, 8.0, 5.0, 4.0, 3.0, 2.5])
def test_nothing_flickers(period: float) -> None:
    """A pattern's strength, and each frame's, stay the same at whatever fraction of a pixel the camera is."""
    sheet = wave(period)
    sizes = [phase_and_size(seen(sheet, 50 + k / 16)[30], period)[1] for k in range(16)]
    assert max(sizes) - min(sizes) < 2.0  # of 100
    if period >= 4:
        assert min(sizes) > 95, "sharp where there is something to see"


def test_each_frame_is_the_first_one_moved() -> None:
    """No judder: after n pixels the picture is bit for bit the same, and half-way it is what lies between."""
    sheet = sheet_of(scene(420, 90).transpose(2, 0, 1), "rgb")
    first, later = (planes(sheet, (0, 0), View(left, 10.25, 1.0), SIZE, "rgb")[0] for left in (50.375, 57.375))
    assert torch.equal(first[:, 7:], later[:, :-7])


@pytest.mark.parametrize("step", [0.3, 1 / 1.40625, 1.0, 1.7])
def test_scale_is_exact(step: float) -> None:
    period = 24.0
    line = seen(wave(period), 30.2, step)[30]
    crest, size = phase_and_size(line, period / step)
    away = (crest * step + 30.2 + period / 2) % period - period / 2
    assert abs(away) < 0.02
    assert size == pytest.approx(100, abs=1.5)


def test_an_even_colour_stays_what_it_is() -> None:
    sheet = torch.full((3, 420, 90), 77.0)
    for step in (0.5, 1.0, 1.3):
        assert np.abs(seen(sheet, 13.37, step) - 77).max() < 1e-3


def test_bits_do_not_depend_on_where_the_sheet_begins() -> None:
    picture = scene(600, 120).transpose(2, 0, 1)
    for colours in ("rgb", "yuv"):
        whole, part = sheet_of(picture, colours), sheet_of(picture[:, 4:, 90:500], colours)
        view = View(120.43, 20.9, 1.21)
        for a, b in zip(
            planes(whole, (0, 0), view, SIZE, colours), planes(part, (90, 4), view, SIZE, colours), strict=True
        ):
            assert torch.equal(a, b)


def test_planes_show_the_same_colours() -> None:
    """Luma and chroma, turned back by FFmpeg, are the picture that the other way makes."""
    soft = scene(420, 90)
    view = View(40.3, 9.1, 0.5)
    frames = {}
    for colours in ("rgb", "yuv"):
        frames[colours] = np.empty(frame_shape(SIZE, colours), np.uint8)
        parts = planes(sheet_of(soft.transpose(2, 0, 1), colours), (0, 0), view, SIZE, colours)
        put(rounded(parts), 0, frames[colours], colours)
    coded = av.VideoFrame.from_ndarray(frames["yuv"], format="yuv420p")
    coded.colorspace, coded.color_range = Colorspace.ITU709, ColorRange.MPEG
    back = coded.reformat(format="rgb24", src_colorspace=Colorspace.ITU709, src_color_range=ColorRange.MPEG,
                          dst_color_range=ColorRange.JPEG).to_ndarray()  # fmt: skip
    error = np.abs(back.astype(int) - frames["rgb"])[4:-4, 4:-4]
    assert error.mean() < 1.5
    assert error.max() <= 8
