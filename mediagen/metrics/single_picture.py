"""Measures of generators that learn from one picture: how diverse they are, and how near their patches come.

Pictures are (N, 3, H, W) in [-1, 1]; features (positions, channels).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mediagen.metrics.swd import sliced_wasserstein


def diversity(samples: Tensor, picture: Tensor) -> float:
    """SinGAN's score: the standard deviation of each pixel over the samples, averaged, in units of the picture's own.

    samples (N, 3, H, W), picture (3, H, W) or (1, 3, H, W). Real pictures of one scene score about 0.5, copies 0.
    """
    return float(samples.float().std(0, correction=0).mean() / picture.float().std(correction=0))


def patch_distance(samples: Tensor, picture: Tensor, seed: int = 0) -> float:
    """Sliced Wasserstein distance of 7 x 7 patches over the scales, between samples and the picture's own windows.

    A sample as large as the picture is compared with it; wider or narrower ones with its part that fits.
    """
    height, width = (min(a, b) for a, b in zip(samples.shape[2:], picture.shape[-2:], strict=True))
    rng = torch.Generator().manual_seed(seed)
    real = picture.reshape(1, 3, *picture.shape[-2:])[:, :, :height, :width].expand(len(samples), -1, -1, -1)
    return sliced_wasserstein(real, samples[:, :, :height, :width], rng)


def smoothness(pictures: Sequence[Tensor], shares: Sequence[float]) -> float:
    """How fast pictures (3, H, W) of one noise change along a blend, per unit of its share (Meta Internal Learning, Fig. 8).

    |difference| is summed over the colours and averaged over the pixels and the steps.
    `shares` are those of the pictures, in order; smaller is smoother.
    """
    steps = [
        float((b - a).abs().sum(0).mean()) / float(v - u)
        for a, b, u, v in zip(pictures, pictures[1:], shares, shares[1:], strict=False)
    ]
    return sum(steps) / len(steps)


def frechet(first: Tensor, second: Tensor) -> float:
    """Frechet distance of two sets of features (positions, channels), as normal distributions, in float64."""
    means, spreads = [], []
    for features in (first.double(), second.double()):
        means.append(features.mean(0))
        spreads.append(torch.cov(features.T).reshape(features.shape[1], features.shape[1]))
    root = _root(spreads[0])
    middle = torch.linalg.eigvalsh(root @ spreads[1] @ root).clamp_min(0).sqrt().sum()
    apart = (means[0] - means[1]).square().sum() + spreads[0].trace() + spreads[1].trace() - 2 * middle
    return max(0.0, float(apart))


def sifid(real: Tensor, fake: Tensor, features: Callable[[Tensor], Tensor], *, least: bool = False) -> float:
    """Single Image FID (SinGAN): each position of a feature map is a sample; mean over the fakes.

    `least` takes the smallest of the fakes' instead: Meta Internal Learning calls that SIFID, of 100, and the mean mSIFID.

    `features` maps pictures (N, 3, H, W) to maps (N, C, h, w). The published score takes Inception's 192 channels before its
    second pooling; no weights ship here, so give your own. Report it with `diversity`: a copy has a score of 0.
    """
    with torch.no_grad():
        maps = [features(x).flatten(2).mT for x in (real.reshape(1, *real.shape[-3:]), fake)]
    found = [frechet(maps[0][0], other) for other in maps[1]]
    return min(found) if least else sum(found) / len(found)


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt() @ vectors.mT
