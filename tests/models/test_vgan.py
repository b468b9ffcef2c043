"""VGAN: the sizes of the two streams, the still background, the mask's sparsity, and pictures made to move."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mediagen.core.clips import ClipRequest
from mediagen.core.config import from_dict, to_dict
from mediagen.errors import UsageError
from mediagen.metrics.checkerboard import pattern_share
from mediagen.models._spec import ClipModel, ClipPreview, Samples, StreamModel
from mediagen.models.vgan import PAPER, PRESETS, SPEC, Config, Generator, Objective, critic, side_by_side
from mediagen.nn.sheets import picture_tensor

torch.set_num_threads(1)
TINY = PRESETS["tiny"]
FUTURE = replace(TINY, image_to_video=True, mask=0.0)
CPU = torch.device("cpu")


def size_of(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def real(config: Config, count: int = 4) -> torch.Tensor:
    """One colour a clip, with a bright square that moves: (B, 3, T, H, W)."""
    rng = torch.Generator().manual_seed(1)
    clips = torch.rand(count, 3, 1, 1, 1, generator=rng).sub(0.5).repeat(1, 1, config.frames, config.size, config.size)
    for t in range(config.frames):
        clips[:, :, t, t : t + 4, 2:6] = 1.0
    return clips


def iterate(objective: Objective, iterations: int) -> tuple[set[str], list[dict[str, float]]]:
    """Trains; returns the parameters that no gradient reached, and the scalars of every iteration."""
    missed = {f"{key}.{n}" for key, network in objective.networks.items() for n, _ in network.named_parameters()}
    data, told = {"clips": real(objective.config)}, []
    for iteration in range(iterations):
        told.append({})
        for phase in objective.phases(iteration):
            optimizer, network = objective.optimizers[phase.optimizer], objective.networks[phase.optimizer]
            optimizer.zero_grad(set_to_none=True)
            loss, scalars = phase.loss(data, torch.Generator().manual_seed(iteration))
            loss.backward(inputs=list(network.parameters()))
            told[-1] |= {name: float(value.detach()) for name, value in scalars.items()}
            moved = [n for n, p in network.named_parameters() if p.grad is not None and p.grad.any()]
            missed -= {f"{phase.optimizer}.{n}" for n in moved}
            optimizer.step()
    return missed, told


def trained(config: Config, iterations: int = 2) -> Generator:
    torch.manual_seed(0)
    objective = Objective(config, CPU)
    iterate(objective, iterations)
    return objective.generator.eval()


def lively(config: Config) -> Generator:
    """Large random weights, so that streams differ from each other and from place to place."""
    torch.manual_seed(0)
    generator = Generator(config)
    for p in generator.parameters():
        if p.dim() > 1:
            nn.init.normal_(p, 0, 0.3)
    with torch.no_grad():
        for _ in range(3):
            generator(codes(config, 8))
    return generator.eval()


def codes(config: Config, count: int) -> torch.Tensor:
    shape = (count, 3, config.size, config.size) if config.image_to_video else (count, config.latent)
    return torch.randn(shape, generator=torch.Generator().manual_seed(5)).clamp(-1, 1)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (TINY.size, TINY.size, 3), dtype=np.uint8)


def test_parameter_counts_of_the_paper():
    with torch.device("meta"):
        assert size_of(Generator(PAPER)) == 16_245_383
        assert size_of(Generator(replace(PAPER, streams="one"))) == 12_663_619
        assert size_of(critic(PAPER)) == 11_041_473


def test_shapes_of_the_table():
    with torch.device("meta"):
        generator = Generator(PAPER)
        x, sizes = torch.empty(2, 100, 1, 1, 1), []
        for layer in generator.trunk:
            x = layer(x)
            sizes += [tuple(x.shape[1:])] if isinstance(layer, nn.ConvTranspose3d) else []
        made = generator.streams(torch.empty(2, 100))
        features = critic(PAPER).features(made.clip)
    assert sizes == [(512, 2, 4, 4), (256, 4, 8, 8), (128, 8, 16, 16), (64, 16, 32, 32)]
    assert generator.trunk[0].kernel_size == (2, 4, 4)
    assert made.clip.shape == made.foreground.shape == (2, 3, 32, 64, 64)
    assert made.mask.shape == (2, 1, 32, 64, 64)
    assert made.background.shape == (2, 3, 1, 64, 64)
    assert features.shape == (2, 512, 2, 4, 4)
    assert [type(norm) for norm in critic(PAPER).norms] == [nn.Identity, *[nn.BatchNorm3d] * 3]


def test_the_released_codes_conditional_network():
    config = PRESETS["paper-future"]
    with torch.device("meta"):
        generator = Generator(config)
        code = generator.encoder(torch.empty(2, 3, 64, 64))
        opened = generator.trunk[0](code[:, :, None])
    assert code.shape == (2, 1024, 4, 4)
    assert opened.shape == (2, 1024, 2, 4, 4)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in generator.encoder[:2])
    assert critic(config).last.in_channels == 1024
    assert config.mask == 0.0


@pytest.mark.parametrize("config", [TINY, FUTURE], ids=["code", "picture"])
def test_the_streams_make_the_clip(config):
    generator = lively(config)
    with torch.no_grad():
        made = generator.streams(codes(config, 3))
        assert torch.equal(generator(codes(config, 3)), made.clip)
    blended = made.mask * made.foreground + (1 - made.mask) * made.background
    torch.testing.assert_close(made.clip, blended, rtol=0, atol=1e-6)
    assert made.mask.min() >= 0
    assert made.mask.max() <= 1
    assert made.foreground.abs().max() <= 1
    assert made.background.abs().max() <= 1
    assert made.foreground.std(2).max() > 0.01


def test_where_the_mask_is_closed_every_frame_is_the_background():
    generator = lively(TINY)
    nn.init.zeros_(generator.mask.weight)
    nn.init.constant_(generator.mask.bias, -200.0)
    made = generator.streams(codes(TINY, 2))
    assert torch.equal(made.clip, made.background.expand_as(made.clip))
    nn.init.constant_(generator.mask.bias, 200.0)
    assert torch.equal(generator(codes(TINY, 2)), made.foreground)


def test_mask_and_foreground_read_the_same_features_and_share_nothing_else():
    generator = lively(TINY)
    features = torch.randn(2, TINY.channels[-1], 4, 8, 8)
    f, m = side_by_side(generator.foreground, generator.mask, features)
    torch.testing.assert_close(f, generator.foreground(features), rtol=0, atol=1e-5)
    torch.testing.assert_close(m, generator.mask(features), rtol=0, atol=1e-5)
    assert m.shape[1] == 1
    before = generator.streams(codes(TINY, 2))
    generator.mask.weight.data.mul_(-1)
    after = generator.streams(codes(TINY, 2))
    assert torch.equal(before.foreground, after.foreground)
    assert not torch.equal(before.mask, after.mask)


@pytest.mark.parametrize(
    "settings",
    [{}, {"streams": "one"}, {"upsample": "nearest"}, {"upsample": "blur"}, {"shared_fakes": False},
     {"image_to_video": True}, {"image_to_video": True, "streams": "one"}],
    ids=str,
)  # fmt: skip
def test_gradients_reach_every_parameter(settings):
    torch.manual_seed(0)
    config = replace(TINY, **settings)
    objective = Objective(config, CPU)
    missed, told = iterate(objective, 2)
    # A bias before a batch norm is without effect; its gradient is rounding at most.
    assert not [name for name in missed if not name.endswith("bias")]
    assert np.isfinite([value for scalars in told for value in scalars.values()]).all()
    assert ("generator/mask" in told[0]) == (config.streams == "two")
    assert isinstance(objective, Samples)
    assert isinstance(objective, ClipPreview)
    network = objective.generator.eval()
    assert objective.samples(network, 5, torch.Generator().manual_seed(0)).shape == (5, 3, 8, 16, 16)
    rows = 12 if config.streams == "two" else 8
    assert objective.preview(network, 0).shape == (rows * 16, 8 * 16, 3)
    assert objective.preview_clip(network, 0).shape == (8, 64, 64, 3)


def test_the_masks_term_is_a_mean_and_the_generators_alone():
    data = {"clips": real(TINY)}
    losses = {}
    for weight in (0.0, 0.1, 1.0):
        torch.manual_seed(0)
        objective = Objective(replace(TINY, mask=weight, shared_fakes=False), CPU)
        generator, scalars = objective.generator_loss(data, torch.Generator().manual_seed(1))
        judged = objective.critic_loss(data, torch.Generator().manual_seed(1))[0]
        losses[weight] = generator.item(), judged.item()
        assert scalars["generator/mask"].item() == pytest.approx(0.5, abs=0.1)  # a mean, whatever the clip's size
        share = losses[weight][0] - scalars["generator/loss"].item()
        assert share == pytest.approx(weight * scalars["generator/mask"].item(), abs=1e-5)
    assert losses[0.0][1] == losses[0.1][1] == losses[1.0][1]


def test_losses_stay_finite_when_the_critic_is_sure():
    """Cross-entropy from logits: no logarithm of a saturated sigmoid."""
    objective = Objective(TINY, CPU)
    nn.init.constant_(objective.critic.last.bias, -500.0)
    loss, _ = objective.generator_loss({"clips": real(TINY)}, torch.Generator().manual_seed(0))
    assert loss.item() == pytest.approx(500.0, rel=0.01)  # non-saturating: the gradient is there when it is needed
    loss.backward()
    assert objective.generator.foreground.weight.grad.any()


def test_optimisers_and_first_values_of_the_paper():
    torch.manual_seed(0)
    objective = Objective(replace(TINY, channels=(32, 32, 32)), CPU)
    for optimizer in objective.optimizers.values():
        assert optimizer.defaults["lr"] == 2e-4
        assert optimizer.defaults["betas"] == (0.5, 0.999)
    assert objective.generator.trunk[3].weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not objective.generator.trunk[3].bias.any()
    norm = objective.generator.trunk[1]
    assert norm.weight.mean().item() == pytest.approx(1.0, abs=0.02)
    assert 0 < norm.weight.std().item() < 0.04


def test_a_clip_is_a_function_of_seed_and_number():
    generator = trained(TINY)
    assert isinstance(generator, ClipModel)
    assert not isinstance(generator, StreamModel)
    one = generator.clip(ClipRequest(seed=3), 1)
    assert one.shape == (8, 3, 16, 16)
    assert torch.equal(one, generator.clip(ClipRequest(seed=3), 1))
    assert not torch.equal(one, generator.clip(ClipRequest(seed=4), 1))
    assert not torch.equal(one, generator.clip(ClipRequest(seed=3), 2))
    assert torch.equal(generator.clip(ClipRequest(seed=3, rate=-1.0), 1), one.flip(0))
    streams = generator.inspect(ClipRequest(seed=3), 1)
    assert torch.equal(streams.clip[0].transpose(0, 1), one)


def test_a_clip_does_not_depend_on_its_batch_mates():
    generator = lively(TINY)
    z = codes(TINY, 4)
    torch.testing.assert_close(generator(z)[2:3], generator(z[2:3]), rtol=0, atol=1e-5)


def test_latents_between_two_give_clips_between():
    generator = lively(TINY)
    a, b = codes(TINY, 2)
    with torch.no_grad():
        clips = generator(torch.stack([torch.lerp(a, b, k / 8) for k in range(9)]))
    steps = (clips[1:] - clips[:-1]).flatten(1).norm(dim=1)
    assert steps.max() < (clips[-1] - clips[0]).flatten().norm()


def test_a_picture_needs_a_picture():
    with pytest.raises(UsageError, match="--image"):
        lively(FUTURE).clip(ClipRequest(seed=3), 0)
    assert lively(FUTURE).abilities == {"image"}
    assert "image" not in lively(TINY).abilities


def test_a_pictures_clips_go_on_from_each_other():
    """Clip n starts from clip n - 1's last frame, however one comes to it; other requests between do not matter."""
    request, other = ClipRequest(image=picture()), ClipRequest(image=picture(1))
    generator = lively(FUTURE)
    clips = [generator.clip(request, n) for n in range(3)]
    last = clips[0][-1:]
    assert torch.equal(generator(last)[0].transpose(0, 1), clips[1])
    first = generator(picture_tensor(picture()))[0].transpose(0, 1)
    assert torch.equal(first, clips[0])
    assert torch.equal(generator.clip(request, 2), clips[2])
    assert not torch.equal(generator.clip(other, 1), clips[1])
    assert torch.equal(generator.clip(request, 1), clips[1])
    assert torch.equal(lively(FUTURE).clip(request, 2), clips[2])
    assert torch.equal(generator.inspect(request, 1).clip[0].transpose(0, 1), clips[1])


def test_going_on_costs_one_clip():
    generator, request, made = lively(FUTURE), ClipRequest(image=picture()), []
    generator.trunk.register_forward_hook(lambda *_: made.append(1))
    for number in (0, 0, 1, 1, 2, 3):
        generator.clip(request, number)
    assert len(made) == 6


def test_the_first_frames_error_falls():
    torch.manual_seed(0)
    told = iterate(Objective(replace(FUTURE, rate=2e-3), CPU), 40)[1]
    first, last = told[0]["generator/reconstruction"], told[-1]["generator/reconstruction"]
    assert last < 0.7 * first


def test_the_pictures_are_kept_as_bytes_for_previews():
    objective = Objective(FUTURE, CPU)
    iterate(objective, 1)
    kept = objective.state["pictures"]
    assert kept.dtype == torch.uint8
    shown = kept[:4].float() / 127.5 - 1
    torch.testing.assert_close(shown, real(FUTURE)[:, :, 0], rtol=0, atol=1 / 127)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_build_and_survive_the_round_trip(name):
    config = PRESETS[name]
    assert from_dict(Config, to_dict(config)) == config
    with torch.device("meta"):
        generator = Generator(config)
    needs = SPEC.needs(config)
    assert generator.clip_frames == needs.frames == config.frames
    assert generator.frame_size == (needs.height, needs.width) == (config.size, config.size)
    assert generator.fps == 25.0


def test_what_cannot_be_built_is_refused():
    for settings in ({"frames": 12}, {"size": 20}, {"channels": (8,)}):
        with pytest.raises(UsageError):
            replace(TINY, **settings)


@pytest.mark.parametrize(("mode", "clean"), [("nearest", True), ("blur", True), ("deconv", False)])
def test_an_untrained_generators_checkerboard(mode, clean):
    """The paper's deconvolutions have one before they have learnt anything; the ways around it do not."""
    torch.manual_seed(0)
    objective = Objective(
        replace(TINY, size=64, channels=(16, 12, 8, 8), critic_channels=(4, 4, 4, 4), frames=16, upsample=mode), CPU
    )
    with torch.no_grad():
        made = objective.samples(objective.generator, 4, torch.Generator().manual_seed(0))
    frames = made.transpose(1, 2)[..., 8:-8, 8:-8]
    assert (pattern_share(frames) < 0.02) == clean
