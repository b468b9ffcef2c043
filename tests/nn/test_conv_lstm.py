"""TGANv2's temporal generator against a plain ConvLSTM that is given zero maps."""

import torch

from mediagen.nn.conv_lstm import ConvLSTM
from mediagen.nn.temporal import rollout


def plain(layer: ConvLSTM, start: torch.Tensor, frames: int) -> torch.Tensor:
    """Every convolution done: the map from the latent at frame 0, all-zero maps after it, h and c from zero."""
    x, h, c, codes = start, torch.zeros_like(start), torch.zeros_like(start), []
    for _ in range(frames):
        i, f, o, g = (layer.inward(x) + layer.across(h)).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h, x = o.sigmoid() * c.tanh(), torch.zeros_like(x)
        codes.append(h)
    return torch.stack(codes, dim=1)


def test_leaving_out_the_zeros_changes_nothing():
    torch.manual_seed(0)
    layer, start = ConvLSTM(4), torch.randn(2, 4, 3, 5)
    codes = rollout(layer, start, 6, None)
    torch.testing.assert_close(codes, plain(layer, start, 6))
    assert (codes[:, 0] - codes[:, 5]).abs().max() > 1e-3
    codes.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())


def test_a_state_is_h_and_c_of_constant_size():
    layer = ConvLSTM(4)
    state = layer.begin(torch.randn(1, 4, 3, 3))
    for _ in range(5):
        state = layer.advance(state)
        assert [tuple(s.shape) for s in state] == [(1, 4, 3, 3)] * 2


def test_under_autocast_c_is_kept_in_float32():
    layer = ConvLSTM(4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h, c = layer.advance(layer.advance(layer.begin(torch.randn(1, 4, 3, 3))))
    assert h.dtype == torch.bfloat16
    assert c.dtype == torch.float32
