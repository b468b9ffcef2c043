"""TGANv2 played: streams equal to whole clips, lower levels, classes, equations, checkpoints."""

from dataclasses import replace

import pytest
import torch
from tganv2_parts import KINDS, objective, play, player

from mediagen.checkpoint import load, save_checkpoint
from mediagen.core.clips import CHUNK, ClipRequest
from mediagen.errors import UsageError
from mediagen.models._spec import ClipPreview, Samples, StreamModel, VideoModel
from mediagen.models.tganv2 import SPEC, TINY, Generator


@pytest.mark.parametrize(
    "settings", [*({"temporal": kind} for kind in KINDS[:-1]), {"categories": 2, "repeat_latent": True}], ids=str
)
def test_frame_by_frame_equals_the_whole_clip(settings):
    generator = player(**settings)
    frames = play(generator, ClipRequest(seed=4, categories=(1,) if "categories" in settings else ()), 24)
    labels = torch.tensor([1]) if "categories" in settings else None
    whole = generator.clips(generator.latent(4), labels, frames=24)[0].transpose(0, 1)
    torch.testing.assert_close(frames, whole, rtol=0, atol=1e-5)
    assert (frames[0] - frames[-1]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [1.0, 0.5, 1.5])
def test_skipping_leaves_what_stepping_leaves_bit_for_bit(kind, rate):
    generator, request = player(temporal=kind), ClipRequest(seed=2, rate=rate)
    start = generator.start(request)
    stepped, skipped = generator.step(start, 5)[0], generator.skip(start, 5)
    assert all(torch.equal(a, b) for a, b in zip(stepped.motion, skipped.motion, strict=True))
    assert torch.equal(generator.step(stepped, 3)[1], generator.step(skipped, 3)[1])


def test_the_state_has_a_constant_size():
    generator = player()
    state = generator.start(ClipRequest())
    sizes = set()
    for _ in range(12):
        state, _ = generator.step(state, CHUNK)
        sizes.add(tuple(t.numel() for t in (state.content, *state.motion)))
    assert len(sizes) == 1


def test_an_equation_runs_back_and_a_convlstm_does_not_say_that_it_can():
    generator = player(temporal="ode")
    assert generator.abilities == {"rate", "reverse"}
    forth, back = (play(generator, ClipRequest(seed=1, rate=r), 5) for r in (1.0, -1.0))
    torch.testing.assert_close(forth[0], back[0])
    assert (forth[1] - back[1]).abs().max() > 1e-5
    assert player().abilities == {"rate"}
    assert player(temporal="sde").abilities == {"rate", "motion"}


def test_another_motion_seed_gives_an_sde_another_future_of_the_same_start():
    generator = player(temporal="sde")
    one, other = (play(generator, ClipRequest(seed=1, motion_seed=m), 6) for m in (5, 6))
    torch.testing.assert_close(one[0], other[0])
    assert (one[-1] - other[-1]).abs().max() > 1e-4


def test_half_the_rate_shows_the_same_frames_and_those_between():
    generator = player()
    whole, slow = play(generator, ClipRequest(seed=3), 8), play(generator, ClipRequest(seed=3, rate=0.5), 16)
    torch.testing.assert_close(slow[::2], whole, rtol=0, atol=1e-5)


def test_lower_levels_are_previews_of_the_same_clip():
    generator, request = player(), ClipRequest(seed=3)
    whole = generator.dense(generator.latent(3), None, 5, [1, 2, 3])
    for level, size in ((1, 4), (2, 8), (3, 16)):
        generator.render_level = level
        assert generator.frame_size == (size, size)
        torch.testing.assert_close(play(generator, request, 5), whole[level - 1][0].transpose(0, 1), rtol=0, atol=1e-5)
    with pytest.raises(UsageError, match="level must lie between 1 and 3"):
        generator.render_level = 4


def test_interpolation_goes_from_one_seeds_clip_to_the_others():
    generator = player(categories=2)
    clips = generator.interpolate(3, 8, 5, category=1)
    assert clips.shape == (5, 3, 8, 16, 16)
    ends = [generator.clips(generator.latent(seed), torch.tensor([1]))[0] for seed in (3, 8)]
    torch.testing.assert_close(clips[0], ends[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(clips[-1], ends[1], rtol=0, atol=1e-5)
    steps = (clips[1:] - clips[:-1]).abs().mean((1, 2, 3, 4))
    assert steps.min() > 0
    with pytest.raises(UsageError, match="no category 2"):
        generator.interpolate(3, 8, 5, category=2)


def test_the_latent_is_uniform_and_of_its_seed():
    generator = Generator(replace(TINY, latent=4096))
    z = generator.latent(7)
    assert torch.equal(z, generator.latent(7))
    assert z.abs().max() <= 1
    assert torch.histc(z, 4, -1, 1).div(1024).sub(1).abs().max() < 0.1
    assert z.mean().abs() < 0.05


def test_a_change_of_class_keeps_what_came_before():
    generator = player(categories=2)
    changed = play(generator, ClipRequest(seed=1, categories=(0, 1), every=4), 8)
    kept = play(generator, ClipRequest(seed=1, categories=(0,)), 8)
    # A class that was not trained yet changes nothing but what enters the latent; give the norms classes of their own.
    torch.testing.assert_close(changed[:4], kept[:4])
    for norm in (m for m in generator.modules() if hasattr(m, "scale")):
        norm.scale.normal_()
    changed = play(generator, ClipRequest(seed=1, categories=(0, 1), every=4), 8)
    kept = play(generator, ClipRequest(seed=1, categories=(0,)), 8)
    torch.testing.assert_close(changed[:4], kept[:4])
    assert (changed[4:] - kept[4:]).abs().max() > 1e-3
    with pytest.raises(UsageError, match="no category 2"):
        generator.start(ClipRequest(categories=(2,)))


def test_the_generator_is_a_stream_and_the_objective_shows_its_clips():
    made = objective(categories=2)
    generator = made.generator.eval()
    assert isinstance(generator, StreamModel)
    assert isinstance(made, Samples)
    assert isinstance(made, ClipPreview)
    assert all(hasattr(generator, name) for name in VideoModel.__annotations__)
    with torch.no_grad():
        assert made.preview(generator, 0).shape == ((4 + 2) * 16, 8 * 16, 3)
        assert made.preview_clip(generator, 0).shape == (8, 2 * 16, 4 * 16, 3)
        clips = made.samples(generator, 3, torch.Generator().manual_seed(0))
    assert clips.shape == (3, 3, 8, 16, 16)
    assert clips.abs().max() <= 1


def test_a_checkpoint_brings_the_same_frames_back(tmp_path):
    generator = player(temporal="ode2", categories=2)
    path = tmp_path / "model.safetensors"
    save_checkpoint(
        path, generator.state_dict(), model="tganv2", config=generator.config, ema=False, data={}, training={},
        latents=SPEC.latents,
    )  # fmt: skip
    again = load(str(path))
    request = ClipRequest(seed=1, categories=(1,))
    assert torch.equal(play(again, request, 6), play(generator, request, 6))
