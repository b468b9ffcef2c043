"""What is asked of a video model: which seeds, categories, picture and pace. Plain data, no torch.

Time is counted in frames of the model, as it was trained: frame k of an output lies at the model's time k * rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CHUNK = 16
"""Frames that are made at once. Chunks lie on the absolute grid of frame numbers, so no frame depends on a clip's end."""


@dataclass(frozen=True, kw_only=True)
class ClipRequest:
    """One stream of frames. Two requests that are equal give equal frames, on one machine bit for bit.

    `content_seed` and `motion_seed` stand in for `seed` in what does not change in a clip and in what does; a model
    without that division (one latent for both) uses `seed` and refuses them. `categories` is the sequence of classes:
    frame k is of categories[(k // every) % len(categories)]; empty for a model without classes. `image` is a picture
    (height, width, 3) uint8 of the model's frame size, that the clip starts from. `rate` is the model's frames per
    frame of output: 0.5 is slow motion; a negative one runs back in time, where the model can.
    """

    seed: int = 0
    content_seed: int | None = None
    motion_seed: int | None = None
    categories: tuple[int, ...] = ()
    every: int = CHUNK
    image: np.ndarray | None = None
    rate: float = 1.0

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError("a category must last at least 1 frame")
        if self.rate == 0.0 or not np.isfinite(self.rate):
            raise ValueError("the rate must be a number other than 0")

    @property
    def content(self) -> int:
        return self.seed if self.content_seed is None else self.content_seed

    @property
    def motion(self) -> int:
        return self.seed if self.motion_seed is None else self.motion_seed

    def category(self, frame: int) -> int:
        """The class of one frame; 0 where none was asked for."""
        return self.categories[(frame // self.every) % len(self.categories)] if self.categories else 0
