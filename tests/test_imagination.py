"""A picture's own generator in one pass: what it holds, what lies between two, that it paints like any other."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mediagen
from mediagen.canvas.paint import paint
from mediagen.canvas.render import render
from mediagen.checkpoint import load, read_header
from mediagen.core.geometry import Window
from mediagen.errors import CheckpointError, DataError, MediagenError, UsageError
from mediagen.imagination import imagine, imagine_file
from mediagen.io.store import CanvasStore
from mediagen.nn.picture_tasks import harmonise, vary
from mediagen.train import train
from mediagen.video.render import render_video

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    path, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(1)
    for n in range(3):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 9, 3), np.uint8))
        coarse.resize((90, 60), Image.Resampling.BICUBIC).save(path / f"{n}.png")
    return path


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("run")
    config = {"generator_rate": 3e-3}  # far, so that what is emitted depends on the picture
    train("mil", photos, path, preset="tiny", config=config, device="cpu", precision="fp32")
    return path


@pytest.fixture(scope="module")
def own(run, photos, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("own") / "own.safetensors"
    imagine_file(run, photos / "0.png", path)
    return path


def tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: t.clone() for name, t in model.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], part: str = "") -> bool:
    return all(torch.equal(one[name], other[name]) for name in one if part in name)


def test_a_checkpoint_holds_what_the_pass_emitted(run, photos, own):
    network, made = load(run), load(own)
    assert equal(tensors(made), tensors(imagine(network, photos / "0.png")))
    with Image.open(photos / "0.png") as picture:
        assert equal(tensors(made), tensors(imagine(network, np.asarray(picture))))
    assert not equal(tensors(made), tensors(imagine(network, photos / "1.png")), "weight")
    emitted = network.heads[0].emitted
    assert sum(p.numel() for p in made.parameters()) == 3 * emitted
    header = read_header(own)
    assert header["model"] == "consingan"
    assert header["training"]["with"] == network.mediagen.sha256
    assert header["training"]["learnt_from"]["pictures"] == 3
    assert header["training"]["command"] == "mediagen imagine MODEL PICTURE"
    assert str(photos) not in str(header)


def test_the_same_picture_makes_the_same_bytes(run, photos, own, tmp_path):
    report = imagine_file(run, photos / "0.png", tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == own.read_bytes()
    assert (report.width, report.height, report.scales) == (48, 32, 3)
    assert 0 < report.error < 255
    assert report.bytes == own.stat().st_size


def test_the_ends_of_a_blend_are_the_two_pictures(run, photos):
    network = load(run)
    first, second = (tensors(imagine(network, photos / f"{n}.png")) for n in (0, 1))

    def between(t: float, scale: int = 1) -> dict[str, torch.Tensor]:
        return tensors(imagine(network, photos / "0.png", blend=photos / "1.png", t=t, scale=scale))

    assert equal(between(0.0), first)
    assert all(torch.allclose(between(1.0)[name], second[name], atol=1e-6) for name in first)
    half = between(0.5)
    for name, value in half.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (first[name] + second[name]) / 2, atol=1e-5, rtol=1e-4)


def test_scales_before_the_blend_are_the_first_picture_s(run, photos):
    network = load(run)
    first, second = (tensors(imagine(network, photos / f"{n}.png")) for n in (0, 1))
    made = tensors(imagine(network, photos / "0.png", blend=photos / "1.png", t=1.0, scale=3))
    for stage, wanted in ((0, first), (1, first), (2, second)):
        for part in (f"heads.{stage}.", f"blocks.{stage}.", f"tails.{stage}."):
            assert all(torch.allclose(made[n], wanted[n], atol=1e-6) for n in made if part in n), part


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_window_law(own, precision):
    """Far from the origin, bit for bit, in a store and out of it."""
    shared = {"seed": 7, "precision": precision}
    small = render(own, x=10**12 + 3, y=5, width=101, height=20, **shared)
    large = render(own, x=10**12 - 90, y=0, width=301, height=32, **shared)
    np.testing.assert_array_equal(small, large[5:25, 93 : 93 + 101])
    assert small.std() > 1


def test_it_paints_canvases_and_films(own, tmp_path):
    report = paint(own, tmp_path / "a.zarr", width=500, seed=3)
    assert (report.width, report.height) == (500, 32)
    store = CanvasStore.open(tmp_path / "a.zarr")
    np.testing.assert_array_equal(
        store.read(0, 0, 0, 500, 32), render(own, width=500, seed=3, precision=report.precision)
    )
    assert render_video(own, tmp_path / "a.mkv", frames=3, codec="ffv1", scale=1).frames == 3
    with pytest.raises(UsageError, match="32 px high"):
        render(own, width=10, y=30, height=10)


def test_it_takes_collages_and_other_sizes(own):
    model = load(own)
    assert vary(model, height=40, width=100, seed=1).shape == (40, 100, 3)
    collage = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    late, early = (harmonise(model, collage, entry=entry).astype(int) for entry in (2, 1))
    np.testing.assert_array_equal(early, harmonise(model, collage, seed=9))  # no noise is added
    assert early.shape == late.shape == collage.shape
    assert (late != early).any()
    assert (early != harmonise(model, collage[::-1].copy())).any()
    with pytest.raises(UsageError, match="stage from 0 to 2"):
        harmonise(model, collage, entry=3)


def test_what_enters_at_a_stage_is_what_the_stage_before_made(own):
    from mediagen.nn.pyramid_painter import noise_of

    model = load(own)
    plan = model.painted(Window(0, 0, 60, 32))
    z = noise_of(model.noise(plan), 1)
    below = model.plan(plan.made(0), 0)
    first = model([z[0]], below)
    torch.testing.assert_close(model([first, *z[1:]], plan, entry=1), model(z, plan), atol=1e-5, rtol=1e-4)
    assert [f.window for f in model.noise(plan, 1)][1:] == [f.window for f in model.noise(plan)][1:]


def test_a_training_may_be_used_before_its_end(photos, tmp_path):
    train("mil", photos, tmp_path / "run", preset="tiny", iterations=5, device="cpu", precision="fp32")
    report = imagine_file(tmp_path / "run", photos / "0.png", tmp_path / "a.safetensors")
    assert (report.width, report.height, report.scales) == (28, 19, 2)
    assert render(tmp_path / "a.safetensors", width=40).shape == (19, 40, 3)


def test_the_network_itself_says_what_to_do_instead(run, tmp_path):
    for use in (lambda: render(run, width=10), lambda: render_video(run, tmp_path / "a.mkv", frames=2)):
        with pytest.raises(UsageError, match="mediagen imagine") as caught:
            use()
        assert "\n" not in str(caught.value)


def test_from_the_package(run, photos):
    assert mediagen.imagine(run, photos / "0.png").scene == Window(0, 0, 48, 32)


def faults(photos: Path, run: Path, own: Path, tmp: Path) -> dict[str, tuple[dict, type[MediagenError], str]]:
    photo, text = photos / "0.png", tmp / "text.jpg"
    text.write_text("no picture")
    thin = tmp / "thin.png"
    Image.new("RGB", (5, 5)).save(thin)
    (tmp / "there.safetensors").touch()
    good = {"model": run, "picture": photo, "out": tmp / "new.safetensors"}
    return {
        "no model": ({**good, "model": tmp / "nothing"}, CheckpointError, "no such checkpoint"),
        "another model": ({**good, "model": own}, UsageError, "mediagen train mil"),
        "no picture": ({**good, "picture": tmp / "nothing.jpg"}, DataError, "nothing.jpg: cannot be read"),
        "a folder": ({**good, "picture": photos}, DataError, "not a regular file"),
        "a text": ({**good, "picture": text}, DataError, "text.jpg: not a picture"),
        "too small": ({**good, "picture": thin}, DataError, "thin.png: 5 x 5 is too small"),
        "bad blend": ({**good, "blend": text}, DataError, "text.jpg: not a picture"),
        "t alone": ({**good, "t": 0.5}, UsageError, "--blend"),
        "t too large": ({**good, "blend": photo, "t": 1.5}, UsageError, "--t lies between"),
        "no such scale": ({**good, "blend": photo, "scale": 4}, UsageError, "between 1 and 3"),
        "not a name": ({**good, "out": tmp / "new.png"}, UsageError, "ends in .safetensors"),
        "taken": ({**good, "out": tmp / "there.safetensors"}, UsageError, "--overwrite"),
    }


NAMES = ("no model", "another model", "no picture", "a folder", "a text", "too small", "bad blend", "t alone", "t too large",
         "no such scale", "not a name", "taken")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_faults_are_one_line(name, run, photos, own, tmp_path):
    asked, kind, told = faults(photos, run, own, tmp_path)[name]
    with pytest.raises(kind, match=told) as caught:
        imagine_file(**asked)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new.safetensors").exists()


def test_an_array_that_is_no_picture(run):
    with pytest.raises(UsageError, match="uint8"):
        imagine(run, np.zeros((40, 60, 3)))
