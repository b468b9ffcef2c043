"""3D convolutions of short clips: torch's results, and in bf16 gradients that are near those of fp32."""

import pytest
import torch

from mediagen.nn.conv3d import Conv3d


def both(kernel: int, frames: int, dtype: torch.dtype) -> list[list[torch.Tensor]]:
    """Result, and gradients of input, weight and bias: of ours in `dtype`, and of torch's in float64."""
    torch.manual_seed(0)
    ours = Conv3d(16, 32, kernel, padding=kernel // 2)
    plain = torch.nn.Conv3d(16, 32, kernel, padding=kernel // 2).double()
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 16, frames, 8, 8)
    seen = torch.randn(2, 32, frames, 8, 8)
    found = []
    for layer, kind in ((ours, dtype), (plain, torch.float64)):
        given = x.to(torch.float64 if layer is plain else torch.float32, copy=True).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=kind is torch.bfloat16):
            out = layer(given)
        out.backward(seen.to(out.dtype))
        found.append([t.detach().double() for t in (out, given.grad, layer.weight.grad, layer.bias.grad)])
    return found


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 6])
def test_a_short_clip(kernel: int, frames: int) -> None:
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2)):
        # What lay in memory before shall not matter.
        del [torch.full((2**16,), float("nan")) for _ in range(64)][:]
        for ours, plain in zip(*both(kernel, frames, dtype), strict=True):
            assert (ours - plain).norm() <= tolerance * plain.norm()
