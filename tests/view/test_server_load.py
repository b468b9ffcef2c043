"""Nonsense, junk, clients that leave and far too many of them: one-line answers, nothing lost, memory bounded."""

import asyncio

import httpx
import pytest
from looking import SCENE, client_of, options, packed, plane_of

from mediagen.view.planes import ViewedPlane

LARGE = (512, 256)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tile/0/x/0.png", 400),
        ("/tile/0/1.5/0.png", 400),
        ("/tile/-1/0/0.png", 400),
        ("/tile/0/٣/0.png", 400),
        ("/tile/0/99999999999999999999/0.png", 400),
        ("/tile/0/9999999999999999999/0.png", 404),
        ("/tile/60/0/0.png", 404),
        ("/tile/0/0", 404),
        ("/export?x=0&y=0&width=0&height=5", 400),
        ("/export?x=0&y=0&width=5", 400),
        ("/export?x=0&y=0&width=5&height=5&format=exe", 400),
        ("/export?x=0&y=0&width=5&height=5&level=9", 400),
        ("/export?x=0&y=0&width=100000&height=5000", 400),
        ("/export?x=5000000000000000000&y=0&width=5&height=5", 400),
        ("/api/command?x=0&y=0&width=5&height=a", 400),
        ("/api/style-map", 400),
        ("/api/nothing", 404),
    ],
)
def test_nonsense_is_answered_in_one_line(tiny, tmp_path, path, status):
    async def look():
        async with plane_of(options(tiny, tmp_path)) as (client, _):
            return await client.get(path)

    answer = asyncio.run(look())
    assert answer.status_code == status
    assert len(answer.text.strip().splitlines()) == 1


BAD_SCENES = [
    "not base64!",
    "e30",
    packed([]),
    packed({**SCENE, "more": 1}),
    packed({key: value for key, value in SCENE.items() if key != "blend"}),
    packed({**SCENE, "seed": 1.5}),
    packed({**SCENE, "seed": True}),
    packed({**SCENE, "seed": "1e3"}),
    packed({**SCENE, "seed": 2**64}),
    packed({**SCENE, "style_every": -1}),
    packed({**SCENE, "blend": "x"}),
    packed({**SCENE, "centres": []}),
    packed({**SCENE, "centres": [{"x": 0, "y": 0}]}),
    packed({**SCENE, "centres": [{"x": float("nan"), "y": 0, "seed": 1}]}),
    packed({**SCENE, "centres": [{"x": 2**62, "y": 0, "seed": 1}]}),
    packed({**SCENE, "centres": [{"x": 0, "y": 0, "seed": 1}] * 65}),
    packed({**SCENE, "resample": None}),
    packed({**SCENE, "resample": [{"x": 0, "y": 0, "width": 0, "height": 1, "seed": 1}]}),
    packed({**SCENE, "resample": [{"x": 0, "y": 0, "width": 2**40, "height": 1, "seed": 1}]}),
    packed({**SCENE, "resample": [{"x": 0, "y": 0, "width": 1, "height": 1, "seed": 1}] * 65}),
    "A" * 12500,
    packed("[" * 3000),
]


def test_junk_scenes_are_refused_in_one_line(tiny, tmp_path):
    async def look():
        async with plane_of(options(tiny, tmp_path)) as (client, _):
            return [await client.get("/tile/0/0/0.png", params={"scene": scene}) for scene in BAD_SCENES]

    for scene, answer in zip(BAD_SCENES, asyncio.run(look()), strict=True):
        assert answer.status_code == 400, scene
        assert len(answer.text.strip().splitlines()) == 1


def test_the_page_is_served_while_the_model_is_loaded_and_a_bad_one_is_told(tmp_path):
    told = []

    async def look():
        asked = options(tmp_path / "missing.safetensors", tmp_path)
        async with client_of(ViewedPlane(asked, told.append)) as client:
            status = (await client.get("/api/status")).json()
            for _ in range(500):
                if told:
                    break
                await asyncio.sleep(0.01)
            return status

    assert asyncio.run(look())["ready"] is False
    assert "missing.safetensors" in str(told[0])


def test_a_client_that_leaves_cancels_what_nobody_else_waits_for(tiny, tmp_path):
    async def look():
        async with plane_of(options(tiny, tmp_path)) as (_, studio):
            jobs = studio.plane.jobs
            one = asyncio.create_task(studio.tile(None, 3, 40, 40))
            two = asyncio.create_task(studio.tile(None, 3, 50, 50))
            async with asyncio.timeout(60):
                while jobs.counts()[1] < 1000:
                    await asyncio.sleep(0.001)
            made = jobs.made
            one.cancel()
            two.cancel()
            await asyncio.wait({one, two})
            assert jobs.counts()[1] == 0
            await asyncio.sleep(0.1)
            async with asyncio.timeout(60):
                while jobs.counts()[0]:
                    await asyncio.sleep(0.01)
            return (jobs.made - made) // (64 * 64)

    assert asyncio.run(look()) < 200


def test_a_full_queue_asks_to_come_again(tiny, tmp_path, monkeypatch):
    async def look():
        async with plane_of(options(tiny, tmp_path)) as (client, studio):
            monkeypatch.setattr(studio.plane.jobs, "most", 3)
            answer = await client.get("/tile/3/9/9.png")
            assert studio.plane.jobs.counts()[1] == 0
            monkeypatch.setattr(studio.plane.jobs, "most", 4096)
            return answer, await client.get("/tile/0/9/9.png")

    full, later = asyncio.run(look())
    assert full.status_code == 503
    assert int(full.headers["retry-after"]) >= 1
    assert later.status_code == 200


def test_500_tiles_from_8_clients_come_whole_and_few_windows_are_in_memory(tiny, tmp_path, monkeypatch):
    from mediagen.view import plane as engine

    alive, most = 0, 0
    real = engine._picture

    def counted(*arguments, **named):
        nonlocal alive, most
        alive += 1
        most = max(most, alive)
        try:
            return real(*arguments, **named)
        finally:
            alive -= 1

    monkeypatch.setattr(engine, "_picture", counted)
    places = [(i % 16, i // 16) for i in range(80)]

    async def look():
        async with plane_of(options(tiny, tmp_path, block=LARGE)) as (client, _):

            async def one(shift: int) -> list[httpx.Response]:
                order = places[shift:] + places[:shift]
                return await asyncio.gather(*(client.get(f"/tile/0/{i}/{j}.png") for i, j in order[:63]))

            return [answer for some in await asyncio.gather(*(one(10 * n) for n in range(8))) for answer in some]

    answers = asyncio.run(look())
    assert len(answers) == 504
    assert {answer.status_code for answer in answers} == {200}
    assert most <= 3
    by_place: dict[str, set[bytes]] = {}
    for answer in answers:
        by_place.setdefault(answer.url.path, set()).add(answer.content)
    assert len(by_place) == 80
    assert all(len(contents) == 1 for contents in by_place.values())
