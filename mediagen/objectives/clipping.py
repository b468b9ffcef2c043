"""What holds a Wasserstein critic near 1-Lipschitz: its parameters are clipped, in place, after some of its steps.

A convolution's kernel stands for the matrix (out, in * prod(kernel)). Its singular values do not bound the operator that
the convolution is, so this is a heuristic control, as TGAN's authors take it (Saito et al. 2017, section 4, Table 2).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

LEAST_SCALE = 0.01
"""Of the running deviation: Table 2 wants gamma > 0; the released code keeps it above this share."""


def clipped_weights(network: nn.Module) -> list[Tensor]:
    """The weights of the network's linear layers and convolutions; biases and norms are not among them."""
    return [p for p in network.parameters() if p.dim() >= 2]


def norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The network's batch norms that have a scale."""
    kind = nn.modules.batchnorm._BatchNorm
    return [m for m in network.modules() if isinstance(m, kind) and m.weight is not None]


@torch.no_grad()
def clip_singular_values(weights: Iterable[Tensor], limit: float = 1.0) -> Tensor:
    """Replaces every singular value above `limit` by it; returns each weight's largest one as it was, (len(weights),).

    With W W^T = U S^2 U^T, W - U_k (1 - limit / S_k) U_k^T W changes just the k values above the limit: an
    eigenvalue problem of the small side and two thin products, instead of the decomposition of a wide matrix.
    """
    return torch.stack([_clip_by_gram(weight, limit) for weight in weights])


def _clip_by_gram(weight: Tensor, limit: float) -> Tensor:
    matrix = weight.detach().flatten(1).float()
    tall = matrix.shape[0] > matrix.shape[1]
    matrix = matrix.T if tall else matrix
    # The products are float32; the small eigenvalue problem is double so that it adds nothing to their rounding.
    squares, vectors = torch.linalg.eigh((matrix @ matrix.T).double())
    values = squares.clamp_min(0).sqrt()
    above = values > limit
    if bool(above.any()):
        some = vectors[:, above].to(matrix)
        share = (1 - limit / values[above]).to(matrix)
        matrix = matrix - (some * share) @ (some.T @ matrix)
        weight.copy_((matrix.T if tall else matrix).reshape(weight.shape))
    return values[-1].float()


@torch.no_grad()
def clip_singular_values_by_svd(weights: Iterable[Tensor], limit: float = 1.0) -> Tensor:
    """The plain twin of `clip_singular_values`, as the paper says it: U min(S, limit) V^T."""
    largest = []
    for weight in weights:
        left, values, right = torch.linalg.svd(weight.detach().flatten(1).double(), full_matrices=False)
        weight.copy_(((left * values.clamp_max(limit)) @ right).reshape(weight.shape))
        largest.append(values[0].float())
    return torch.stack(largest)


@torch.no_grad()
def clip_norm_scales(layers: Iterable[nn.modules.batchnorm._BatchNorm]) -> None:
    """0 < gamma <= sqrt(running variance + eps), Table 2: then a norm in eval mode stretches nothing."""
    for norm in layers:
        assert norm.running_var is not None
        deviation = (norm.running_var + norm.eps).sqrt().to(norm.weight)
        norm.weight.clamp_(LEAST_SCALE * deviation, deviation)


@torch.no_grad()
def clip_box(parameters: Iterable[Tensor], c: float) -> None:
    """|w| <= c, the clipping of the first Wasserstein GAN."""
    for parameter in parameters:
        parameter.clamp_(-c, c)


@torch.no_grad()
def singular_values(weight: Tensor) -> Tensor:
    """All singular values of a weight read as the matrix (out, rest), falling, float32."""
    return torch.linalg.svdvals(weight.detach().flatten(1).double()).float()
