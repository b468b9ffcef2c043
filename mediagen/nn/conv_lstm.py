"""A convolutional LSTM that is told its start once: TGANv2's temporal generator (section 4.1; Shi et al. 2015).

Layout: B clips, C channels, H, W.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mediagen.nn.temporal import State


class ConvLSTM(nn.Module):
    """One layer, 3 x 3, no peepholes: a map from the latent goes in at frame 0, an all-zero map at every later one.

    i, f, o = sigmoid, g = tanh of W * x + b + U * h;  c' = f c + i g;  h' = o tanh c'. The code is h (B, C, H, W).
    A state (`mediagen.nn.temporal`) before frame 0 is (x,), from frame 0 on it is (h, c). `forget` is the first value of
    f's bias: with 0 half of c is lost at every frame, and after 16 of them an untrained layer knows nothing of its start.
    """

    noise = 0
    continuous = False

    def __init__(self, channels: int, forget: float = 0.0):
        super().__init__()
        self.inward = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        self.across = nn.Conv2d(channels, 4 * channels, 3, padding=1, bias=False)
        assert self.inward.bias is not None
        nn.init.zeros_(self.inward.bias)
        nn.init.constant_(self.inward.bias.data[channels : 2 * channels], forget)

    def begin(self, start: Tensor) -> State:
        """The state before frame 0 from the latent's map (B, C, H, W)."""
        return (start,)

    def advance(self, state: State, noise: Tensor | None = None, dt: float = 1.0) -> State:
        """One frame on; dt must be 1."""
        assert dt == 1.0, "a ConvLSTM goes frame by frame"
        if len(state) == 1:
            return _gated(self.inward(state[0].to(self.inward.weight.dtype)), None)  # h is 0, and U has no bias
        h, c = state
        weight = self.across.weight
        # x is 0, so that its convolution is the bias.
        return _gated(F.conv2d(h.to(weight.dtype), weight, self.inward.bias, padding=1), c)

    def read(self, state: State) -> Tensor:
        return state[0]


def _gated(gates: Tensor, c: Tensor | None) -> State:
    """(h, c) from the sums of all four gates (B, 4 C, H, W); c stays float32, as it adds up over the frames."""
    i, f, o, g = gates.float().chunk(4, dim=1)
    kept = torch.sigmoid(i) * torch.tanh(g)
    c = kept if c is None else torch.addcmul(kept, torch.sigmoid(f), c)
    return (torch.sigmoid(o) * torch.tanh(c)).to(gates.dtype), c
