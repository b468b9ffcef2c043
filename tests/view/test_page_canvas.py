"""The page of a canvas in a real browser: what is stored is what is seen, from full size to the overview."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pages import SIZE, Watched, browsing, decoded, serving, watched
from PIL import Image

import mediagen
from mediagen.canvas.paint import paint

X, Y, WIDTH, HEIGHT = -300, -128, 2048, 256


@pytest.fixture(scope="module")
def canvas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("canvas") / "small <b>.zarr"
    paint("infinitygan", path, x=X, y=Y, width=WIDTH, height=HEIGHT, seed=7, block=(256, 256), precision="fp32")
    return path


@pytest.fixture(scope="module")
def whole() -> np.ndarray:
    torch.set_num_threads(1)
    return mediagen.render(
        "infinitygan", x=X, y=Y, width=WIDTH, height=HEIGHT, seed=7, block=(256, 256), precision="fp32"
    )


@pytest.fixture(scope="module")
def address(canvas: Path) -> Iterator[str]:
    with serving(canvas) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as found:
        yield found


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Watched]:
    with watched(browser, address) as found:
        yield found


def test_what_is_stored_is_seen(page: Watched, whole: np.ndarray) -> None:
    page.open(f"#{X + 800},0,0")
    assert page.page.title() == "small <b>.zarr · mediagen"
    assert "2,048 × 256 px" in page.page.locator("#what").text_content()
    margin = (SIZE["height"] - HEIGHT) // 2
    left = 800 - SIZE["width"] // 2
    shown = page.pixels()
    assert np.array_equal(shown[margin:-margin], whole[:, left : left + SIZE["width"]])
    assert (shown[:margin] == shown[0, 0]).all(), "above the canvas there is nothing"
    assert not page.page.locator("#tool-panel").is_visible(), "a canvas has no seed to turn"


def test_all_of_it_and_back(page: Watched, whole: np.ndarray) -> None:
    page.open(f"#{X + 800},0,0")
    page.page.keyboard.press("f")
    page.settle()
    assert page.place() == (X + WIDTH // 2, 0)
    found = page.pixels()
    scale = (SIZE["width"] - 144) / WIDTH
    width, height = SIZE["width"] - 144, round(HEIGHT * scale)
    top = (SIZE["height"] - height) // 2
    wanted = np.asarray(Image.fromarray(whole).resize((width, height), Image.Resampling.BOX))
    part = found[top : top + height, 72:-72]
    assert np.abs(part.astype(float) - wanted).mean() < 6
    page.page.keyboard.press("0")
    page.settle()
    assert page.page.locator("#percent").text_content() == "100 %"


def test_the_map_keeps_within(page: Watched) -> None:
    page.open("#-999999,5000,0")
    assert page.place() == (X + SIZE["width"] // 2 - 72, 0)
    mouse = page.page.mouse
    mouse.move(300, 150)
    mouse.down()
    mouse.move(700, 290, steps=4)
    mouse.up()
    assert page.place() == (X + SIZE["width"] // 2 - 72, 0)


def test_zooming_and_walking_are_smooth_where_motion_is_welcome(browser: Any, address: str) -> None:
    with watched(browser, address, reduced_motion="no-preference") as page:
        page.open(f"#{X + 800},0,0")
        page.page.mouse.move(300, 150)
        page.page.mouse.wheel(0, 240)
        told = set()
        for _ in range(12):
            told.add(page.page.locator("#percent").text_content())
            page.page.wait_for_timeout(25)
        assert len(told) > 2, "it goes there in steps"
        page.page.locator("#percent").get_by_text("50 %").wait_for()
        page.settle()
        start = page.place()
        page.page.keyboard.down("ArrowRight")
        page.page.wait_for_timeout(300)
        page.page.keyboard.up("ArrowRight")
        page.page.wait_for_timeout(500)
        assert page.place()[0] > start[0] + 50


def test_a_window_is_taken_home(page: Watched, whole: np.ndarray, tmp_path: Path) -> None:
    page.open(f"#{X + 800},0,0")
    page.page.keyboard.press("r")
    for name, value in {"x": X + 700, "y": -20, "width": 128, "height": 64}.items():
        page.page.locator(f"#actions [name={name}]").fill(str(value))
        page.page.locator(f"#actions [name={name}]").press("Enter")
    with page.page.expect_download() as download:
        page.page.locator("#save-png").click()
    download.value.save_as(tmp_path / "part.png")
    assert np.array_equal(decoded(tmp_path / "part.png"), whole[108:172, 700:828])
    page.page.locator("#scaled").select_option("1")
    assert page.page.locator("#pixels").text_content() == "64 × 32 px"
    with page.page.expect_download() as download:
        page.page.locator("#save-jpg").click()
    download.value.save_as(tmp_path / "part.jpg")
    assert decoded(tmp_path / "part.jpg").shape == (32, 64, 3)
