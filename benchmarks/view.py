"""The viewer: how long the first picture takes, and what 500 tiles for 8 clients at once take, stored and unpainted.

python benchmarks/view.py [--quick]
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import common
import httpx

from mediagen.canvas.paint import paint

CLIENTS, TILES = 8, 500
AT_ONCE = 6
"""Connections of a client, as a browser has them."""

AROUND = ["/static/view.js", "/leaflet/leaflet.js", "/leaflet/leaflet.css", "/api/scene"]


@contextmanager
def viewer(*words: object, threads: int | None = None) -> Iterator[tuple[str, subprocess.Popen[str], float]]:
    """A server of its own: (address, process, when it was started)."""
    environment = dict(os.environ, NO_COLOR="1", **({"OMP_NUM_THREADS": str(threads)} if threads else {}))
    start = time.perf_counter()
    command = common.command("view", "--no-open", "--port", free_port(), "--quiet", *words)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process, start
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def resident(process: subprocess.Popen[str], key: str = "VmHWM") -> float | None:
    """Megabytes of memory that a process holds, or the most it has held."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith(key)), None)


def first(what: str, tile: str, words: list[object], rounds: int, fresh: Path | None = None) -> common.Row:
    """The first picture: as a browser asks, the page and its files before the tile. The best and the worst of `rounds`."""
    listening, pages, tiles, clicks = [], [], [], []
    for n in range(rounds):
        more = ["--cache", fresh / str(n)] if fresh else []
        with viewer(*words, *more) as (address, _, start), httpx.Client(base_url=address, timeout=120) as client:
            listening.append(time.perf_counter() - start)
            client.get("/")
            for path in AROUND:
                client.get(path)
            pages.append(time.perf_counter() - start)
            assert client.get(tile).status_code == 200
            tiles.append(time.perf_counter() - start)
            begun = time.perf_counter()
            # Far from all that was begun before it was asked for.
            assert client.get(tile.replace("/0/3/", "/0/4003/") if fresh else tile).status_code == 200
            clicks.append(time.perf_counter() - begun)
    return {
        "what": what,
        "server listens, s": min(listening),
        "page knows the scene, s": min(pages),
        "first tile, s": min(tiles),
        "worst of all rounds, s": max(tiles),
        "a place not seen before, once it runs, s": min(clicks),
    }


async def crowd(address: str, places: list[str]) -> dict[str, Any]:
    """8 clients that together ask for all places at once; what was turned away is asked for again."""
    waits: list[float] = []
    answers: dict[str, int] = {}
    status: list[float] = []
    again = 0

    async def one(client: httpx.AsyncClient, place: str) -> None:
        nonlocal again
        start = time.perf_counter()
        while True:
            answer = await client.get(place)
            if answer.status_code != 503:
                break
            again += 1
            await asyncio.sleep(float(answer.headers["retry-after"]))
        waits.append(time.perf_counter() - start)
        answers[place] = answer.status_code if answer.content.endswith(b"IEND\xaeB`\x82") else -1

    async def page(stop: asyncio.Event) -> None:
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            while not stop.is_set():
                start = time.perf_counter()
                await client.get("/api/status")
                status.append(time.perf_counter() - start)
                await asyncio.sleep(0.05)

    limits, stop = httpx.Limits(max_connections=AT_ONCE), asyncio.Event()
    clients = [httpx.AsyncClient(base_url=address, timeout=None, limits=limits) for _ in range(CLIENTS)]
    start = time.perf_counter()
    asking = asyncio.create_task(page(stop))
    await asyncio.gather(*(one(clients[n % CLIENTS], place) for n, place in enumerate(places)))
    seconds = time.perf_counter() - start
    stop.set()
    await asking
    for client in clients:
        await client.aclose()
    return {
        "tiles": len(places),
        "whole": sum(code == 200 for code in answers.values()),
        "turned away, asked again": again,
        "seconds": seconds,
        "tiles/s": len(places) / seconds,
        "page's own request meanwhile, median ms": 1000 * sorted(status)[len(status) // 2],
        "slowest ms": 1000 * max(status),
    }


def many(what: str, words: list[object], places: list[str]) -> common.Row:
    """500 tiles for 8 clients, twice: the second time everything is there."""
    with viewer(*words) as (address, process, _):
        httpx.get(f"{address}api/scene", timeout=120)
        before = resident(process, "VmRSS")
        found = asyncio.run(crowd(address, places))
        most = resident(process)
        again = asyncio.run(crowd(address, places))
    return {
        "what": what, **found, "again, tiles/s": again["tiles/s"], "MB before": before, "MB at most": most
    }  # fmt: skip


def main() -> None:
    asked = common.arguments(__doc__)
    where, start = common.machine(), time.perf_counter()
    width, rounds, count = (4000, 1, 40) if asked.quick else (100_000, 3, TILES)
    with common.scratch() as folder, common.chosen_model(asked) as (model, words):
        canvas = folder / "canvas.zarr"
        paint(model, canvas, width=width)
        plane: list[object] = ["--model", model, "--seed", 7]
        looks = [
            first(f"a stored canvas of {width:,} x 512 px", "/tile/0/3/-1.png", [canvas], rounds),
            first("an unpainted plane, nothing known", "/tile/0/3/0.png", plane, rounds, folder / "fresh"),
        ]
        warm = ["--cache", folder / "warm"]
        with viewer(*plane, *warm) as (address, _, _):
            httpx.get(f"{address}tile/0/900/0.png", timeout=120)
        looks.append(first("an unpainted place, second start", "/tile/0/3/0.png", [*plane, *warm], rounds))
        columns = width // 256
        stored = [f"/tile/0/{n % columns}/{-1 if n < columns else 0}.png" for n in range(min(count, 2 * columns))]
        unpainted = [f"/tile/0/{10_000 + n // 2}/{-(n % 2)}.png" for n in range(count)]
        levels = [f"/tile/2/{20_000 + n // 2}/{-(n % 2)}.png" for n in range(count // 5)]
        crowds = [
            many("stored", [canvas], stored),
            many("unpainted, full size", [*plane, "--cache", folder / "crowd"], unpainted),
            many("unpainted, level 2 (16 times the pixels)", [*plane, "--cache", folder / "crowd"], levels),
        ]
    common.finish(
        "view",
        asked,
        {
            "title": "Looking",
            "about": "A server of its own each time, asked as a browser asks. Seconds count from the start of the process.",
            "model": words,
            "tables": [
                common.table("The first picture", looks, "goals: 1 s for a stored canvas, 3 s for an unpainted place"),
                common.table(
                    f"{CLIENTS} clients at once", crowds, "nothing may be lost; the page must stay responsive"
                ),
            ],
        },
        where,
        time.perf_counter() - start,
    )


if __name__ == "__main__":
    main()
