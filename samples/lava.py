"""Makes clips of lava lamps: `python samples/lava.py OUT --videos 2000 --size 64 --frames 32`.

A few blobs of wax drift, meet and part, for ever and without repeating themselves, before a soft gradient. The palette is
a clip's content, the paths are its motion. Drawn from a smooth union of discs, so edges are smooth without oversampling.
Frames (T, H, W, 3) uint8. Axes of the arithmetic: T frames, N blobs, H, W; lengths in units of a frame's side, y downwards.
Clips need no files: `lava(count, seed)`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from clip_files import clip_rng, write_folder

FPS = 16
SOFTNESS = 0.055
"""How far blobs reach out for each other, in frame sides: the k of the smooth union."""
LIGHT = np.array([-0.45, -0.62, 0.64], np.float32)
"""Where the light comes from (x, y, towards the eye)."""
# Background above and below; wax where it is cool, between, and where it is hot. Dark rooms first, then light ones.
PALETTES = {
    "ember": ("#16051c", "#4a0f2e", "#c2185b", "#ff5a3c", "#ffc857"),
    "aurora": ("#04101f", "#0a3340", "#2a6df4", "#19c3c9", "#7bf5a5"),
    "orchid": ("#120a2e", "#351362", "#6a3df0", "#c14df0", "#ff8ac4"),
    "lagoon": ("#03202e", "#07505a", "#0b86b8", "#19c2b2", "#f4f1a0"),
    "dusk": ("#0f1033", "#4a2a63", "#b8397d", "#f2555a", "#ffd08a"),
    "moss": ("#0b1a16", "#1c4030", "#1f8a6b", "#6cc04a", "#f4e07a"),
    "peacock": ("#06142e", "#123a63", "#2b6be8", "#a15be6", "#ff8f9a"),
    "sorbet": ("#fff2e6", "#ffcfc8", "#ff4f8b", "#ff7f6b", "#ffb65c"),
    "mint": ("#f1fbf4", "#bfeadf", "#0fa3a8", "#32c98d", "#b4e86a"),
    "lilac": ("#f6f0ff", "#d6ccff", "#5b55ee", "#a873f0", "#f58fd0"),
    "apricot": ("#fdf5e8", "#c4e3f5", "#f2545b", "#ff8f4f", "#ffd35c"),
    "porcelain": ("#f5f8fc", "#cbdaec", "#1f4e8c", "#3f8fc4", "#8ed6e0"),
}


def lava_clip(rng: np.random.Generator, *, frames: int = 32, size: int = 64) -> tuple[np.ndarray, str]:
    """One clip, (frames, size, size, 3) uint8, and its palette's name."""
    name = list(PALETTES)[rng.integers(len(PALETTES))]
    radius, warmth = _blobs(rng)
    y, x = _paths(rng, len(radius), frames)
    pixel = (np.arange(size, dtype=np.float32) + 0.5) / size
    light = _shade(x, y, radius, warmth, pixel, _palette(name, rng))
    # Half a step of grain, invisible by itself, breaks up the bands of a slow gradient.
    light = 255 * light + rng.random(light.shape, np.float32) - 0.5
    return np.clip(np.rint(light), 0, 255).astype(np.uint8), name


def lava(count: int, seed: int = 0, *, frames: int = 32, size: int = 64, first: int = 0) -> np.ndarray:
    """Videos first .. first + count - 1 of a seed, (count, frames, size, size, 3) uint8."""
    return np.stack([lava_clip(clip_rng(seed, k), frames=frames, size=size)[0] for k in range(first, first + count)])


def _blobs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Radii and warmth in [0, 1] of 3 to 7 blobs, a large one first; more of them are smaller ones."""
    count = int(rng.integers(3, 8))
    radius = np.sort(rng.uniform(0.07, 0.15, count))[::-1] * (5 / (count + 1)) ** 0.35
    radius[0] = rng.uniform(0.14, 0.19)
    return radius.astype(np.float32), rng.uniform(0.0, 1.0, count).astype(np.float32)


def _paths(rng: np.random.Generator, count: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres y and x (T, N): each a sum of three slow waves whose periods share no measure, seen from any moment on."""
    t = np.arange(frames) / FPS
    period = np.array([7.9, 4.9, 3.1])[:, None] * rng.uniform(0.85, 1.2, (2, 3, count))
    phase = rng.uniform(0, 2 * np.pi, (2, 3, count))
    reach = np.array([[0.24, 0.11, 0.03], [0.19, 0.08, 0.03]])
    waves = np.sin(2 * np.pi * t[:, None, None, None] / period + phase)
    y, x = np.moveaxis((waves * reach[:, :, None]).sum(2), 1, 0)
    return (0.5 + y).astype(np.float32), (0.5 + x).astype(np.float32)


def _shade(
    x: np.ndarray, y: np.ndarray, radius: np.ndarray, warmth: np.ndarray, pixel: np.ndarray, colours: np.ndarray
) -> np.ndarray:
    """Light (T, H, W, 3) in [0, 1] of blobs at x, y (T, N) before their background."""
    dx = pixel[None, None, None, :] - x[:, :, None, None]
    dy = pixel[None, None, :, None] - y[:, :, None, None]
    far = np.sqrt(dx * dx + dy * dy + 1e-6)
    # The smooth union: exp(-distance / k) adds up; its shares also blend what the blobs have of their own.
    near = np.exp(-(far - radius[:, None, None]) / SOFTNESS)
    total = near.sum(1, keepdims=True)
    share = near / total
    distance = -SOFTNESS * np.log(total[:, 0])
    own = [(share * value).sum(1) for value in (radius[:, None, None], warmth[:, None, None], dx / far, dy / far)]
    depth = np.clip(-distance / own[0], 0, 1)
    high = np.sqrt(depth * (2 - depth))  # the profile of a sphere, flat where blobs have merged
    slope = np.sqrt(1 - high * high)
    facing = own[2] * slope * LIGHT[0] + own[3] * slope * LIGHT[1] + high * LIGHT[2]
    return _light(distance, own[1], high, facing, pixel, colours)


def _light(
    distance: np.ndarray,
    warmth: np.ndarray,
    high: np.ndarray,
    facing: np.ndarray,
    pixel: np.ndarray,
    colours: np.ndarray,
) -> np.ndarray:
    """The wax's colours, its light and its glow on the background: all maps (T, H, W) -> (T, H, W, 3)."""
    above, below, cool, warm, hot = colours
    dark = above.sum() < 1.5
    down = pixel[:, None]
    backdrop = above + (below - above) * (down**1.3)[..., None]
    heat = np.clip(0.6 * warmth + 0.7 * down - 0.15, 0, 1)[..., None]
    wax = np.where(heat < 0.5, cool + (warm - cool) * 2 * heat, warm + (hot - warm) * (2 * heat - 1))
    lit = wax * ((0.64 if dark else 0.72) + (0.42 if dark else 0.36) * np.clip(facing, -0.3, 1))[..., None]
    rim = (1 - high)[..., None] ** 2  # wax is thin at its edge and lets light through
    shine = np.clip((facing - 0.86) / 0.14, 0, 1)[..., None] ** 2
    body = lit + (0.30 if dark else 0.10) * rim * hot + 0.28 * shine
    glow = np.exp(np.minimum(-distance, 0) / 0.10)[..., None]
    around = backdrop + 0.36 * glow * wax if dark else backdrop * (1 - 0.45 * glow * (1 - wax))
    cover = np.clip(0.5 - distance * len(pixel) / 1.4, 0, 1)[..., None]
    return around + (body - around) * cover


def _palette(name: str, rng: np.random.Generator) -> np.ndarray:
    """Five colours (5, 3) in [0, 1], all turned by one small angle around the gray axis."""
    colours = np.array([[int(code[k : k + 2], 16) for k in (1, 3, 5)] for code in PALETTES[name]]) / 255
    angle = rng.uniform(-0.16, 0.16)
    gray = np.full(3, 3**-0.5)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * 3**-0.5
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(gray, gray)
    return np.clip(colours @ turn.T, 0, 1).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the videos")
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--size", type=int, default=64, help="pixels, an even number")
    parser.add_argument("--crf", type=int, default=12, help="quality of h264: 0 is best, 51 worst")
    parser.add_argument("--exact", action="store_true", help="without loss; browsers do not play that")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    clips = (lava_clip(clip_rng(asked.seed, k), frames=asked.frames, size=asked.size)[0] for k in range(asked.videos))
    write_folder(asked.out, ((clip, "") for clip in clips), fps=FPS, exact=asked.exact, crf=asked.crf)


if __name__ == "__main__":
    main()
