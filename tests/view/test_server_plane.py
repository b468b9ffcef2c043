"""The unbounded plane over HTTP: the pixels of `render`, wherever, whatever the scene, and nothing painted twice."""

import asyncio
import io
import json
import shlex

import numpy as np
import pytest
from looking import BLOCK, SCENE, options, packed, picture, plane_of
from mediagen_cli.main import main
from PIL import Image

from mediagen.canvas.paint import paint
from mediagen.canvas.render import render
from mediagen.core.resample import Resample
from mediagen.io.halve import halve
from mediagen.io.store import CanvasStore
from mediagen.view import taken
from mediagen.view.jobs import Full

LARGE = (512, 256)
PAINTED = {"seed": 1, "style_every": 200, "block": BLOCK, "precision": "fp32"}


def expected(model, level: int, i: int, j: int, **more) -> np.ndarray:
    side = 256 << level
    pixels = render(model, x=i * side, y=j * side, width=side, height=side, **{**PAINTED, **more})
    planar = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    for _ in range(level):
        planar = halve(planar)
    return planar.transpose(1, 2, 0)


@pytest.mark.parametrize(
    ("level", "i", "j"), [(0, 0, 0), (0, -3, -1), (0, 3906250000, 2), (1, -1, 0), (0, -(10**15), 10**15)]
)
def test_a_tile_is_what_render_paints(tiny, tmp_path, level, i, j):
    async def look():
        async with plane_of(options(tiny, tmp_path)) as (client, _):
            return picture(await client.get(f"/tile/{level}/{i}/{j}.png"))

    np.testing.assert_array_equal(asyncio.run(look()), expected(tiny, level, i, j))


def test_a_changed_scene_is_painted_as_the_command_line_would(tiny, tmp_path):
    centres = [{"x": 10, "y": 5, "seed": 3}, {"x": "200", "y": -20.5, "seed": 4}]
    anew = [{"x": 40, "y": -10, "width": 30, "height": 20, "seed": 77}]
    scenes = {
        "seed": ({**SCENE, "seed": "9"}, {"seed": 9, "style_blend": 50}),
        "uniform": ({**SCENE, "style_every": 0}, {"style_every": 0}),
        "blend": ({**SCENE, "blend": 120}, {"style_blend": 120}),
        "resample": ({**SCENE, "resample": anew}, {"resample": (Resample(40, -10, 30, 20, 77),)}),
    }
    (tmp_path / "map.json").write_text(json.dumps({"blend": 60, "centres": [{**c, "x": int(c["x"])} for c in centres]}))

    async def look():
        async with plane_of(options(tiny, tmp_path)) as (client, _):
            found = {
                name: picture(await client.get("/tile/0/0/-1.png", params={"scene": packed(scene)}))
                for name, (scene, _) in scenes.items()
            }
            mapped = {**SCENE, "centres": centres, "blend": 60}
            found["centres"] = picture(await client.get("/tile/0/0/-1.png", params={"scene": packed(mapped)}))
            saved = await client.get("/api/style-map", params={"scene": packed(mapped)})
            return found, saved.text

    found, saved = asyncio.run(look())
    for name, (_, more) in scenes.items():
        np.testing.assert_array_equal(found[name], expected(tiny, 0, 0, -1, **more), err_msg=name)
    (tmp_path / "saved.json").write_text(saved)
    for file in ("map.json", "saved.json"):
        window = {"width": 256, "height": 256, "x": 0, "y": -256}
        paint(tiny, tmp_path / f"{file}.zarr", **window, **{**PAINTED, "style_every": None},
              style_map=tmp_path / file)  # fmt: skip
        pixels = CanvasStore.open(tmp_path / f"{file}.zarr").read(0, 0, 0, 256, 256)
        np.testing.assert_array_equal(found["centres"], pixels)
    assert len({pixels.tobytes() for pixels in found.values()}) == len(found)


def test_higher_levels_are_halved_as_a_canvas_s_pyramid_is(tiny, tmp_path):
    async def look():
        async with plane_of(options(tiny, tmp_path, style_every=0, block=LARGE)) as (client, _):
            return picture(await client.get("/tile/2/0/0.png")), picture(await client.get("/tile/3/-1/0.png"))

    found, higher = asyncio.run(look())
    paint(
        tiny,
        tmp_path / "c.zarr",
        x=-2048,
        y=0,
        width=3072,
        height=1024,
        **{**PAINTED, "style_every": 0, "block": LARGE},
    )
    store = CanvasStore.open(tmp_path / "c.zarr")
    np.testing.assert_array_equal(found, store.read(2, 512, 0, 256, 256))
    assert len(store.levels) == 3
    planar = np.ascontiguousarray(store.read(2, 0, 0, 512, 256).transpose(2, 0, 1))
    np.testing.assert_array_equal(higher[:128], halve(planar).transpose(1, 2, 0))


def test_what_the_page_is_told(tiny, tmp_path):
    async def look():
        async with plane_of(options(tiny, tmp_path, style_blend=50)) as (client, _):
            return (await client.get("/api/scene")).json(), (await client.get("/api/status")).json()

    scene, status = asyncio.run(look())
    assert scene["kind"] == "plane"
    assert scene["bounds"] is None
    assert scene["defaults"] == SCENE
    assert scene["can_resample"] is True
    assert scene["tile"] == 256
    assert 0 < scene["paint_levels"] < scene["levels"]
    assert shlex.split(scene["command"])[:2] == ["mediagen", "view"]
    assert status["painting"] == status["waiting"] == 0
    assert status["painted_pixels"] > 0
    assert status["pixels_per_second"] > 0
    assert status["cached_bytes"] > 0


def test_nothing_is_painted_twice_neither_now_nor_by_another_server(tiny, tmp_path):
    async def look():
        async with plane_of(options(tiny, tmp_path)) as (client, studio):
            first = await client.get("/tile/0/7/7.png")
            made = studio.plane.jobs.made
            again = await client.get("/tile/0/7/7.png")
            other = await client.get("/tile/0/7/7.png", params={"scene": packed({**SCENE, "resample": [
                {"x": 10**9, "y": 0, "width": 9, "height": 9, "seed": 5}]})})  # fmt: skip
            assert studio.plane.jobs.made == made
        async with plane_of(options(tiny, tmp_path)) as (client, studio):
            later = await client.get("/tile/0/7/7.png")
            assert studio.plane.jobs.made == 0
        return first, again, other, later

    first, *others = asyncio.run(look())
    assert all(other.content == first.content for other in others)


def test_resampling_paints_only_the_blocks_it_touches(tiny, tmp_path):
    async def look():
        async with plane_of(options(tiny, tmp_path)) as (client, studio):
            before = picture(await client.get("/tile/1/0/0.png"))
            made = studio.plane.jobs.made
            anew = [{"x": 100, "y": 100, "width": 16, "height": 16, "seed": 5}]
            scene = packed({**SCENE, "resample": anew})
            after = picture(await client.get("/tile/1/0/0.png", params={"scene": scene}))
            return before, after, (studio.plane.jobs.made - made) // (BLOCK[0] * BLOCK[1])

    before, after, painted = asyncio.run(look())
    changed = (before != after).any(axis=2)
    blocks = {(y // 32, x // 32) for y, x in zip(*np.nonzero(changed), strict=True)}
    assert 1 <= len(blocks) <= painted < 30


def test_a_damaged_block_is_painted_again(tiny, tmp_path):
    async def look():
        async with plane_of(options(tiny, tmp_path)) as (client, studio):
            first = await client.get("/tile/0/7/7.png")
        for path in (tmp_path / "cache").glob("*/*.block"):
            path.write_bytes(path.read_bytes()[:-1] + b"?")
        async with plane_of(options(tiny, tmp_path)) as (client, studio):
            later = await client.get("/tile/0/7/7.png")
            assert studio.plane.jobs.made > 0
        return first, later

    first, later = asyncio.run(look())
    assert first.content == later.content


def test_far_above_only_what_is_there_is_shown(tiny, tmp_path):
    async def look():
        async with plane_of(options(tiny, tmp_path)) as (client, studio):
            await client.get("/tile/1/7/7.png")  # 512 px from (3584, 3584)
            made = studio.plane.jobs.made
            answers = [await client.get(f"/tile/{level}/0/0.png") for level in (4, 8)]
            assert studio.plane.jobs.made == made
            return answers

    near, far = asyncio.run(look())
    pixels = picture(near)
    for answer in (near, far):
        assert answer.headers["x-mediagen-partial"] == "1"
        assert answer.headers["cache-control"] == "no-store"
    assert (pixels[224:, 224:, 3] == 255).all()
    assert (pixels[100:200, 100:200, 3] == 0).all()
    planar = np.ascontiguousarray(expected(tiny, 1, 7, 7).transpose(2, 0, 1))
    for _ in range(3):
        planar = halve(planar)
    np.testing.assert_array_equal(pixels[224:, 224:, :3], planar.transpose(1, 2, 0))
    assert (picture(far)[14:16, 14:16, 3] == 255).all()


def test_far_above_a_plane_of_few_rows_ends_where_its_rows_end(tmp_path):
    """A block reaches beyond a photograph's rows; what it holds there is nothing to look at."""

    async def look():
        asked = options("ridges", tmp_path, style_every=None, block=None)
        async with plane_of(asked) as (client, _):
            await client.get("/tile/1/0/0.png")
            return picture(await client.get("/tile/4/0/0.png"))

    seen = asyncio.run(look())
    assert (seen[:10, :32, 3] == 255).all()
    assert (seen[10:, :, 3] == 0).all()
    pixels = np.ascontiguousarray(render("ridges", width=512, seed=1, precision="fp32").transpose(2, 0, 1))
    for _ in range(4):
        pixels = halve(pixels)
    assert np.abs(seen[:10, :32, :3].astype(int) - pixels.transpose(1, 2, 0)).mean() < 8


def test_the_command_it_names_paints_the_same_window_out_of_what_was_painted(tiny, tmp_path, monkeypatch, capsys):
    anew = [{"x": 40, "y": -10, "width": 30, "height": 20, "seed": 77}]
    query = {"scene": packed({**SCENE, "resample": anew})}

    async def look():
        async with plane_of(options(tiny, tmp_path)) as (client, _):
            pixels = picture(await client.get("/tile/0/0/0.png", params=query))
            window = {"x": 0, "y": 0, "width": 256, "height": 256}
            return pixels, (await client.get("/api/command", params={**query, **window})).json()["command"]

    pixels, command = asyncio.run(look())
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    assert words[0] == "mediagen"
    assert main([*words[1:], "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["blocks_from_cache"] == 4 * 5  # the grid begins at y = -16
    store = CanvasStore.open(tmp_path / "window.zarr")
    np.testing.assert_array_equal(store.read(0, 0, 0, 256, 256), pixels)


@pytest.mark.parametrize("level", [0, 1, 3])
def test_a_window_can_be_taken_home(tiny, tmp_path, level):
    window = {"x": -100, "y": -37, "width": 333, "height": 301}

    async def look():
        async with plane_of(options(tiny, tmp_path)) as (client, _):
            return [
                await client.get("/export", params={**window, "level": level, "format": format})
                for format in ("png", "jpg")
            ]

    png, jpg = asyncio.run(look())
    assert png.headers["content-disposition"].startswith("attachment; filename=")
    step = 1 << level
    x, y = -100 // step * step, -37 // step * step
    width, height = -(-(233 - x) // step) * step, -(-(264 - y) // step) * step
    planar = render(tiny, x=x, y=y, width=width, height=height, **PAINTED).transpose(2, 0, 1)
    for _ in range(level):
        planar = halve(np.ascontiguousarray(planar))
    np.testing.assert_array_equal(picture(png), planar.transpose(1, 2, 0))
    assert np.abs(picture(jpg).astype(int) - picture(png)).mean() < 20
    assert b"mediagen canvas" in png.content
    assert str(tmp_path).encode() not in png.content


def test_what_is_taken_home_says_what_it_shows(tiny, tmp_path, monkeypatch):
    """A picture's own record paints it again; and while there is too much to do, it waits rather than breaks off."""
    anew = [{"x": 40, "y": -10, "width": 30, "height": 20, "seed": 77}]
    query = {"scene": packed({**SCENE, "seed": 9, "resample": anew})}
    window = {"x": -101, "y": -37, "width": 334, "height": 301, "level": 1, "format": "png"}

    async def look():
        async with plane_of(options(tiny, tmp_path)) as (client, studio):
            jobs, ask, refused = studio.plane.jobs, studio.plane.jobs.ask, []

            def crowded(*arguments):
                if len(refused) < 3:
                    refused.append(1)
                    raise Full
                return ask(*arguments)

            monkeypatch.setattr(jobs, "ask", crowded)
            return await client.get("/export", params={**query, **window}), refused

    answer, refused = asyncio.run(look())
    assert len(refused) == 3
    record = json.loads(Image.open(io.BytesIO(answer.content)).text["mediagen"])
    assert record["window"] == {"x": -102, "y": -38, "width": 336, "height": 302}
    assert (record["seed"], record["level"]) == (9, 1)
    again = render(tiny, **record["window"], seed=record["seed"], precision=record["precision"], block=BLOCK,
                   style_every=record["styles"]["every"], style_blend=record["styles"]["blend"],
                   resample=[Resample(*one) for one in record["resample"]])  # fmt: skip
    assert np.array_equal(picture(answer), halve(np.ascontiguousarray(again.transpose(2, 0, 1))).transpose(1, 2, 0))
    words = shlex.split(record["command"])
    assert words[words.index("--x") + 1] == "-102"
    assert words[words.index("--resample") + 1] == "40,-10,30,20,77"


def test_what_is_taken_home_is_asked_for_in_pieces_that_fit_the_queue(tiny, tmp_path, monkeypatch):
    """However small the blocks: a queue that one picture fills by itself would never take it."""
    asked_at_once = []

    async def look():
        async with plane_of(options(tiny, tmp_path, block=(8, 8), style_every=0)) as (client, studio):
            plane, window = studio.plane, studio.plane.window

            def noted(look, part, *more):
                asked_at_once.append(plane.setting.blocks.count(part))
                return window(look, part, *more)

            monkeypatch.setattr(plane, "window", noted)
            monkeypatch.setattr(taken, "MOST_BLOCKS", 1000)
            return await client.get("/export", params={"x": 3, "y": -5, "width": 290, "height": 300, "level": 0})

    answer = asyncio.run(look())
    assert len(asked_at_once) >= 2
    assert max(asked_at_once) <= 250
    pixels = render(tiny, x=3, y=-5, width=290, height=300, seed=1, style_every=0, block=(8, 8), precision="fp32")
    np.testing.assert_array_equal(picture(answer), pixels)


def test_revisits_are_free(tiny, tmp_path):
    async def look():
        async with plane_of(options(tiny, tmp_path)) as (client, _):
            version = (await client.get("/api/scene")).json()["version"]
            first = await client.get("/tile/0/1/1.png")
            again = await client.get("/tile/0/1/1.png", headers={"If-None-Match": first.headers["etag"]})
            named = await client.get("/tile/0/1/1.png", params={"v": version})
            stale = await client.get("/tile/0/1/1.png", params={"v": "other"})
            other = await client.get("/tile/0/1/1.png", params={"scene": packed({**SCENE, "seed": 5})})
            return first, again, named, stale, other

    first, again, named, stale, other = asyncio.run(look())
    assert first.headers["cache-control"] == stale.headers["cache-control"] == "no-cache"
    assert again.status_code == 304
    assert not again.content
    assert "immutable" in named.headers["cache-control"]
    assert other.headers["etag"] != first.headers["etag"]
