"""What every video model keeps, at its `tiny` presets: frame k is one, skipped as well as shown, interrupted or not."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from test_render import After, content
from torch import Tensor, nn

from mediagen import models
from mediagen.core.clips import CHUNK, ClipRequest
from mediagen.models._spec import ClipModel, StreamModel
from mediagen.video.frames import frames
from mediagen.video.render import render_video

VIDEO = [name for name in models.names() if models.spec(name).kind == "video"]
TINY = [(name, preset) for name in VIDEO for preset in models.spec(name).presets if preset.startswith("tiny")]
FRAMES = 3 * 64 + 5


def built(name: str, preset: str) -> nn.Module:
    """A model with random weights large enough for something to be seen."""
    spec = models.spec(name)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return spec.build(spec.presets[preset]).eval().requires_grad_(False)


@pytest.fixture(scope="module", params=TINY, ids=lambda param: "-".join(param))
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.set_num_threads(1)
    return built(*request.param)


def wish(model) -> dict[str, object]:
    """Something that every model can be asked for; those that start from pictures get one."""
    picture = np.random.default_rng(0).integers(0, 255, (*model.frame_size, 3)).astype(np.uint8)
    return {"image": picture} if "image" in model.abilities else {}


def tensors(state: object) -> list[Tensor]:
    """Every tensor in a state."""
    if isinstance(state, Tensor):
        return [state]
    if is_dataclass(state):
        return [one for field in fields(state) for one in tensors(getattr(state, field.name))]
    return [one for part in state for one in tensors(part)] if isinstance(state, tuple | list) else []


def test_what_it_says_of_itself(model) -> None:
    assert isinstance(model, StreamModel | ClipModel)
    assert model.abilities <= {"content", "motion", "image", "rate", "reverse"}
    first = next(frames(model, **wish(model)))
    assert first.shape == (*model.frame_size, 3)
    assert first.std() > 0


def test_frame_k_does_not_depend_on_the_length(model) -> None:
    long = np.stack(list(frames(model, frames=100, seed=4, **wish(model))))
    for count in (1, 16, 33):
        assert np.array_equal(np.stack(list(frames(model, frames=count, seed=4, **wish(model)))), long[:count])
    assert np.array_equal(np.stack(list(frames(model, frames=20, start=70, seed=4, **wish(model)))), long[70:90])


@pytest.mark.parametrize("rate", [1.0, 0.4, -1.0])
def test_what_is_skipped_is_what_is_shown(model, rate: float) -> None:
    """Bit for bit, in whatever pieces: else a clip that was interrupted would be another one."""
    if not isinstance(model, StreamModel):
        pytest.skip("made in one piece")
    if (rate != 1.0 and "rate" not in model.abilities) or (rate < 0 and "reverse" not in model.abilities):
        pytest.skip("its time goes by in whole frames")
    same_after_skips(model, ClipRequest(seed=3, rate=rate, **wish(model)))


def same_after_skips(model: StreamModel, request: ClipRequest) -> None:
    states = [model.start(request)]
    for _ in range(20):
        states.append(model.step(states[-1], CHUNK)[0])
    for start, stop in ((0, 4), (0, 12), (0, 20), (4, 8), (4, 12), (8, 20), (12, 16)):
        skipped = tensors(model.skip(states[start], CHUNK * (stop - start)))
        shown = tensors(states[stop])
        assert len(skipped) == len(shown) > 0
        assert all(torch.equal(a, b) for a, b in zip(skipped, shown, strict=True)), f"{start} to {stop}"


def test_skipping_at_the_sizes_that_ship() -> None:
    """Matrix products of other widths go other ways through the machine's libraries."""
    for preset in ("small", "small-ode"):
        model = built("mocogan", preset)
        assert isinstance(model, StreamModel)
        same_after_skips(model, ClipRequest(seed=3))


@pytest.mark.parametrize("seed", [1, -1, 2**63])
def test_any_whole_number_is_a_seed(model, seed: int) -> None:
    if "image" in model.abilities:
        pytest.skip("its picture decides the first frame")
    assert not np.array_equal(next(frames(model, seed=seed)), next(frames(model, seed=0)))


def test_reverse_and_categories_where_it_can(model) -> None:
    for ability, more in (
        ("rate", {"time_scale": 0.5}),
        ("reverse", {"reverse": True}),
        ("motion", {"motion_seed": 7}),
    ):
        if ability in model.abilities:
            plain, other = (np.stack(list(frames(model, frames=20, **wish(model), **w))) for w in ({}, more))
            assert not np.array_equal(plain, other), ability
    if model.categories > 1:
        list(frames(model, frames=40, category=[0, 1], category_every=8, **wish(model)))


@pytest.mark.parametrize("join", ["cut", "interpolate"])
def test_interrupted_and_gone_on_with(model, join: str, tmp_path: Path) -> None:
    whole, path, request = tmp_path / "whole.mp4", tmp_path / "a.mp4", {"frames": FRAMES, "join": join, **wish(model)}
    if join == "interpolate" and isinstance(model, StreamModel):
        pytest.skip("a stream has no joins")
    render_video(model, whole, **request, scale=1)
    stop = After(64)
    report = render_video(model, path, **request, scale=1, progress=stop.progress, should_stop=stop)
    assert report.interrupted
    assert render_video(model, path, **request, scale=1).frames_kept > 0
    assert list(content(path).values()) == list(content(whole).values())
