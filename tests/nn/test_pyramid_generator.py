"""Single-image generators as canvases and films: windows that agree bit for bit, bounded rows, walks of the noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mediagen.canvas.paint import paint
from mediagen.canvas.render import render
from mediagen.canvas.styles import UniformStyle
from mediagen.core.clips import ClipRequest
from mediagen.core.geometry import Interval, Window
from mediagen.core.seeds import random_field
from mediagen.errors import UsageError
from mediagen.models._spec import StreamModel
from mediagen.models.consingan import PRESETS, Config, pyramid
from mediagen.nn.pyramid_generator import PyramidGenerator
from mediagen.nn.pyramid_painter import noise_of, window_of

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = replace(PRESETS["tiny"], waves=2)
BOTH = replace(TINY, unbounded="xy", waves=0)
KINDS = {"x": TINY, "xy": BOTH, "pictures": replace(TINY, between="pictures")}


def wild(config: Config = TINY, height: int = 32, width: int = 53) -> PyramidGenerator:
    """A generator with strong random weights that counts as trained on a picture of that size."""
    torch.manual_seed(0)
    generator = PyramidGenerator(config)
    generator.sizes.copy_(torch.tensor(pyramid(config, height, width)).T)
    generator.amplitudes.copy_(torch.tensor([1.0, 0.4, 0.3]))
    for parameter in generator.parameters():
        parameter.data.normal_(0, 0.2)
    for tail in generator.tails:
        tail.weight.data.mul_(0.2)
    return generator.eval().requires_grad_(False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_window_law_far_from_the_origin(kind, precision):
    """The window at 10**12 + 3 is bit for bit what is cut from a larger one."""
    model, shared = wild(KINDS[kind]), {"seed": 7, "precision": precision}
    y, height, above = (-100, 77, 33) if kind == "xy" else (5, 20, 5)
    more = 190 if kind == "xy" else 32
    small = render(model, x=10**12 + 3, y=y, width=101, height=height, **shared)
    large = render(model, x=10**12 - 90, y=y - above, width=301, height=more, **shared)
    np.testing.assert_array_equal(small, large[above : above + height, 93 : 93 + 101])
    assert small.std() > 10


@settings(max_examples=25, deadline=None)
@given(st.integers(-(10**13), 10**13), st.integers(0, 31), st.integers(1, 150), st.data())
def test_any_window_by_itself(x, y, width, data):
    model, height = wild(), data.draw(st.integers(1, 32 - y))
    small = render(model, x=x, y=y, width=width, height=height, seed=2)
    large = render(model, x=x - 13, y=0, width=width + 40, height=32, seed=2)
    np.testing.assert_array_equal(small, large[y : y + height, 13 : 13 + width])


@pytest.mark.parametrize("kind", KINDS)
def test_the_block_is_no_part_of_the_picture(kind):
    """Other blocks give other roundings at most."""
    model = wild(KINDS[kind])
    wanted = render(model, x=-70, width=300, seed=1)
    step = model.lattice.step
    for width, height in ((step, step), (3 * step, step)):
        found = render(model, x=-70, width=300, seed=1, block=(width, height))
        assert np.abs(wanted.astype(int) - found).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_painted_windows_equal_one_shot_ones_in_float64(kind):
    model = wild(KINDS[kind]).double()
    whole = picture(model, Window(-40, 0, 200, 32))
    for x, width in ((0, 30), (77, 83), (-40, 1)):
        part = picture(model, Window(x, 0, width, 32))
        assert (whole[..., x + 40 : x + 40 + width] - part).abs().max() < 1e-10
    assert whole.std() > 0.05


def picture(model: PyramidGenerator, window: Window) -> torch.Tensor:
    plan = model.painted(window)
    assert plan is not None
    return model([z.double() for z in noise_of(model.fields(window), 3)], plan)


def test_the_painter_is_the_generator():
    model, window = wild(), Window(10**9 * 52 + 5, 0, 60, 32)
    painter = model.painter(UniformStyle(0), device=torch.device("cpu"), precision="fp32")
    fields = [random_field(4, f.name, f.channels, f.window) for f in model.fields(window)]
    painted = painter.paint([window], [fields])[0]
    assert np.abs(painted.astype(int) - window_of(model, window, 4)).max() <= 1
    again = Window(window.x + 52, 0, 60, 32)
    others = [random_field(4, f.name, f.channels, f.window) for f in model.fields(again)]
    pair = painter.paint([window, again], [fields, others])
    assert np.abs(pair[0].astype(int) - painted).max() <= 1
    assert np.abs(pair[1].astype(int) - window_of(model, again, 4)).max() <= 1


def test_blocks_beyond_the_rows_are_black_and_cost_nothing():
    model = wild()
    painter = model.painter(UniformStyle(0), device=torch.device("cpu"), precision="fp32")
    beyond = Window(0, 52, 52, 52)
    assert model.fields(beyond) == []
    assert model.cost(beyond) == 0
    assert not painter.paint([beyond], [[]]).any()
    partly = Window(0, 20, 52, 52)
    fields = [random_field(0, f.name, f.channels, f.window) for f in model.fields(partly)]
    painted = painter.paint([partly], [fields])[0]
    assert painted[:12].any()
    assert not painted[12:].any()


@pytest.mark.parametrize(("y", "height"), [(-1, 10), (0, 33), (20, 20), (40, 5)])
def test_rows_that_the_photograph_does_not_have_are_refused(y, height):
    with pytest.raises(UsageError, match=r"32 px high, from y = 0") as caught:
        render(wild(), width=10, y=y, height=height)
    assert "\n" not in str(caught.value)
    assert render(wild(BOTH), width=10, y=y, height=height).shape == (height, 10, 3)


def test_the_photograph_s_rows_are_the_default():
    assert render(wild(), width=11).shape == (32, 11, 3)


def test_a_padded_generator_paints_no_canvas():
    with pytest.raises(UsageError, match="pads with zeros"):
        render(wild(replace(TINY, unbounded="none")), width=10)


def test_an_untrained_or_damaged_generator_is_refused():
    with pytest.raises(UsageError, match="not been trained"):
        render(PyramidGenerator(TINY), width=10)
    damaged = wild()
    damaged.sizes[1] = 1
    with pytest.raises(UsageError, match="damaged"):
        render(damaged, width=10)


def test_a_canvas_is_painted_and_extended(tmp_path):
    from mediagen.canvas.extend import extend
    from mediagen.io.store import CanvasStore

    model = wild()
    report = paint(model, tmp_path / "a.zarr", width=700, seed=3)
    assert (report.width, report.height) == (700, 32)
    extend(tmp_path / "a.zarr", "right", 300, model=model)
    store = CanvasStore.open(tmp_path / "a.zarr")
    np.testing.assert_array_equal(
        store.read(0, 0, 0, 1000, 32), render(model, width=1000, seed=3, precision=report.precision)
    )
    with pytest.raises(UsageError, match="32 px high"):
        extend(tmp_path / "a.zarr", "down", 1, model=model)


def test_the_structure_seed_exchanges_the_coarsest_noise_alone():
    model = wild()
    names = [field.name for field in model.fields(Window(0, 0, 50, 32))]
    assert names == ["z_l", "z_1", "z_2"]
    plain = render(model, width=80, seed=1)
    np.testing.assert_array_equal(render(model, width=80, seed=1, structure_seed=1), plain)
    assert (render(model, width=80, seed=1, structure_seed=2) != plain).mean() > 0.3


def test_silent_stages_draw_nothing():
    model = wild()
    model.amplitudes[1] = 0.0
    assert [field.name for field in model.fields(Window(0, 0, 50, 32))] == ["z_l", "z_2"]
    assert render(model, width=40).std() > 5


def test_the_cost_counts_every_multiply_add_of_a_real_pass():
    from torch.utils.flop_counter import FlopCounterMode

    for config in KINDS.values():
        model, window = wild(config), Window(0, 0, 104, 32)
        plan, z = model.painted(window), noise_of(model.fields(window), 0)
        with FlopCounterMode(display=False) as counter:
            model(z, plan)
        assert 0.8 * counter.get_total_flops() < 2 * model.cost(window) <= 1.05 * counter.get_total_flops()
        assert 0.2 * model.cost(window) < model.ideal_cost(window) < model.cost(window)


@pytest.mark.parametrize("unbounded", ["none", "x", "xy"])
@pytest.mark.parametrize(("height", "width"), [(32, 53), (64, 53), (32, 106), (64, 106), (40, 61)])
def test_any_size_from_one_generator(unbounded, height, width):
    model = wild(replace(TINY, unbounded=unbounded, waves=0))
    axes = model.resized(height, width)
    plan = model.plan((Interval(0, height), Interval(0, width)), axes=axes)
    made = model(noise_of(model.noise(plan), 0), plan)
    assert made.shape == (1, 3, height, width)
    if unbounded == "none":
        assert (axes[0].sizes[-1], axes[1].sizes[-1]) == (height, width)


def test_zero_padding_tells_the_generator_where_a_bounded_axis_ends():
    """Along x every column is made alike; along y the rows near the ends are not."""
    model = wild(replace(TINY, waves=0))
    quiet = [torch.zeros_like(z) for z in noise_of(model.fields(Window(0, 0, 200, 32)), 0)]
    made = model(quiet, model.painted(Window(0, 0, 200, 32)))
    assert float(made.std(3).max()) < 1e-5
    assert float(made.std(2).max()) > 0.01


def frames(model: PyramidGenerator, seed: int, chunks: tuple[int, ...]) -> torch.Tensor:
    state, made = model.start(ClipRequest(seed=seed)), []
    for count in chunks:
        state, part = model.step(state, count)
        made.append(part)
    return torch.cat(made)


def test_a_walk_of_the_noise_is_a_stream():
    model = wild()
    assert isinstance(model, StreamModel)
    film = frames(model, 5, (16, 16))
    assert film.shape == (32, 3, 32, 53)
    state = model.skip(model.start(ClipRequest(seed=5)), 16)
    assert torch.equal(model.step(state, 16)[1], film[16:])
    steps = (film[1:] - film[:-1]).abs().mean((1, 2, 3))
    assert float(steps.max()) < 0.5 * float((film[0] - frames(model, 6, (1,))[0]).abs().mean())
    assert float((film[0] - film[31]).abs().mean()) > 0.01


def test_an_animation_starts_at_the_photograph_whatever_its_seed():
    model = wild(replace(TINY, task="animation"))
    first, second = frames(model, 5, (8,)), frames(model, 6, (8,))
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[7], second[7])


def test_stages_before_the_walk_keep_their_noise():
    model = wild(replace(TINY, walk_from=2))
    state = model.skip(model.start(ClipRequest(seed=1)), 5)
    assert torch.equal(state.now[0], state.home[0])
    assert torch.equal(state.now[1], state.home[1])
    assert not torch.equal(state.now[2], state.home[2])
