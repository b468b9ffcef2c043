"""InfinityGAN's geometry and law: sizes of the paper, and patches that agree wherever they overlap."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mediagen.core.geometry import Interval, Window
from mediagen.core.seeds import random_field
from mediagen.models._spec import Centre
from mediagen.models.infinitygan import PAPER, PRESETS, Config, Generator, Objective, discriminator
from mediagen.nn.coordinates import coordinates, lattice_coordinates
from mediagen.nn.equalized import initialise
from mediagen.nn.style_fusion import Convolve, OneStyle

NARROW = replace(PAPER, local_channels=3, structure_channels=4, latent=6, mapping_layers=2, channels=(4, 4, 4, 4))


def noisy(config: Config, dtype: torch.dtype = torch.float32) -> Generator:
    """A generator with random weights whose noise and biases are switched on."""
    generator = Generator(config)
    rng = torch.Generator().manual_seed(0)
    initialise(generator, rng)
    for name, parameter in generator.named_parameters():
        if "strength" in name or ("bias" in name and "affine" not in name):
            parameter.data.normal_(generator=rng).mul_(0.3)
    return generator.to(dtype).requires_grad_(False)


def test_the_paper_sizes():
    generator = Generator(NARROW)
    plan = generator.plan(generator.patch_interval())
    assert [len(step.read) for step in plan[:4]] + [len(plan[3].out)] == [35, 29, 23, 17, 11]
    # A transposed convolution's clipped output is two wider than what the blur leaves of it.
    assert [len(step.out) for step in plan[4:]] == [17 + 2, 17, 29 + 2, 29, 53 + 2, 53, 101 + 2, 101]


@pytest.mark.parametrize(("name", "patch"), [("paper", 101), ("paper-197", 197), ("paper-389", 389), ("small", 197)])
def test_patches_grow_by_blocks(name, patch):
    assert PRESETS[name].patch == patch


def test_the_small_model_fills_512_rows_with_one_scene():
    scene = Generator(PRESETS["small"]).scene
    assert (scene.y, scene.height) == (-256, 512)


def test_parameter_counts_of_the_paper_networks():
    with torch.device("meta"):
        generator, critic = Generator(PAPER), discriminator(PAPER)
    assert sum(p.numel() for p in generator.parameters()) == 36_354_848
    assert sum(p.numel() for p in critic.parameters()) == 31_995_906


def one_shot(generator: Generator, window: Window, z_g: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """The picture of a window from position-keyed fields, by the training form of the convolutions."""
    rows, columns = generator.plan(window.rows), generator.plan(window.columns)
    z_l, *noise = (
        torch.from_numpy(random_field(3, f.name, f.channels, f.window))[None] for f in generator.fields(window)
    )
    c = lattice_coordinates(generator.config, rows[0].read, columns[0].read, [(0, 0)])
    dtype = next(generator.parameters()).dtype
    convolve: Convolve = lambda layer, x, slot, *_: layer(x, z_g if slot is None else w[:, slot])  # noqa: E731
    return generator.synthesise(z_l.to(dtype), c.to(dtype), [n.to(dtype) for n in noise], rows, columns, convolve)[1]


@pytest.mark.parametrize("cells", [1, 3, 6])
def test_independent_patches_equal_the_one_shot_crop_in_float64(cells):
    generator = noisy(NARROW, torch.float64)
    rng = torch.Generator().manual_seed(1)
    z_g = torch.randn(1, 6, generator=rng, dtype=torch.float64)
    w = generator.mapping(z_g)[:, None].expand(-1, generator.slots, -1)
    whole = one_shot(generator, Window(30, -98, 101 + 16 * cells, 101 + 16 * cells), z_g, w)
    for x, y in ((0, 0), (cells, 0), (0, cells), (cells, cells)):
        patch = one_shot(generator, Window(30 + 16 * x, -98 + 16 * y, 101, 101), z_g, w)
        crop = whole[:, :, 16 * y : 16 * y + 101, 16 * x : 16 * x + 101]
        assert (patch - crop).abs().max() < 1e-10
    assert whole.std() > 0.05


def test_odd_windows_agree_too():
    generator = noisy(NARROW, torch.float64)
    z_g = torch.ones(1, 6, dtype=torch.float64)
    w = generator.mapping(z_g)[:, None].expand(-1, generator.slots, -1)
    whole = one_shot(generator, Window(10**12, -100, 90, 80), z_g, w)
    part = one_shot(generator, Window(10**12 + 37, -100 + 21, 45, 50), z_g, w)
    assert (whole[:, :, 21:71, 37:82] - part).abs().max() < 1e-10


def test_nothing_in_the_generator_is_padded():
    for name, module in Generator(NARROW).named_modules():
        assert not getattr(module, "padding", 0), name


def test_coordinates_repeat_after_the_period_and_saturate():
    columns = torch.tensor([[0.0, 35.0, 140.0]], dtype=torch.float64)
    c = coordinates(PAPER, torch.tensor([[-1e6, 0.0, 1e6]], dtype=torch.float64), columns)
    assert c.shape == (1, 3, 3, 3)
    torch.testing.assert_close(c[0, :, 0, 0], c[0, :, 0, 2])
    torch.testing.assert_close(c[0, 0, :, 0], torch.tensor([-1.0, 0.0, 1.0]))
    torch.testing.assert_close(c[0, 1:, 0, 1], torch.tensor([0.0, 1.0]), atol=1e-6, rtol=0)


def test_far_columns_have_the_coordinates_of_near_ones():
    generator = Generator(NARROW)
    near = lattice_coordinates(generator.config, Interval(0, 4), Interval(0, 9), [(0, 0)])
    far = lattice_coordinates(generator.config, Interval(0, 4), Interval(0, 9), [(140 * 10**10, 0)])
    assert torch.equal(near, far)


class TwoStyles:
    """Two centres: the left half of the plane is the first's, the right half the second's, with a ramp between."""

    def __init__(self, seeds: tuple[int, int], width: int = 32, rows: bool = False):
        self.found, self.width, self.rows = [Centre(-1.0, 0.0, seeds[0]), Centre(1.0, 0.0, seeds[1])], width, rows

    def centres(self, window: Window) -> list[Centre]:
        return self.found

    def weights(self, window: Window, centres: list[Centre], stride: int) -> np.ndarray:
        x = np.arange(window.x, window.right) * stride
        right = np.clip(x / self.width + 0.5, 0, 1)
        right = np.repeat(right[None], window.height if self.rows else 1, axis=0)
        return np.stack([1 - right, right]).astype(np.float32)


def drawn(generator: Generator, window: Window) -> list[np.ndarray]:
    return [random_field(3, f.name, f.channels, f.window) for f in generator.fields(window)]


@pytest.mark.parametrize("rows", [False, True])
def test_fusing_equal_styles_is_the_plain_picture(rows):
    generator = noisy(PRESETS["tiny"])
    window = Window(-32, generator.scene.y, 64, 32)
    device = torch.device("cpu")
    plain = generator.painter(OneStyle(5), device=device, precision="fp32").paint([window], [drawn(generator, window)])
    fused = generator.painter(TwoStyles((5, 5), rows=rows), device=device, precision="fp32").paint(
        [window], [drawn(generator, window)]
    )
    assert np.abs(plain.astype(int) - fused).max() <= 1
    assert plain.std() > 5


def test_fused_windows_agree_on_overlaps_and_differ_from_either_style():
    generator = noisy(PRESETS["tiny"])
    painter = generator.painter(TwoStyles((5, 6)), device=torch.device("cpu"), precision="fp32")
    y = generator.scene.y
    big, part = Window(-64, y, 128, 32), Window(-16, y + 8, 32, 16)
    whole = painter.paint([big], [drawn(generator, big)])[0]
    piece = painter.paint([part], [drawn(generator, part)])[0]
    assert np.abs(whole[8:24, 48:80].astype(int) - piece).max() <= 1
    for seed, columns in ((5, slice(0, 16)), (6, slice(112, 128))):
        alone = generator.painter(OneStyle(seed), device=torch.device("cpu"), precision="fp32")
        pure = alone.paint([big], [drawn(generator, big)])[0]
        assert np.abs(whole[:, columns].astype(int) - pure[:, columns]).max() <= 1
        assert np.abs(whole.astype(int) - pure).max() > 10


def test_batched_windows_equal_single_ones():
    generator = noisy(PRESETS["tiny"])
    painter = generator.painter(TwoStyles((5, 6), width=200), device=torch.device("cpu"), precision="fp32")
    windows = [Window(x, generator.scene.y, 32, 32) for x in (-64, 0, 96)]
    together = painter.paint(windows, [drawn(generator, w) for w in windows])
    for window, picture in zip(windows, together, strict=True):
        assert np.array_equal(painter.paint([window], [drawn(generator, window)])[0], picture)


def test_switches_change_structure_or_texture_alone():
    """Another texture seed leaves z_S as it is; both seeds together change everything."""
    generator = noisy(PRESETS["tiny"])
    same = generator.painter(OneStyle(5), device=torch.device("cpu"), precision="fp32")
    centre = Centre(0.0, 0.0, 5, texture_seed=9)
    torch.testing.assert_close(same.latent(centre, True), same.latent(Centre(0.0, 0.0, 5), True))
    assert not torch.allclose(same.latent(centre, False), same.latent(Centre(0.0, 0.0, 5), False))


@pytest.mark.parametrize(
    "change",
    [{}, {"structure": False}, {"structure": False, "padding_free": False}, {"unfold": 1}, {"diversity": 0.0},
     {"position": 0.0}, {"coordinates": "texture"}, {"coordinates": "constant"}, {"label": "tanh"},
     {"augmentation": True}, {"path": 0.0}, {"noise_from": 1}],
)  # fmt: skip
def test_every_ablation_trains_every_parameter(change):
    config = replace(PRESETS["tiny"], **change)
    objective = Objective(config, torch.device("cpu"))
    rng = torch.Generator().manual_seed(0)
    pictures = torch.rand(4, 3, config.patch, config.patch, generator=rng) * 2 - 1
    batch = {"pictures": pictures, "top": torch.arange(4)}
    reached: dict[str, set[str]] = {name: set() for name in objective.networks}
    for phase in objective.phases(0):
        loss, scalars = phase.loss(batch, rng)
        assert torch.isfinite(loss)
        assert all(torch.isfinite(s) for s in scalars.values())
        network = objective.networks[phase.optimizer]
        loss.backward(inputs=list(network.parameters()))
        reached[phase.optimizer] |= {
            n for n, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0
        }
    for name, network in objective.networks.items():
        silent = {n for n, _ in network.named_parameters()} - reached[name]
        if not config.position:
            silent = {n for n in silent if not n.startswith("position")}
        assert not silent, f"no gradient reaches {sorted(silent)} of the {name}"


def test_frozen_blocks_stay_frozen():
    config = replace(PRESETS["tiny"], frozen_blocks=1, path=0.0)
    objective = Objective(config, torch.device("cpu"))
    trained = {n for n, p in objective.generator.named_parameters() if p.requires_grad}
    assert trained
    assert all(name.startswith("blocks.1.") for name in trained)


def test_the_cost_counts_every_multiply_add_of_a_real_pass():
    from torch.utils.flop_counter import FlopCounterMode

    generator = noisy(PRESETS["tiny"])
    window = Window(0, generator.scene.y, 32, 32)
    z_g = torch.ones(1, generator.config.latent)
    w = generator.mapping(z_g)[:, None].expand(-1, generator.slots, -1)
    with FlopCounterMode(display=False) as counter:
        one_shot(generator, window, z_g, w)
    # The blurs, skips and affines are the rest: small in a real network, a third in one of 8 channels.
    assert 0.5 * counter.get_total_flops() < 2 * generator.cost(window) <= counter.get_total_flops()
