"""TGAN: the sizes of Table 1, the clip schedule, the conditional model, frames between frames, and any real time."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mediagen.core.clips import CHUNK, ClipRequest
from mediagen.core.config import from_dict, to_dict
from mediagen.errors import UsageError
from mediagen.metrics.checkerboard import pattern_share
from mediagen.models._spec import ClipModel, ClipPreview, Samples, StreamModel
from mediagen.models.tgan import PAPER, PRESETS, SPEC, Config, Generator, Latents, Objective, build, critic
from mediagen.objectives.clipping import clipped_weights, norms, singular_values

TINY = PRESETS["tiny"]
torch.set_num_threads(1)
CPU = torch.device("cpu")
KINDS = ("ode", "ode2", "ode3", "sde")


def size_of(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def batch(config: Config, count: int = 4) -> dict[str, torch.Tensor]:
    needs, rng = SPEC.needs(config), torch.Generator().manual_seed(1)
    shape = (count, 3, needs.frames, needs.height, needs.width)
    labels = torch.arange(count) % max(1, config.categories)
    return {"clips": torch.rand(shape, generator=rng) * 2 - 1, "labels": labels}


def iterate(objective: Objective, iterations: int, first: int = 0) -> list[str]:
    """Trains; returns the names of the networks' parameters that a gradient never reached."""
    reached = set()
    data = batch(objective.config)
    for iteration in range(first, first + iterations):
        for phase in objective.phases(iteration):
            optimizer, network = objective.optimizers[phase.optimizer], objective.networks[phase.optimizer]
            optimizer.zero_grad(set_to_none=True)
            loss, scalars = phase.loss(data, torch.Generator().manual_seed(iteration))
            loss.backward(inputs=list(network.parameters()))
            assert all(torch.as_tensor(v).isfinite().all() for v in scalars.values())
            reached |= {
                (phase.optimizer, n) for n, p in network.named_parameters() if p.grad is not None and p.grad.any()
            }
            optimizer.step()
            if phase.after:
                phase.after()
    every = {(key, n) for key, network in objective.networks.items() for n, _ in network.named_parameters()}
    return sorted(f"{key}.{name}" for key, name in every - reached)


def trained(config: Config) -> Generator:
    """A generator after a few steps, its norms' statistics those of its clips, so that these differ from each other."""
    torch.manual_seed(0)
    objective = Objective(config, CPU)
    iterate(objective, 3)
    generator = objective.generator
    for norm in norms(generator):
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of what is seen
    with torch.no_grad():
        for seed in range(3):
            objective.samples(generator, 16, torch.Generator().manual_seed(seed))
    return generator.eval()


def test_parameter_counts_of_the_paper():
    with torch.device("meta"):
        generator, judge = build(PAPER), critic(PAPER)
    assert size_of(generator.deconvolutions) == 826_468
    assert size_of(generator.image) == 3_622_691
    assert size_of(generator) == 4_449_159
    assert size_of(judge) == 11_033_281


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"temporal": "ode"}, 638_424),
        ({"temporal": "ode", "equation": "two-layer"}, 648_524),
        ({"temporal": "ode", "equation": "equal"}, 825_002),
        ({"temporal": "ode2"}, 658_624),
        ({"temporal": "ode3"}, 668_724),
        ({"temporal": "sde"}, 648_524),
    ],
)
def test_parameter_counts_of_the_equations(settings, count):
    with torch.device("meta"):
        assert size_of(build(replace(PAPER, **settings)).temporal) == count


def test_shapes_of_table_1():
    with torch.device("meta"):
        generator = build(PAPER)
        z_1 = generator.deconvolutions(torch.empty(2, 100))
        sizes = [tuple(m.weight.shape[:2]) for m in generator.image.layers if isinstance(m, nn.ConvTranspose2d)]
        frames = generator.image(torch.empty(2, 100), z_1, torch.zeros(2, dtype=torch.long))
        features = critic(PAPER).features(torch.empty(2, 3, 16, 64, 64))
    assert z_1.shape == (2, 16, 100)
    assert sizes == [(256, 128), (128, 64), (64, 32), (32, 3)]
    assert frames.shape == (32, 3, 64, 64)
    assert features.shape == (2, 512, 1, 4, 4)


def test_the_latents_path_lies_in_the_box_and_z_0_is_uniform():
    generator = trained(TINY)
    drawn = Objective(TINY, CPU).draw(torch.zeros(300, dtype=torch.long), torch.Generator().manual_seed(0))
    assert drawn.z_0.min() < -0.95
    assert drawn.z_0.max() > 0.95
    assert drawn.z_0.abs().max() <= 1
    assert generator.path(drawn).abs().max() <= 1


def test_the_image_generator_is_table_1s_over_concatenated_maps():
    """The shares of layer 1 add up to a deconvolution of the concatenated 4 x 4 maps."""
    generator = trained(replace(TINY, categories=2))
    image, drawn = (
        generator.image,
        Objective(replace(TINY, categories=2), CPU).draw(torch.tensor([0, 1]), torch.Generator()),
    )
    z_1 = generator.path(drawn)[:, :1]
    codes = [(image.fast, z_1[:, 0]), (image.slow, drawn.z_0), (image.category, F.one_hot(drawn.labels, 2).float())]
    corner = torch.cat([branch.corner(code) for branch, code in codes], dim=1)
    assert corner.shape == (2, 3 * TINY.corner, 4, 4)
    weight = torch.cat([branch.up.weight for branch, _ in codes])
    made = image.layers(F.conv_transpose2d(corner, weight, stride=2, padding=1))
    torch.testing.assert_close(image(drawn.z_0, z_1, drawn.labels), made, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"categories": 3},
        {"colours": 1},
        {"slow": False},
        {"norm_shift": False},
        {"generator": "volume"},
        {"generator": "volume", "categories": 3},
        {"loss": "logistic"},
        {"clipping": "box"},
        {"upsample": "nearest"},
        {"shared_fakes": False, "critic_steps": 2},
        *({"temporal": kind} for kind in KINDS),
        {"temporal": "ode", "categories": 3},
        {"temporal": "ode2", "equation": "equal", "equation_standard": True},
    ],
    ids=str,
)
def test_gradients_reach_every_parameter(settings):
    torch.manual_seed(0)
    config = replace(TINY, **settings)
    objective = Objective(config, CPU)
    missed = iterate(objective, 2)
    # A bias before a batch norm is without effect; its gradient is rounding at most.
    assert not [name for name in missed if not name.endswith("bias")]
    assert isinstance(objective, Samples)
    assert isinstance(objective, ClipPreview)
    needs = SPEC.needs(config)
    network = objective.generator.eval()
    made = objective.samples(network, 3, torch.Generator().manual_seed(0))
    assert made.shape == (3, 3, needs.frames, needs.height, needs.width)
    assert made.abs().max() <= 1
    assert objective.preview(network, 0).shape == (8 * needs.height, needs.frames * needs.width, 3)
    assert objective.preview_clip(network, 0).shape == (needs.frames, 4 * needs.height, 4 * needs.width, 3)


def test_the_critic_alone_is_clipped_and_every_fifth_time():
    objective = Objective(TINY, CPU)
    due = [any(phase.after for phase in objective.phases(iteration)) for iteration in range(11)]
    assert due == [iteration % 5 == 0 for iteration in range(11)]
    for phase in objective.phases(0):
        assert (phase.after is not None) == (phase.optimizer == "critic")
    assert Objective(replace(TINY, clip_every=3), CPU).phases(3)[1].after is not None
    assert not any(p.after for p in Objective(replace(TINY, loss="logistic"), CPU).phases(0))


def test_after_clipping_the_law_holds():
    torch.manual_seed(0)
    objective = Objective(TINY, CPU)
    before = [p.detach().clone() for p in objective.generator.parameters()]
    assert max(singular_values(w)[0] for w in clipped_weights(objective.critic)) > 1.2
    largest = [float(singular_values(w)[0]) for w in clipped_weights(objective.critic)]
    objective.clip()
    assert all(singular_values(w)[0] <= 1 + 1e-4 for w in clipped_weights(objective.critic))
    assert objective.state["largest"].tolist() == pytest.approx(largest, rel=1e-5)
    for norm in norms(objective.critic):
        assert (norm.weight > 0).all()
        assert (norm.weight <= (norm.running_var + norm.eps).sqrt()).all()
    assert all(torch.equal(a, b) for a, b in zip(before, objective.generator.parameters(), strict=True))


def test_the_box_holds_after_every_step():
    objective = Objective(replace(TINY, clipping="box"), CPU)
    iterate(objective, 2)
    assert max(p.abs().max() for p in objective.critic.parameters()) <= 0.01


def test_both_steps_judge_the_same_clips_and_nothing_is_left_over():
    objective, seen = Objective(TINY, CPU), []
    objective.critic.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].detach()))
    iterate(objective, 1)
    generated, real, judged = seen
    assert torch.equal(generated, judged)
    assert torch.equal(real, batch(TINY)["clips"])
    assert objective.fakes == []


def test_optimisers_and_first_values_of_the_paper():
    torch.manual_seed(0)
    config = replace(TINY, temporal_channels=(64, 64, 64), critic_channels=(32, 64))
    objective = Objective(config, CPU)
    for optimizer in objective.optimizers.values():
        assert isinstance(optimizer, torch.optim.RMSprop)
        assert optimizer.defaults["lr"] == 5e-5
    image = [p for m in objective.generator.image.modules() if isinstance(m, nn.ConvTranspose2d | nn.Linear)
             for p in [m.weight]]  # fmt: skip
    assert max(p.abs().max() for p in image) <= 0.01
    for weight in (objective.critic.convolutions[1].weight, objective.generator.deconvolutions.layers[3].weight):
        fan_in = weight[0].numel()
        assert weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)


def test_frame_by_frame_equals_the_whole_clip():
    generator = trained(replace(TINY, categories=2))
    drawn = Objective(replace(TINY, categories=2), CPU).draw(torch.tensor([0, 1, 1]), torch.Generator().manual_seed(3))
    with torch.no_grad():
        whole, z_1 = generator(drawn), generator.path(drawn)
        for t in range(whole.shape[2]):
            one = generator.draw(drawn.z_0, z_1[:, t : t + 1], drawn.labels)
            torch.testing.assert_close(one[:, :, 0], whole[:, :, t], rtol=0, atol=1e-5)


def test_clips_between_clips():
    """Slow motion draws new frames; at whole times they are the plain clip's."""
    generator = trained(TINY)
    assert isinstance(generator, ClipModel)
    assert not isinstance(generator, StreamModel)
    plain, slow = (generator.clip(ClipRequest(seed=4, rate=rate), 2) for rate in (1.0, 0.25))
    assert plain.shape == (8, 3, 16, 16)
    assert slow.shape == (32, 3, 16, 16)
    torch.testing.assert_close(slow[::4], plain, rtol=0, atol=1e-5)
    assert (slow[1] - (0.75 * slow[0] + 0.25 * slow[4])).abs().max() > 0  # drawn, not dissolved
    torch.testing.assert_close(generator.clip(ClipRequest(seed=4, rate=-1.0), 2), plain.flip(0), rtol=0, atol=1e-5)
    assert torch.equal(plain, generator.clip(ClipRequest(seed=4), 2))
    assert not torch.equal(plain, generator.clip(ClipRequest(seed=4), 3))
    assert not torch.equal(plain, generator.clip(ClipRequest(seed=5), 2))


def test_the_class_reaches_every_part():
    config = replace(TINY, categories=3)
    generator = trained(config)
    assert generator.deconvolutions.layers[0].weight.shape[0] == config.latent + 3
    z_0, labels = torch.zeros(3, config.latent), torch.arange(3)
    drawn = Latents(z_0, labels, torch.zeros(3, 8, 0))
    z_1 = generator.path(drawn)
    assert not torch.equal(z_1[0], z_1[1])  # into G_0
    same = generator.draw(z_0, z_1[:1].expand(3, -1, -1), labels)
    assert not torch.equal(same[0], same[1])  # into G_1
    assert critic(config).convolutions[0].weight.shape[1] == 3 + 3  # and beside the clip
    clips = [generator.clip(ClipRequest(categories=(k,)), 0) for k in range(3)]
    assert not any(torch.equal(a, b) for a, b in pairwise(clips))
    with pytest.raises(UsageError, match="category 3"):
        generator.clip(ClipRequest(categories=(3,)), 0)
    two = ClipRequest(categories=(0, 2), every=8)
    assert torch.equal(generator.clip(two, 1), generator.clip(ClipRequest(categories=(2,)), 1))


def test_classes_are_counted_in_training_and_drawn_when_none_is_asked_for():
    generator = trained(replace(TINY, categories=2))
    assert generator.prior.met.tolist() == [6.0, 6.0]
    generator.prior.met.copy_(torch.tensor([0.0, 5.0]))
    assert torch.equal(generator.clip(ClipRequest(seed=1), 0), generator.clip(ClipRequest(seed=1, categories=(1,)), 0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("categories", [0, 2])
def test_streams_of_any_length(kind, categories):
    """Chunk after chunk equals the training's path; skipping leaves what rendering leaves."""
    generator = trained(replace(TINY, temporal=kind, categories=categories))
    assert isinstance(generator, StreamModel)
    assert not isinstance(generator, ClipModel)
    request = ClipRequest(seed=3, categories=(1,) if categories else ())
    state, frames = generator.start(request), []
    for _ in range(3):
        state, made = generator.step(state, CHUNK)
        frames.append(made)
    far, again = generator.step(generator.skip(generator.start(request), 2 * CHUNK), CHUNK)
    assert torch.equal(again, frames[2])
    assert all(torch.equal(a, b) for a, b in zip(far.motion, state.motion, strict=True))

    noise, width = generator.noise_of(request, 0, 9), generator.temporal.noise
    rows = torch.stack([noise(n)[:, categories:] for n in range(8)], 1) if width else torch.zeros(1, 8, 0)
    labels = torch.tensor([1 if categories else 0])
    with torch.no_grad():
        whole = generator(Latents(generator.content_of(request, 0), labels, rows))
    torch.testing.assert_close(frames[0][:8], whole[0].transpose(0, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["ode", "ode2", "ode3"])
def test_an_equation_runs_at_any_pace_and_back(kind):
    generator = trained(replace(TINY, temporal=kind))
    plain = generator.step(generator.start(ClipRequest(seed=3)), CHUNK)[1]
    fine = generator.step(generator.start(ClipRequest(seed=3, rate=0.5)), CHUNK)[1]
    torch.testing.assert_close(fine[::2], plain[:8], rtol=0, atol=1e-5)
    back = generator.step(generator.start(ClipRequest(seed=3, rate=-1.0)), CHUNK)[1]
    torch.testing.assert_close(back[0], plain[0], rtol=0, atol=1e-6)
    assert {"rate", "reverse"} <= generator.abilities


def test_an_sde_divides_content_and_motion():
    """The same z_0 with two Wiener paths: one first frame, two futures."""
    generator = trained(replace(TINY, temporal="sde"))
    assert {"content", "motion"} <= generator.abilities
    assert "reverse" not in generator.abilities
    one, two = (generator.step(generator.start(ClipRequest(seed=3, motion_seed=m)), CHUNK)[1] for m in (1, 2))
    torch.testing.assert_close(one[0], two[0], rtol=0, atol=1e-6)
    assert not torch.allclose(one[-1], two[-1], atol=1e-6)


def test_what_cannot_be_built_is_refused():
    for settings in ({"temporal": "ode", "latent": 7}, {"generator": "volume", "temporal": "ode"},
                     {"generator": "volume", "volume_channels": (8,)}, {"critic_channels": (4,) * 6}):  # fmt: skip
        with pytest.raises(UsageError):
            replace(TINY, **settings)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_build_and_survive_the_round_trip(name):
    config = PRESETS[name]
    assert from_dict(Config, to_dict(config)) == config
    with torch.device("meta"):
        generator = build(config)
    assert generator.clip_frames == SPEC.needs(config).frames == config.frames
    assert generator.frame_size == (config.size, config.size)


def test_it_learns_to_brighten():
    """A few dozen steps against white clips move the mean of the generated ones the right way."""
    torch.manual_seed(0)
    objective = Objective(replace(TINY, rate=1e-3), CPU)
    data = {"clips": torch.full((8, 3, 8, 16, 16), 0.8), "labels": torch.zeros(8, dtype=torch.long)}
    before = objective.samples(objective.generator, 8, torch.Generator().manual_seed(0)).mean()
    for iteration in range(40):
        for phase in objective.phases(iteration):
            objective.optimizers[phase.optimizer].zero_grad()
            loss, _ = phase.loss(data, torch.Generator().manual_seed(iteration))
            loss.backward(inputs=list(objective.networks[phase.optimizer].parameters()))
            objective.optimizers[phase.optimizer].step()
            if phase.after:
                phase.after()
    after = objective.samples(objective.generator, 8, torch.Generator().manual_seed(0)).mean()
    assert after > before + 0.1


def test_squeezed_frames_are_85_wide():
    needs = SPEC.needs(replace(PAPER, squeeze=True))
    assert needs.resize == (85, 64)
    assert (needs.frames, needs.height, needs.width) == (16, 64, 64)
    assert np.isclose(build(TINY).fps, 25.0)


@pytest.mark.parametrize(("mode", "clean"), [("nearest", True), ("blur", True), ("deconv", False)])
def test_an_untrained_generators_checkerboard(mode, clean):
    """The paper's deconvolutions have one before they have learnt anything; the ways around it do not."""
    torch.manual_seed(0)
    objective = Objective(replace(TINY, channels=(16, 12, 8, 8), upsample=mode), CPU)
    with torch.no_grad():
        made = objective.samples(objective.generator, 4, torch.Generator().manual_seed(0))
    frames = made.transpose(1, 2)[..., 8:-8, 8:-8]
    assert (pattern_share(frames) < 0.02) == clean
