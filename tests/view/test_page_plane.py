"""The page of a plane in a real browser, with the weights in the package: every pixel seen is the one `render` makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pages import Watched, browsing, decoded, serving, watched

import mediagen
from mediagen.canvas.styles import CentreStyle
from mediagen.core.resample import Resample
from mediagen.core.styles import Centre

FAR = 10**12
BLOCK = (256, 256)
SIZE = {"width": 740, "height": 256}
"""Around y = -128 it needs one row of blocks only."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("view")
    with serving("--precision", "fp32", "--block", "256x256", "--cache", folder / "blocks", "--seed", 7) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as found:
        yield found


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Watched]:
    with watched(browser, address, viewport=SIZE) as found:
        yield found


@pytest.fixture(scope="module")
def model() -> Any:
    return mediagen.load("infinitygan")


def rendered(model: Any, x: int, y: int, width: int, height: int, **scene: Any) -> np.ndarray:
    torch.set_num_threads(1)
    scene = {"seed": 7, **scene}
    return mediagen.render(model, x=x, y=y, width=width, height=height, block=BLOCK, precision="fp32", **scene)


def seen(page: Watched, model: Any, **scene: Any) -> bool:
    """Whether the picture in the browser is the window that the address bar names."""
    x, y = page.place()
    width, height = SIZE["width"], SIZE["height"]
    wanted = rendered(model, x - width // 2, y - height // 2, width, height, **scene)
    return np.array_equal(page.pixels(), wanted)


def drag(page: Watched, start: tuple[float, float], by: tuple[int, int]) -> None:
    mouse = page.page.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move(start[0] + by[0], start[1] + by[1], steps=5)
    mouse.up()


def test_first_tiles_and_a_walk_over_what_is_unpainted(page: Watched, model: Any) -> None:
    page.open("#1024,-128,0")
    start = page.place()
    assert seen(page, model)
    tiles = [url.partition("?")[0].removesuffix(".png").split("/")[-2:] for url in page.asked if "/tile/" in url]
    away = [hypot(int(i) * 256 + 128 - start[0], int(j) * 256 + 128 - start[1]) for i, j in tiles]
    assert away == sorted(away), "the nearest tiles are asked for first"
    page.page.get_by_label("The picture.").focus()
    page.page.keyboard.press("ArrowRight")
    drag(page, (500, 200), (-380, -30))
    assert page.place() == (start[0] + 140 + 380, start[1] + 30)
    page.settle()
    assert seen(page, model)
    # Walked on and back before anything could be painted: nobody waits for what was passed.
    held: list[Any] = []
    page.page.route("**/tile/**", lambda route: held.append(route))
    page.page.keyboard.press("Shift+ArrowRight")
    page.page.wait_for_timeout(500)
    page.page.keyboard.press("Shift+ArrowLeft")
    page.page.wait_for_timeout(500)
    page.page.unroute("**/tile/**")
    for route in held:
        with suppress(Exception):  # Nobody waits for it any more; the browser says so in its own words.
            route.continue_()
    page.settle()
    assert held
    assert any("/tile/" in url for url in page.aborted)


def test_a_link_to_a_place_far_out_is_exact(page: Watched, model: Any) -> None:
    page.open(f"#{FAR},-128,0")
    assert page.page.locator("#at-x").text_content() == "1,000,000,000,000"
    assert seen(page, model)
    before = page.pixels()
    drag(page, (400, 200), (-5, 0))
    page.settle()
    # Five pixels further by the mouse are five pixels, not nearly five.
    assert page.place() == (FAR + 5, -128)
    assert np.array_equal(page.pixels()[:, :-5], before[:, 5:])
    page.page.keyboard.press("c")
    page.page.locator("#toast.shown").wait_for()
    assert page.page.evaluate("() => navigator.clipboard.readText()") == f"{page.address}/#{FAR + 5},-128,0"


def test_beyond_two_to_the_53_positions_are_still_whole(page: Watched) -> None:
    x = 2**60 + 1
    page.open(f"#{x},-128,2")
    assert page.place()[0] == x
    tile = next(url for url in page.asked if "/tile/" in url)
    assert abs(int(tile.split("/")[-2]) - x // 256) <= 2


def test_zooming_goes_around_the_pointer_and_shows_pixels(page: Watched) -> None:
    page.open("#1024,-128,1")
    page.page.mouse.move(171, 150)
    under = page.page.locator("#at-x").text_content()
    page.page.mouse.wheel(0, -720)
    page.page.mouse.move(9, 9)
    page.page.mouse.move(171, 150)
    assert page.page.locator("#at-x").text_content() == under
    assert page.page.locator("#percent").text_content() == "566 %"
    page.settle()
    page.page.keyboard.press("+")
    page.page.keyboard.press("+")
    page.settle()
    shown = page.pixels()
    runs = np.diff(shown.astype(int).sum(axis=2), axis=1) != 0
    assert runs.mean() < 0.1, "sixteen screen pixels to a pixel, unsmoothed: fifteen steps in sixteen change nothing"


def test_style_centres_are_dragged_and_saved(page: Watched, model: Any, tmp_path: Path) -> None:
    page.open("#1024,-128,0;blend=255;centre=850:-128:1;centre=1100:-128:3")
    x, y = 740 / 2 + 1100 - 1024, 128
    before = page.pixels()
    drag(page, (x, y), (-90, 40))
    page.page.locator(".centre").nth(0).focus()
    page.page.keyboard.press("ArrowUp")
    page.page.wait_for_timeout(300)
    page.settle()
    points = (Centre(850.0, -144.0, 1), Centre(1010.0, -88.0, 3))
    assert seen(page, model, styles=CentreStyle(points, 255))
    assert not np.array_equal(page.pixels(), before)
    page.page.keyboard.press("p")
    with page.page.expect_download() as download:
        page.page.locator("#save-map").click()
    download.value.save_as(tmp_path / "map.json")
    saved = json.loads((tmp_path / "map.json").read_text())
    wanted = [{"x": 850, "y": -144, "seed": 1}, {"x": 1010, "y": -88, "seed": 3}]
    assert saved["centres"] == wanted
    assert saved["blend"] == 255


def test_a_rectangle_is_exported_and_said_as_a_command(page: Watched, model: Any, tmp_path: Path) -> None:
    page.open("#1024,-128,0")
    page.page.keyboard.down("Shift")
    drag(page, (200, 60), (150, 90))
    page.page.keyboard.up("Shift")
    with page.page.expect_download() as download:
        page.page.locator("#save-png").click()
    download.value.save_as(tmp_path / "window.png")
    left, top = 1024 - 370 + 200, -256 + 60
    assert np.array_equal(decoded(tmp_path / "window.png"), rendered(model, left, top, 150, 90))
    page.page.locator("#copy-command").click()
    page.page.locator("#toast.shown").get_by_text("Command copied").wait_for()
    command = page.page.evaluate("() => navigator.clipboard.readText()")
    assert command.startswith("mediagen canvas ")
    for words in (f"--x {left}", f"--y {top}", "--width 150", "--height 90", "--seed 7"):
        assert words in command


def test_new_structure_repaints_only_what_it_touches(page: Watched, model: Any) -> None:
    page.open("#1024,-128,0")
    before = page.pixels()
    painted = status(page)["painted_pixels"]
    page.page.keyboard.press("r")  # by keyboard: a rectangle in the middle
    fields = {"x": 700, "y": -140, "width": 40, "height": 40}
    for name, value in fields.items():
        page.page.locator(f"#actions [name={name}]").fill(str(value))
        page.page.locator(f"#actions [name={name}]").press("Enter")
    page.page.locator("#resample").click()
    page.page.wait_for_timeout(300)
    page.settle()
    region = page.page.url.partition("new=")[2].split(":")
    anew = Resample(700, -140, 40, 40, int(region[4]))
    assert region[:4] == ["700", "-140", "40", "40"]
    assert seen(page, model, resample=(anew,))
    after = page.pixels()
    assert not np.array_equal(before[:, :200], after[:, :200])
    assert np.array_equal(before[:, 600:], after[:, 600:])
    shown = 4 * 256 * 256  # the blocks that the view touches
    assert 0 < status(page)["painted_pixels"] - painted < shown
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("Control+z")
    page.settle()
    assert np.array_equal(page.pixels(), before)


def test_seed_and_panel(page: Watched, model: Any) -> None:
    page.open("#1024,-128,0")
    page.page.keyboard.press("p")
    page.page.locator("#seed").fill("11")
    page.page.wait_for_timeout(600)
    page.settle()
    assert "seed=11" in page.page.url
    assert seen(page, model, seed=11)


def test_keys_help_and_themes(page: Watched) -> None:
    page.open("#1024,-128,0")
    page.page.keyboard.press("?")
    assert page.page.get_by_role("dialog", name="Keys").is_visible()
    page.page.keyboard.press("Escape")
    light = page.page.evaluate("() => getComputedStyle(document.body).color")
    page.page.keyboard.press("t")
    page.page.wait_for_timeout(300)  # colours change by and by
    assert page.page.evaluate("() => getComputedStyle(document.body).color") != light
    page.page.keyboard.press("g")
    page.page.locator("[name=goto-x]").fill("-3,000")
    page.page.locator("[name=goto-y]").fill("64")
    page.page.keyboard.press("Enter")
    assert page.place() == (-3000, 64)


def test_two_fingers_zoom_and_one_draws(browser: Any, address: str) -> None:
    with watched(browser, address, viewport=SIZE, has_touch=True) as page:
        page.open("#1024,-128,0")
        touch = page.page.context.new_cdp_session(page.page)

        def fingers(kind: str, *places: tuple[int, int]) -> None:
            points = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(places)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        fingers("touchStart", (300, 150), (400, 150))
        for spread in (20, 40, 60, 80, 100):
            fingers("touchMove", (300 - spread // 2, 150), (400 + spread // 2, 150))
            page.page.wait_for_timeout(30)
        fingers("touchEnd")
        page.settle()
        assert page.page.locator("#percent").text_content() == "200 %"
        page.page.locator("#tool-select").tap()
        fingers("touchStart", (100, 100))
        for x in (150, 250, 300):
            fingers("touchMove", (x, 180))
        fingers("touchEnd")
        assert page.page.locator("#actions [name=width]").input_value() == "100"
        assert page.page.locator("#actions [name=height]").input_value() == "40"


def status(page: Watched) -> dict[str, Any]:
    found: dict[str, Any] = page.page.evaluate("() => fetch('/api/status').then((answer) => answer.json())")
    return found
