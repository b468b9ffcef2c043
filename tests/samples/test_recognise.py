"""The critic's features can be taught to tell two motions apart."""

import pytest
import torch
from recognise import Recogniser, accuracy, fit

from mediagen.models import vgan

torch.set_num_threads(1)


def moving(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A bright square on black that moves down (class 0) or to the right (class 1)."""
    rng = torch.Generator().manual_seed(seed)
    clips, labels = torch.full((count, 3, 8, 16, 16), -1.0), torch.randint(2, (count,), generator=rng)
    for clip, label in zip(clips, labels, strict=True):
        at = int(torch.randint(12, (1,), generator=rng))
        for t in range(8):
            y, x = (t, at) if label == 0 else (at, t)
            clip[:, t, y : y + 4, x : x + 4] = 1.0
    return clips, labels


@pytest.mark.parametrize("iterations", [40])
def test_two_motions_are_told_apart(iterations):
    torch.manual_seed(0)
    recogniser = Recogniser(vgan.critic(vgan.PRESETS["tiny"]), 2)
    assert recogniser(moving(3, 0)[0]).shape == (3, 2)
    before = [p.detach().clone() for p in recogniser.critic.convolutions.parameters()]
    state = torch.random.get_rng_state()
    fit(recogniser, *moving(64, 1), iterations=iterations, rate=5e-3)
    assert torch.equal(torch.random.get_rng_state(), state), "the global generator is left as it was"
    assert accuracy(recogniser, *moving(64, 2)) > 0.9
    moved = zip(before, recogniser.critic.convolutions.parameters(), strict=True)
    assert all(not torch.equal(a, b) for a, b in moved)  # all layers are fine-tuned
