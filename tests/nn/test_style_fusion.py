"""What a painter keeps does not grow with the number of styles that it meets."""

from __future__ import annotations

import numpy as np
import torch

from mediagen.canvas.render import draw_fields
from mediagen.canvas.styles import CentreStyle, StretchStyle
from mediagen.core.geometry import Window
from mediagen.core.styles import Centre
from mediagen.models import spec
from mediagen.nn.equalized import initialise
from mediagen.nn.style_fusion import CACHED_STYLES, CACHED_WEIGHTS, StyledPainter


def painter(styles):
    system = spec("infinitygan")
    network = system.build(system.presets["tiny"])
    initialise(network, torch.Generator().manual_seed(0))
    return StyledPainter(network.eval(), styles, device=torch.device("cpu"), precision="fp32")


def paint(made, window):
    return made.paint([window], [draw_fields(made.model, window, 0)])[0]


def test_few_styles_are_kept_on_a_wide_canvas() -> None:
    made = painter(StretchStyle(0, 64, 16))
    for x in range(0, 1280, 64):
        paint(made, Window(x, -16, 64, 32))
    assert len(made.convolution.styled) <= CACHED_STYLES
    assert len(made.convolution.folded) <= CACHED_WEIGHTS


def test_a_block_of_many_styles_has_them_all_at_hand() -> None:
    many = 2 * CACHED_STYLES
    styles = CentreStyle(tuple(Centre(16.0 * i, 0.0, i) for i in range(many)), 8)
    made, asked = painter(styles), []
    latent = made.convolution.latent
    made.convolution.latent = lambda centre, structure: asked.append(centre) or latent(centre, structure)
    window = Window(0, -16, 16 * many, 32)
    first = paint(made, window)
    layers = len(asked) // many
    assert len(asked) == layers * many, "every centre once a layer"
    assert np.array_equal(paint(made, window), first)
    assert len(asked) == layers * many
    assert len(made.convolution.styled) == many


def test_several_windows_in_one_call_are_the_same_pixels() -> None:
    made = painter(StretchStyle(0, 64, 16))
    windows = [Window(x, -16, 64, 32) for x in (0, 32, 640)]
    together = made.paint(windows, [draw_fields(made.model, window, 0) for window in windows])
    for window, picture in zip(windows, together, strict=True):
        assert np.array_equal(paint(made, window), picture)
