"""How MoCoGAN's critics end, and from which pictures its image-to-video model is measured."""

from dataclasses import replace

import pytest
import torch

from mediagen.errors import UsageError
from mediagen.models.mocogan import PAPER, PRESETS, Objective

TINY = PRESETS["tiny"]


@pytest.mark.parametrize(
    ("settings", "picture", "clip"),
    [({}, (4, 4), (1, 1, 1)), ({"image_critic": "full", "video_critic": "patch"}, (1, 1), (4, 4, 4))],
    ids=str,
)
def test_critics_of_64_pixels_end_as_in_the_paper_and_its_code(settings, picture, clip):
    with torch.device("meta"):
        made, rng = Objective(replace(PAPER, categories=2, **settings), torch.device("meta")), torch.Generator()
        assert made.image_critic(torch.empty(2, 3, 64, 64), rng).shape == (2, 1, *picture)
        assert made.video_critic(torch.empty(2, 3, 16, 64, 64), rng).shape == (2, 3, *clip)


def test_a_critic_of_patches_needs_three_frames_less():
    assert replace(TINY, video_critic="patch", frames=7).frames == 7
    with pytest.raises(UsageError, match="at least 7 frames"):
        replace(TINY, video_critic="patch", frames=6)
    with pytest.raises(UsageError, match="too few for so many image_channels"):
        replace(TINY, image_critic="full", image_channels=(8, 8))


def test_what_is_measured_starts_from_pictures_drawn_anew():
    """Not from the same latest ones in every portion of a measure."""
    torch.manual_seed(0)
    made = Objective(replace(TINY, image_to_video=True), torch.device("cpu"))
    made.state["pictures"].copy_(torch.arange(32)[:, None, None, None] * 8)
    encode, seen = made.generator.encode, []
    made.generator.encode = lambda pictures: seen.append(pictures) or encode(pictures)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _ in range(2):
            made.samples(made.generator.eval(), 16, rng)
    first, second = (set(pictures.flatten(1)[:, 0].tolist()) for pictures in seen)
    assert first != second
    assert len(first | second) > 16
