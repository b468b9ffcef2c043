"""A canvas over HTTP: the store's pixels at every level, holes where nothing is, and growth while it is painted."""

import asyncio
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from looking import client_of, picture

from mediagen.core.geometry import Window
from mediagen.io.halve import halve
from mediagen.io.pyramid import Pyramid
from mediagen.io.store import CanvasStore
from mediagen.view.canvases import ViewedCanvas

ORIGIN, WIDTH, HEIGHT, SHARD = (-300, 70), 2500, 700, (512, 256)


def pixels(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    grain = np.random.default_rng(1).integers(0, 60, (height, width, 3))
    return (np.stack([x // 10 % 190, y // 4 % 190, (x + y) // 16 % 190], axis=2) + grain).astype(np.uint8)


def make(path: Path, origin=ORIGIN, shards=None, width: int = WIDTH, height: int = HEIGHT) -> CanvasStore:
    store = CanvasStore.create(path, width=width, height=height, shard=SHARD, chunk=128, origin=origin, attributes={})
    grow(store, shards)
    return store


def grow(store: CanvasStore, shards=None) -> None:
    whole, pyramid = pixels(store.levels[0].width, store.levels[0].height), Pyramid(store)
    rows, columns = store.grid()
    for shard in shards if shards is not None else [(iy, ix) for iy in range(rows) for ix in range(columns)]:
        window = store.shard_window(0, *shard)
        store.write_shard(0, *shard, whole[window.y : window.bottom, window.x : window.right])
        pyramid.done(0, *shard)


def fetch(path: Path, *addresses: str):
    async def look():
        async with client_of(ViewedCanvas(path)) as client:
            return [await client.get(address) for address in addresses]

    return asyncio.run(look())


@pytest.mark.parametrize("origin", [(0, 0), ORIGIN, (-1024, 512), (10**12, -(10**12)), (-(10**12) + 1, 3)])
def test_every_tile_of_every_level_is_the_store_s(tmp_path, origin):
    store = make(tmp_path / "c.zarr", origin)
    area = Window(*origin, WIDTH, HEIGHT)
    places, expected = [], []
    for level, info in enumerate(store.levels):
        side = 256 << level
        for j in range(area.y // side, (area.bottom - 1) // side + 1):
            for i in range(area.x // side, (area.right - 1) // side + 1):
                x, y = (i * side - origin[0]) >> level, (j * side - origin[1]) >> level
                tile = np.zeros((256, 256, 4), np.uint8)
                part = Window(x, y, 256, 256).meet(Window(0, 0, info.width, info.height))
                if part is not None:
                    found = store.read(level, part.x, part.y, part.width, part.height)
                    tile[part.within(Window(x, y, 256, 256))] = np.dstack(
                        [found, np.full(found.shape[:2], 255, np.uint8)]
                    )
                places.append(f"/tile/{level}/{i}/{j}.png")
                expected.append(tile)
    for answer, tile in zip(fetch(tmp_path / "c.zarr", *places), expected, strict=True):
        shown = picture(answer)
        assert "x-mediagen-partial" not in answer.headers
        assert answer.headers["etag"]
        np.testing.assert_array_equal(shown, tile if shown.shape[2] == 4 else tile[..., :3], err_msg=str(answer.url))
        assert shown.shape[2] == 4 or (tile[..., 3] == 255).all()


def test_outside_there_is_nothing(tmp_path):
    make(tmp_path / "c.zarr")
    answers = fetch(tmp_path / "c.zarr", "/tile/0/-3/0.png", "/tile/0/0/-1.png", "/tile/9/0/0.png", "/tile/0/100/0.png")
    assert [answer.status_code for answer in answers] == [404] * 4


def test_what_is_not_painted_yet_is_transparent_and_comes_while_it_is_painted(tmp_path):
    path = tmp_path / "c.zarr"
    store = make(path, (0, 0), shards=[(0, 0)])

    async def look():
        async with client_of(ViewedCanvas(path)) as client:
            scene = (await client.get("/api/scene")).json()
            before = [await client.get(f"/tile/0/{i}/0.png") for i in (0, 2)]
            stamps = [(await client.get("/api/status")).json()]
            await asyncio.sleep(1.1)
            grow(store, [(0, 1)])
            after = await client.get("/tile/0/2/0.png")
            stamps.append((await client.get("/api/status")).json())
            await asyncio.sleep(1.1)
            grow(store)
            top = await client.get("/tile/1/0/0.png")
            stamps.append((await client.get("/api/status")).json())
            return scene, before, after, top, stamps

    scene, (there, missing), after, top, stamps = asyncio.run(look())
    assert scene["complete"] is False
    np.testing.assert_array_equal(picture(there), pixels()[:256, :256])
    assert (picture(missing)[..., 3] == 0).all()
    assert missing.headers["x-mediagen-partial"] == "1"
    assert missing.headers["cache-control"] == "no-store"
    np.testing.assert_array_equal(picture(after), pixels()[:256, 512:768])
    assert "x-mediagen-partial" not in top.headers
    assert len({status["stamp"] for status in stamps}) == 3
    assert [status["complete"] for status in stamps] == [False, False, True]


def test_higher_levels_show_what_lower_ones_have(tmp_path):
    make(tmp_path / "c.zarr", (0, 0), shards=[(0, 0)])
    (answer,) = fetch(tmp_path / "c.zarr", "/tile/2/0/0.png")
    shown = picture(answer)
    assert answer.headers["x-mediagen-partial"] == "1"
    planar = np.ascontiguousarray(pixels()[:256, :512].transpose(2, 0, 1))
    np.testing.assert_array_equal(shown[:64, :128, :3], halve(halve(planar)).transpose(1, 2, 0))
    assert (shown[:64, :128, 3] == 255).all()
    assert (shown[64:, :, 3] == 0).all()
    assert (shown[:, 128:, 3] == 0).all()


def test_damage_is_a_hole_and_a_line_in_the_log(tmp_path, caplog):
    store = make(tmp_path / "c.zarr", (0, 0))
    file = store.shard_path(0, 0, 0)
    data = bytearray(file.read_bytes())
    data[100] ^= 255  # in the first chunk, of 128 px
    file.write_bytes(data)
    with caplog.at_level("WARNING"):
        damaged, sound = fetch(tmp_path / "c.zarr", "/tile/0/0/0.png", "/tile/0/1/0.png")
    shown = picture(damaged)
    assert (shown[:128, :128, 3] == 0).all()
    np.testing.assert_array_equal(shown[128:, :, :3], pixels()[128:256, :256])
    assert damaged.headers["cache-control"] == "no-store"
    np.testing.assert_array_equal(picture(sound), pixels()[:256, 256:512])
    assert any("c.zarr: shard 0/0/0 cannot be read" in record.getMessage() for record in caplog.records)


def test_a_canvas_that_is_replaced_is_opened_anew(tmp_path):
    path = tmp_path / "c.zarr"
    make(path, (0, 0))

    async def look():
        async with client_of(ViewedCanvas(path)) as client:
            first = await client.get("/tile/0/0/0.png")
            shutil.rmtree(path)
            make(path, (0, 0), width=600, height=400)
            await asyncio.sleep(1.1)
            scene = (await client.get("/api/scene")).json()
            return first, scene, await client.get("/tile/0/2/0.png")

    first, scene, later = asyncio.run(look())
    assert scene["bounds"]["width"] == 600
    np.testing.assert_array_equal(picture(later)[:, :88, :3], pixels(600, 400)[:256, 512:])
    assert first.headers["etag"] != later.headers["etag"]


def test_what_the_page_is_told(tmp_path):
    make(tmp_path / "c.zarr", (10**17, -(10**12)))
    scene, status = (answer.json() for answer in fetch(tmp_path / "c.zarr", "/api/scene", "/api/status"))
    assert scene["kind"] == "canvas"
    assert scene["bounds"] == {"x": str(10**17), "y": -(10**12), "width": WIDTH, "height": HEIGHT}
    assert scene["levels"] == 3
    assert scene["defaults"] is None
    assert scene["name"] == "c.zarr"
    assert scene["complete"] is status["complete"] is True
    assert status["ready"] is True


def test_a_window_and_its_command(tmp_path):
    make(tmp_path / "c.zarr")
    window = "x=-250&y=100&width=333&height=222"
    png, half, jpg, clipped, beyond, command = fetch(
        tmp_path / "c.zarr", f"/export?{window}", f"/export?{window}&level=1", f"/export?{window}&format=jpg",
        "/export?x=-9999&y=100&width=9800&height=50", "/export?x=9999&y=100&width=333&height=222",
        f"/api/command?{window}",
    )  # fmt: skip
    expected = pixels()[30:252, 50:383]
    np.testing.assert_array_equal(picture(png), expected)
    planar = np.ascontiguousarray(pixels()[30:252, 50:384].transpose(2, 0, 1))
    np.testing.assert_array_equal(picture(half), halve(planar).transpose(1, 2, 0))
    assert np.abs(picture(jpg).astype(int) - expected).mean() < 20
    assert picture(clipped).shape == (50, 101, 3)
    assert beyond.status_code == 400
    words = shlex.split(command.json()["command"])
    assert words[:2] == ["mediagen", "export"]
    assert "--x" in words
    assert str(tmp_path).encode() not in png.content
