"""MoCoGAN: the paper's sizes, what each loss reaches, and streams that are the same however they are reached."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mediagen.checkpoint import load, save_checkpoint
from mediagen.core.clips import CHUNK, ClipRequest
from mediagen.errors import UsageError
from mediagen.models._spec import ClipPreview, Samples, StreamModel
from mediagen.models.mocogan import PAPER, PRESETS, SPEC, Config, Generator, Objective

TINY = PRESETS["tiny"]
KINDS = ["gru", "ode", "ode2", "ode3", "sde"]
CPU = torch.device("cpu")


def count(module):
    return sum(p.numel() for p in module.parameters())


def objective(**settings):
    torch.manual_seed(0)
    return Objective(replace(TINY, **settings), CPU)


def batch(config, clips=3):
    rng = torch.Generator().manual_seed(5)
    size = config.size
    return {
        "clips": torch.rand(clips, 3, config.frames, size, size, generator=rng) * 2 - 1,
        "labels": torch.arange(clips) % max(1, config.categories),
        "images": torch.rand(clips * config.images, 3, size, size, generator=rng) * 2 - 1,
    }


def player(**settings):
    """A generator in eval mode whose batch norms have statistics of their own."""
    torch.manual_seed(1)
    generator = Generator(replace(TINY, **settings))
    for module in generator.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return generator.eval().requires_grad_(False)


def play(generator, request, frames):
    state, made = generator.start(request), []
    while len(made) * CHUNK < frames:
        state, piece = generator.step(state, CHUNK)
        made.append(piece)
    return torch.cat(made)[:frames]


def test_the_papers_sizes():
    with torch.device("meta"):
        made = Objective(PAPER, torch.device("meta"))
    generator = made.generator
    assert count(generator.image) == 3_249_024
    assert count(generator.temporal) == 660
    assert count(made.image_critic) == 663_296
    assert count(made.video_critic) == 11_056_896


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_frames_of_their_size(name):
    config = PRESETS[name]
    generator = Generator(config).eval()
    assert isinstance(generator, StreamModel)
    state = generator.start(ClipRequest())
    assert generator.step(state, 2)[1].shape == (2, 3, config.size, config.size)
    assert SPEC.needs(config).frames == config.frames
    assert generator.image[0].weight.shape[2:] == {64: (4, 4), 96: (6, 6), 16: (4, 4)}[config.size]


MODES = [
    {},
    {"images": 0},
    {"image_critic": "none"},
    {"image_critic": "full", "video_critic": "patch", "first_norm": True, "leak": 0.2, "instance_noise": 0.1},
    {"categories": 3},
    {"categories": 3, "category_into": "image", "supervised": False},
    {"image_to_video": True, "categories": 3},
    {"lengths": (10, 17)},
    {"r1": 1.0},
    *({"upsample": mode} for mode in ("nearest", "blur", "shuffle")),
    *({"temporal": kind, "categories": 3} for kind in KINDS[1:]),
    {"temporal": "ode2", "standard": True},
    {"temporal": "ode", "field": "two-layer"},
    {"temporal": "sde", "image_to_video": True},
]


@pytest.mark.parametrize("settings", MODES, ids=str)
def test_an_iteration_reaches_every_parameter_of_every_network(settings):
    made = objective(**settings)
    data, reached = batch(made.config), {name: set() for name in made.networks}
    for phase in made.phases(0):
        network = made.networks[phase.optimizer]
        network.zero_grad()
        loss, scalars = phase.loss(data, torch.Generator().manual_seed(1))
        loss.backward(inputs=list(network.parameters()))
        reached[phase.optimizer] |= {n for n, p in network.named_parameters() if p.grad.abs().max() > 0}
        assert all(np.isfinite(float(value.detach())) for value in scalars.values())
    for name, network in made.networks.items():
        assert reached[name] == {n for n, _ in network.named_parameters()}, name
    assert ("image_critic" in made.networks) == (settings.get("image_critic") != "none")


def test_the_video_critic_alone_teaches_the_motion():
    made = objective(image_critic="none")
    loss, _ = made.generator_loss(batch(made.config), torch.Generator().manual_seed(1))
    loss.backward()
    assert all(p.grad.abs().max() > 0 for p in made.generator.temporal.parameters())


def test_losses_are_cross_entropies():
    """Eq. 6 by torch's own functions, from the very clips that the loss drew."""
    made = objective(categories=3, lengths=(12,))
    data = batch(made.config)
    loss, _ = made.video_critic_loss(data, torch.Generator().manual_seed(1))
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        fake, drawn, _ = made.fake_clips(data["clips"], rng)
    real_map, fake_map = made.video_critic(data["clips"], rng), made.video_critic(fake, rng)
    expected = F.binary_cross_entropy_with_logits(real_map[:, :1], torch.ones_like(real_map[:, :1]))
    expected += F.binary_cross_entropy_with_logits(fake_map[:, :1], torch.zeros_like(fake_map[:, :1]))
    expected += F.cross_entropy(real_map[:, 1:].mean((2, 3, 4)), data["labels"])
    expected += F.cross_entropy(fake_map[:, 1:].mean((2, 3, 4)), drawn.category)
    torch.testing.assert_close(loss, expected)


def test_the_generator_is_told_by_both_critics_and_by_q_in_equal_parts():
    made = objective(categories=3)
    loss, scalars = made.generator_loss(batch(made.config), torch.Generator().manual_seed(1))
    parts = ("generator/video", "generator/image", "generator/information")
    torch.testing.assert_close(loss, sum(scalars[name] for name in parts))
    silent = objective(categories=3, information=0.0)
    assert "generator/information" not in silent.generator_loss(batch(made.config), torch.Generator())[1]


def test_the_reconstruction_is_weighted_and_holds_frame_0():
    made = objective(image_to_video=True, reconstruction=7.0, image_critic="none")
    data = batch(made.config)
    loss, scalars = made.generator_loss(data, torch.Generator().manual_seed(1))
    torch.testing.assert_close(loss, scalars["generator/video"] + 7.0 * scalars["generator/reconstruction"])
    made.generator.eval()
    first = data["clips"][:, :, 0]
    drawn = made.generator.started(made.draw(3, torch.Generator()), first)
    content, start = made.generator.encode(first)
    clip = made.generator(drawn, range(3))
    torch.testing.assert_close(clip[:, :, 0], made.generator.frames(content, start, drawn.category))


def test_generated_pictures_come_from_clips_of_their_own():
    made = objective()
    seen = []
    made.generator.image.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    made.both_pictures(batch(made.config), torch.Generator().manual_seed(1))
    content = seen[0][:, : TINY.content]
    assert content.shape == (3 * TINY.images, TINY.content)
    assert torch.pdist(content).min() > 0.1


def test_lengths_are_drawn_and_windows_cut():
    made = objective(lengths=(10, 13))
    rng = torch.Generator().manual_seed(0)
    drawn = {made.draw(2, rng).noise.shape[1] for _ in range(20)}
    assert drawn == {10, 13}
    clips, _, motion = made.fake_clips(batch(made.config)["clips"], rng)
    assert clips.shape[2] == motion.shape[1] == TINY.frames


def test_weights_learnt_without_a_blur_fit_with_it():
    """So a trained model's checkerboard can be blurred away, and the model trained on from there."""
    plain, blurred = player(), Generator(replace(TINY, upsample="blur"))
    blurred.load_state_dict(plain.state_dict())
    codes = torch.randn(4, TINY.content + TINY.motion)
    one, other = plain.image(codes), blurred.eval().image(codes)
    assert one.shape == other.shape

    def nyquist(frames):  # what alternates from column to column
        return (frames[..., 1:-2] - frames[..., 2:-1]).square().mean()

    assert nyquist(other) < 0.3 * nyquist(one)


@pytest.mark.parametrize(
    "settings", [{"temporal": kind} for kind in KINDS] + [{"categories": 3}, {"upsample": "blur"}], ids=str
)
def test_frame_by_frame_equals_the_whole_clip(settings):
    generator = player(**settings)
    state = generator.start(ClipRequest(seed=4, categories=(2,) if settings.get("categories") else ()))
    chunks = play(generator, state.request, 2 * CHUNK)
    single = []
    for _ in range(2 * CHUNK):
        state, frame = generator.step(state, 1)
        single.append(frame)
    torch.testing.assert_close(torch.cat(single), chunks, rtol=0, atol=1e-5)
    assert (chunks[0] - chunks[-1]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_equals_the_training_pass_over_the_same_noise(kind):
    generator = player(temporal=kind)
    request, frames = ClipRequest(seed=4), 12
    like = next(generator.parameters())
    from mediagen.models.mocogan import Latents
    from mediagen.nn.playback import normal_rows

    noise = normal_rows(4, "epsilon", generator.temporal.noise, 0, frames, like)[None]
    start = normal_rows(4, "h_0", TINY.motion, 0, 1, like)
    drawn = Latents(normal_rows(4, "z_C", TINY.content, 0, 1, like), start, noise, torch.zeros(1, dtype=torch.long))
    whole = generator(drawn, range(frames))[0].transpose(0, 1)
    torch.testing.assert_close(play(generator, request, frames), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [1.0, 0.3, 1.5, -0.7])
def test_skipping_leaves_what_stepping_leaves_bit_for_bit(kind, rate):
    if rate < 0 and not kind.startswith("ode"):
        pytest.skip("only an ODE runs back")
    generator = player(temporal=kind)
    state = generator.start(ClipRequest(seed=2, rate=rate))
    stepped, skipped = state, state
    for _ in range(3):
        stepped, _ = generator.step(stepped, CHUNK)
    skipped = generator.skip(skipped, 3 * CHUNK)
    assert (skipped.frame, skipped.here) == (stepped.frame, stepped.here)
    assert all(torch.equal(a, b) for a, b in zip(skipped.motion, stepped.motion, strict=True))
    assert torch.equal(generator.step(skipped, CHUNK)[1], generator.step(stepped, CHUNK)[1])


def test_200_frames_carry_a_state_of_constant_size():
    generator = player()
    state = generator.start(ClipRequest())
    before = [tensor.shape for tensor in (state.content, *state.motion)]
    for _ in range(13):
        state, frames = generator.step(state, CHUNK)
    assert state.frame == 208
    assert [tensor.shape for tensor in (state.content, *state.motion)] == before
    assert frames.isfinite().all()


@pytest.mark.parametrize("kind", ["gru", "sde"])
def test_content_and_motion_are_swapped_by_their_seeds(kind):
    generator = player(temporal=kind)
    seen = []
    generator.image.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    for request in (ClipRequest(seed=1), ClipRequest(seed=1, motion_seed=2), ClipRequest(seed=1, content_seed=2)):
        play(generator, request, CHUNK)
    plain, other_motion, other_content = seen
    d = TINY.content
    assert torch.equal(plain[:, :d], other_motion[:, :d])
    assert torch.equal(plain[:, d:], other_content[:, d:])
    assert (plain[0, d:] - other_motion[0, d:]).abs().max() > 1e-3
    assert (plain[0, :d] - other_content[0, :d]).abs().max() > 1e-2
    assert torch.equal(plain[:1, :d].expand(CHUNK, -1), plain[:, :d])


def test_half_the_rate_shows_the_same_frames_and_those_between():
    for kind in KINDS:
        generator = player(temporal=kind)
        plain = play(generator, ClipRequest(seed=3), 16)
        slow = play(generator, ClipRequest(seed=3, rate=0.5), 32)
        torch.testing.assert_close(slow[::2], plain, rtol=0, atol=1e-5)
        fast = play(generator, ClipRequest(seed=3, rate=2.0), 8)
        torch.testing.assert_close(fast, plain[::2], rtol=0, atol=1e-5)


def test_an_ode_runs_back_from_the_first_frame():
    generator = player(temporal="ode")
    assert "reverse" in generator.abilities
    assert "reverse" not in player().abilities
    forth, back = (play(generator, ClipRequest(seed=3, rate=rate), 16) for rate in (1.0, -1.0))
    assert torch.equal(forth[0], back[0])
    assert (forth[1:] - back[1:]).abs().amax((1, 2, 3)).min() > 1e-5


@pytest.mark.parametrize("kind", ["gru", "ode"])
def test_a_change_of_action_keeps_what_came_before(kind):
    """z_A switched at frame 16: content and motion state go on, frames before are those of the first action alone."""
    generator = player(temporal=kind, categories=3)
    one = play(generator, ClipRequest(seed=3, categories=(0,)), 48)
    two = play(generator, ClipRequest(seed=3, categories=(0, 2), every=16), 48)
    assert torch.equal(one[:16], two[:16])
    assert (one[16] - two[16]).abs().max() > 1e-5
    # The state was carried: the step at the switch is not larger than what the new action alone makes of a frame.
    assert (two[16] - two[15]).abs().max() < (one.amax() - one.amin())


def test_an_action_drawn_by_the_image_generator_leaves_the_motion_alone():
    generator = player(categories=3, category_into="image")
    seen = []
    generator.image.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    play(generator, ClipRequest(seed=3, categories=(0, 2), every=8), CHUNK)
    play(generator, ClipRequest(seed=3, categories=(1,)), CHUNK)
    assert torch.equal(seen[0][:, :-3], seen[1][:, :-3])
    assert seen[0][:, -3:].argmax(1).tolist() == [0] * 8 + [2] * 8


def test_a_video_starts_from_the_picture():
    generator = player(image_to_video=True)
    assert generator.abilities == {"image", "motion", "rate"}
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    frames = play(generator, ClipRequest(image=picture), 16)
    other = play(generator, ClipRequest(image=picture, motion_seed=5), 16)
    content, start = generator.encode(torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1)
    first = generator.frames(content, start, torch.zeros(1, dtype=torch.long))
    torch.testing.assert_close(frames[:1], first, rtol=0, atol=1e-5)
    torch.testing.assert_close(other[:1], first, rtol=0, atol=1e-5)
    assert (frames[15] - other[15]).abs().max() > 1e-5


@pytest.mark.parametrize(
    ("settings", "request_", "says"),
    [({"categories": 2}, ClipRequest(categories=(2,)), "knows 0 to 1"),
     ({}, ClipRequest(categories=(1,)), "has none"),
     ({"image_to_video": True}, ClipRequest(), "give one")],
)  # fmt: skip
def test_what_a_model_cannot_do_is_said(settings, request_, says):
    generator = player(**settings)
    with pytest.raises(UsageError, match=says):
        generator.step(generator.start(request_), CHUNK)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"size": 40}, "multiple of 16"), ({"content": 0}, "at least 1"), ({"video_channels": (8,) * 5}, "too few"),
     ({"frames": 15}, "at least 16 frames"), ({"lengths": (16, 8)}, "at least 16"),
     ({"lengths": (32,), "image_to_video": True}, "lengths")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(settings, says):
    with pytest.raises(UsageError, match=says):
        Config(**settings)


def test_a_checkpoint_brings_the_same_frames_back(tmp_path):
    generator = player(temporal="ode2", categories=2)
    path = tmp_path / "model.safetensors"
    save_checkpoint(
        path, generator.state_dict(), model="mocogan", config=generator.config, ema=False, data={}, training={},
        latents=SPEC.latents,
    )  # fmt: skip
    loaded = load(path).eval()
    request = ClipRequest(seed=8, categories=(0, 1))
    assert torch.equal(play(loaded, request, 16), play(generator, request, 16))


@pytest.mark.parametrize("settings", [{}, {"categories": 3}, {"image_to_video": True}], ids=str)
def test_samples_and_previews(settings):
    made = objective(**settings)
    assert isinstance(made, Samples)
    assert isinstance(made, ClipPreview)
    network = made.generator.eval()
    with torch.no_grad():
        assert made.samples(network, 5, torch.Generator().manual_seed(1)).shape == (5, 3, 10, 16, 16)
        sheet, clip = made.preview(network, 0), made.preview_clip(network, 0)
        again = made.preview(network, 0)
    assert sheet.shape == (8 * 16, 10 * 16, 3)
    assert clip.shape == (10, 64, 64, 3)
    assert sheet.dtype == clip.dtype == np.uint8
    assert np.array_equal(sheet, again)


def test_latest_pictures_are_kept_for_showing():
    made = objective(image_to_video=True)
    data = batch(made.config)
    made.generator_loss(data, torch.Generator().manual_seed(1))
    kept = made.pictures(4)
    torch.testing.assert_close(kept[:3], data["clips"][:, :, 0], rtol=0, atol=1 / 127)
    assert kept[3].abs().max() < 0.01


def test_the_gradient_penalty_is_r1_on_the_video_critic_alone():
    made = objective(r1=3.0, r1_every=2)
    assert [phase.name for phase in made.phases(0)] == ["image_critic", "video_critic", "r1", "generator"]
    assert [phase.name for phase in made.phases(1)] == ["image_critic", "video_critic", "generator"]
    data = batch(made.config)
    loss, _ = made.r1_loss(data, torch.Generator())
    real = data["clips"].clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(made.judge(real, torch.Generator())[0].sum(), real)
    torch.testing.assert_close(loss, 3.0 * 2 * slope.square().flatten(1).sum(1).mean() / 2)
