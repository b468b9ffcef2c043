"""TGANv2 in training: the paper's sizes, frames per level, closed forms, and what each loss reaches."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tganv2_parts import META, batch, count, critics_of, iterate, objective, player

from mediagen.errors import UsageError
from mediagen.models.tganv2 import PAPER, PRESETS, SMALL, SPEC, TINY, Generator
from mediagen.objectives.penalties import zero_centred


def test_the_papers_sizes():
    with torch.device("meta"):
        generator, critics = Generator(PAPER), critics_of(PAPER)
        large = Generator(PRESETS["paper-256"])
    assert count(generator.temporal) == 2 * 1024 * 4096 * 9 + 4096
    assert count(generator) == pytest.approx(88.0e6, rel=1e-3)
    assert count(large) == pytest.approx(89.9e6, rel=1e-3)
    assert count(critics.levels[0]) == pytest.approx(29.0e6, rel=2e-3)
    assert count(generator) + count(critics) == pytest.approx(2.04e8, rel=0.01)


@pytest.mark.parametrize(("stride", "frames"), [(2, [16, 8, 4, 2]), (4, [16, 4, 1, 1]), (1, [16] * 4)])
def test_the_papers_shapes_in_training(stride, frames):
    with torch.device("meta"):
        generator = Generator(replace(PAPER, strides=(stride,) * 3))
    seen = {}
    for level, render in enumerate(generator.renders, 1):
        render.register_forward_hook(
            lambda _, given, made, level=level: seen.update({level: (given[0].shape, made.shape)})
        )
    index = torch.zeros(1, 1, dtype=torch.int64, device=META)

    def drop(x, _batch, _rng):
        return x.index_select(0, index.expand(1, -(-len(x) // stride)).flatten())

    views = replace(PAPER, strides=(stride,) * 3).views
    assert views.frames(16) == frames
    x = generator.codes(torch.zeros(1, 256, device=META), None, 16)
    assert x.shape == (16, 1024, 3, 3)
    for level in range(1, 5):
        x = generator.abstract(level, x if level == 1 else drop(x, 1, None), None)
        generator.render(level, x, None)
    widths, sizes = (128, 64, 32, 32), (24, 48, 96, 192)
    for level, (n, channels, size) in enumerate(zip(frames, widths, sizes, strict=True), 1):
        assert seen[level] == ((n, channels, size, size), (n, 3, size, size))


@pytest.mark.parametrize(
    ("strides", "frames"), [((2, 2), [8, 4, 2]), ((4, 4), [8, 2, 1]), ((1, 1), [8] * 3), ((1, 4), [8, 8, 2])]
)
def test_training_makes_a_clip_a_level_as_real_clips_are_cut(strides, frames):
    made = objective(strides=strides)
    fakes = made.generator(torch.rand(3, 8), None, torch.Generator().manual_seed(0))
    reals = made.config.views(batch(made.config, 3)["clips"], torch.Generator())
    shapes = [(3, 3, n, size, size) for n, size in zip(frames, (4, 8, 16), strict=True)]
    assert [tuple(f.shape) for f in fakes] == [tuple(r.shape) for r in reals] == shapes


def test_features_are_dropped_before_the_next_block_and_the_same_frames_remain():
    """In eval mode a level's frames are some of its dense ones, in order, with new offsets each time."""
    generator, z = player(), torch.rand(1, 8)
    dense = generator.dense(z, None, 8, [1, 2, 3])
    starts = set()
    for seed in range(20):
        sparse = generator(z, None, torch.Generator().manual_seed(seed))
        torch.testing.assert_close(sparse[0], dense[0])
        far = (sparse[2][0, :, :, None] - dense[2][0, :, None]).abs().amax((0, 3, 4))
        found = far.argmin(dim=1).tolist()
        assert far.amin(dim=1).max() < 1e-5
        assert found[1] - found[0] == 4
        starts.add(found[0])
    assert starts == {0, 1, 2, 3}


def test_inference_is_dense_whole_and_of_any_length():
    generator = player()
    assert generator.clips(torch.rand(2, 8)).shape == (2, 3, 8, 16, 16)
    assert generator.clips(torch.rand(2, 8), frames=21).shape == (2, 3, 21, 16, 16)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"categories": 3},
        {"loss": "sum"},
        {"clips_kept": 2, "categories": 2},
        {"strides": (1, 1)},
        {"levels": 1, "strides": (), "image_critic": True, "penalty": 10.0},
        {"temporal": "ode"},
        {"temporal": "ode2"},
        {"temporal": "ode3", "standard": True},
        {"temporal": "sde", "categories": 2},
        {"repeat_latent": True},
    ],
    ids=str,
)
def test_an_iteration_reaches_every_parameter_of_every_network(settings):
    made = objective(**settings)
    iterate(made)
    for network, module in made.networks.items():
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, f"{network}.{name}"
            assert parameter.grad.isfinite().all()
            # Conditional scales of a class that the batch lacks have none; every class is in this one.
            assert parameter.grad.abs().sum() > 0, f"{network}.{name}"


def test_losses_are_softplus_of_all_logits_or_of_their_sum():
    z, logits = torch.tensor, [[1.0, -2.0], [0.5, 3.0]]
    for loss, joined in (("per_level", [1.0, -2.0, 0.5, 3.0]), ("sum", [1.5, 1.0])):
        made = objective(loss=loss, levels=2, strides=(2,), penalty=0.0)
        made.judge = lambda *_: [z(row)[:, None] for row in logits]
        (_, generator), (_, critics) = ((p.name, p.loss) for p in made.phases(0))
        told, _ = generator(batch(made.config, 2), torch.Generator())
        assert told.item() == pytest.approx(sum(math.log1p(math.exp(-v)) for v in joined) / len(joined), rel=1e-6)
        judged, _ = critics(batch(made.config, 2), torch.Generator())
        both = sum(math.log1p(math.exp(-v)) + math.log1p(math.exp(v)) for v in joined) / len(joined)
        assert judged.item() == pytest.approx(both, rel=1e-6)


def test_the_penalty_is_summed_over_clips_and_levels_and_may_be_lazy():
    made = objective(penalty=0.25, penalty_every=3, reuse=False)
    judged = {n: iterate(made, n)["critics"] for n in (0, 1)}
    assert "critics/penalty" not in judged[1][1]
    loss, scalars = judged[0]
    assert loss == pytest.approx(scalars["critics/loss"] + 0.25 * 3 * scalars["critics/penalty"], rel=1e-5)
    clips = batch(made.config)["clips"]
    reals = [v.requires_grad_(True) for v in made.config.views(clips, torch.Generator().manual_seed(0))]
    logits = made.judge(reals, None, torch.Generator())
    whole = zero_centred(torch.cat(logits), reals)
    parts = [zero_centred(made.critics.levels[k](r[i : i + 1]), [r]) for k, r in enumerate(reals) for i in range(4)]
    torch.testing.assert_close(whole, torch.stack(parts).sum(), rtol=1e-4, atol=1e-7)


def test_the_critics_are_shown_the_clips_that_the_generator_made():
    made, seen = objective(), []
    made.judge = lambda clips, *_: (seen.append(clips), [c.mean((1, 2, 3, 4))[:, None] for c in clips])[1]
    iterate_phases = made.phases(0)
    for share in range(2):
        iterate_phases[0].loss(batch(made.config), torch.Generator().manual_seed(share))
    for share in range(2):
        made.critic_loss(batch(made.config), torch.Generator().manual_seed(9), penalty=0.0)
        assert all(torch.equal(a, b) for a, b in zip(seen[share], seen[2 + 2 * share + 1], strict=True))
        assert not any(f.requires_grad for f in seen[2 + 2 * share + 1])


def test_both_rates_fall_to_nothing():
    made = objective(decay=10, rate=1e-3, critic_rate=2e-3)
    for iteration, left in ((0, 1.0), (5, 0.5), (10, 0.0), (12, 0.0)):
        made.phases(iteration)
        rates = [made.optimizers[name].param_groups[0]["lr"] for name in ("generator", "critics")]
        assert rates == pytest.approx([1e-3 * left, 2e-3 * left])
    made = objective(decay=0)
    made.phases(10**6)
    assert made.optimizers["critics"].param_groups[0]["lr"] == made.config.critic_rate


def test_an_iteration_moves_the_running_statistics():
    made = objective()
    before = {name: tensor.clone() for name, tensor in made.generator.named_buffers()}
    iterate(made)
    assert before
    assert all(not torch.equal(before[name], tensor) for name, tensor in made.generator.named_buffers())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"height": 20}, "multiples of 8"),
        ({"levels": 4}, "between 1 and 3"),
        ({"strides": (2,)}, "3 levels need 2 strides"),
        ({"strides": (2, 0)}, "at least 1"),
        ({"clips_kept": 2, "loss": "sum"}, "clips_kept"),
        ({"image_critic": True}, "one level"),
        ({"frames": 0}, "frames"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, says):
    with pytest.raises(UsageError, match=says):
        replace(TINY, **settings)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_build_and_say_what_they_need(name):
    with torch.device("meta"):
        generator = SPEC.build(PRESETS[name])
    needs = SPEC.needs(PRESETS[name])
    assert generator.frame_size == (needs.height, needs.width)
    assert generator.clip_frames == needs.frames == PRESETS[name].frames


def test_small_is_narrower_at_64_pixels():
    with torch.device("meta"):
        generator, critics = Generator(SMALL), critics_of(SMALL)
    assert generator.frame_size == (64, 64)
    assert count(generator) + count(critics) < 6e6


def test_under_autocast_losses_agree():
    made = objective()
    plain = made.phases(0)[0].loss(batch(made.config), torch.Generator().manual_seed(0))[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        halved = made.phases(0)[0].loss(batch(made.config), torch.Generator().manual_seed(0))[0]
    assert halved.dtype == torch.float32
    torch.testing.assert_close(halved, plain, rtol=0.05, atol=0.02)


def test_a_tiny_model_learns_the_brightness_of_its_clips():
    """Clips that grow darker: after some iterations generated ones are nearer to them than at first."""
    made = objective(decay=0, rate=2e-3, critic_rate=2e-3)
    ramp = torch.linspace(0.8, -0.2, 8)[None, None, :, None, None].expand(4, 3, 8, 16, 16)

    def far():
        with torch.no_grad():
            clips = made.generator(made.draw(8, torch.Generator().manual_seed(1)), None, torch.Generator())[0]
        return F.l1_loss(clips.mean((0, 1, 3, 4)), ramp[0, 0, :, 0, 0]).item()

    before = far()
    for k in range(20):
        for phase in made.phases(k):
            made.optimizers[phase.optimizer].zero_grad()
            loss, _ = phase.loss({"clips": ramp, "labels": torch.zeros(4)}, torch.Generator().manual_seed(k))
            loss.backward(inputs=list(made.networks[phase.optimizer].parameters()))
            made.optimizers[phase.optimizer].step()
    assert far() < 0.7 * before, (before, far())
