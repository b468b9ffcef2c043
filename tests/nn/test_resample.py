"""Filters keep the mean of a picture, and what they keep in place stays in place."""

import torch

from mediagen.nn.resample import CUBIC, blur, upsample_skip


def test_a_constant_stays_constant():
    x = torch.full((1, 3, 8, 8), 0.7, dtype=torch.float64)
    torch.testing.assert_close(blur(x), torch.full((1, 3, 6, 6), 0.7, dtype=torch.float64))
    torch.testing.assert_close(blur(x, CUBIC), torch.full((1, 3, 5, 5), 0.7, dtype=torch.float64))
    torch.testing.assert_close(upsample_skip(x), torch.full((1, 3, 15, 15), 0.7, dtype=torch.float64))


def test_upsampling_is_bilinear_with_aligned_corners():
    x = torch.randn(1, 3, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.nn.functional.interpolate(x, size=(11, 9), mode="bilinear", align_corners=True)
    torch.testing.assert_close(upsample_skip(x), expected)


def test_blurring_with_a_stride_equals_blurring_and_dropping():
    x = torch.randn(1, 2, 13, 12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(blur(x, CUBIC, padding=1, stride=2), blur(x, CUBIC, padding=1)[:, :, ::2, ::2])
