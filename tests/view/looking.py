"""What tests of the viewer share: a plane and a canvas of a tiny real model, behind the real application."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np
from PIL import Image

from mediagen.view.app import Viewed, make_app
from mediagen.view.asked import PlaneOptions
from mediagen.view.planes import ViewedPlane

PORT = 8642
BLOCK = (64, 64)


def options(model: Any, folder: Any, **more: Any) -> PlaneOptions:
    """A plane of small fp32 blocks, its cache in `folder`."""
    return PlaneOptions(**{"model": model, "seed": 1, "style_every": 200, "precision": "fp32", "block": BLOCK,
                           "cache": folder / "cache", **more})  # fmt: skip


@asynccontextmanager
async def client_of(viewed: Viewed, port: int = PORT) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, which runs in this event loop."""
    await viewed.open()
    try:
        transport = httpx.ASGITransport(make_app(viewed, port))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        viewed.close()


@asynccontextmanager
async def plane_of(asked: PlaneOptions) -> AsyncIterator[tuple[httpx.AsyncClient, Any]]:
    """A client, and the studio of a plane that is ready and idle."""
    viewed = ViewedPlane(asked)
    async with client_of(viewed) as client:
        studio = await viewed.studio()
        while sum(studio.plane.jobs.counts()):
            await asyncio.sleep(0.01)
        yield client, studio


def picture(answer: httpx.Response) -> np.ndarray:
    """The pixels (h, w, 3 or 4) of a PNG or JPEG answer."""
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def packed(scene: Any) -> str:
    """A scene object as it travels."""
    return base64.urlsafe_b64encode(json.dumps(scene, separators=(",", ":")).encode()).decode().rstrip("=")


SCENE: dict[str, Any] = {"seed": 1, "centres": None, "blend": 50, "style_every": 200, "resample": []}
